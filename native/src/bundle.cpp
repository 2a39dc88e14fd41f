#include "bundle.h"

#include <system_error>

#include "failure.h"
#include "json.h"

namespace sam2lab {
namespace {

const char COPY_AGAIN[] = "copy the whole folder again, or export it anew";
const int LARGEST_SIDE = 16384;

[[noreturn]] void damaged(const std::string& reason) { throw std::runtime_error(reason); }

std::array<double, 3> three(const Json& model, const std::string& name) {
    const Json& listed = model.field(name, Json::LIST);
    std::array<double, 3> values{};
    if (listed.list.size() != 3) damaged("'" + name + "' must have 3 numbers");
    for (int i = 0; i < 3; ++i) {
        if (listed.list[i].kind != Json::NUMBER) damaged("'" + name + "' must have 3 numbers");
        values[i] = listed.list[i].number;
    }
    return values;
}

Size input_size(const Json& model) {
    const Json& listed = model.field("input_size", Json::LIST);
    if (listed.list.size() != 2) damaged("'input_size' must be a height and a width");
    Json named;
    named.object = {{"height", listed.list[0]}, {"width", listed.list[1]}};
    return {int(named.whole("height", 1, LARGEST_SIDE)), int(named.whole("width", 1, LARGEST_SIDE))};
}

// Input `name` of a graph must be float32 and, after the batch, of this shape.
void check_input(const Json& graph, const std::string& name, const std::array<int, 3>& shape) {
    for (const Json& input : graph.field("inputs", Json::LIST).list) {
        if (input.field("name", Json::TEXT).text != name) continue;
        if (input.field("dtype", Json::TEXT).text != "float32") damaged("'" + name + "' must be float32");
        const Json& found = input.field("shape", Json::LIST);
        bool fits = found.list.size() == 4;
        for (int i = 0; fits && i < 3; ++i)
            fits = found.list[i + 1].kind == Json::NUMBER && found.list[i + 1].number == shape[i];
        if (!fits) damaged("the shape of '" + name + "' does not fit to 'input_size'");
        return;
    }
    damaged("no input is called '" + name + "'");
}

Graph graph(const Path& folder, const Json& sealed) {
    const std::string file = sealed.field("file", Json::TEXT).text;
    if (file.empty() || file == "." || file == ".." ||
        file.find_first_of(std::string("/\\:\0", 4)) != std::string::npos)
        damaged("'file' must be the plain name of a file in the folder");
    const Path path = folder / path_of(file);
    if (path.extension() != ".onnx")
        throw Failure(MODEL, {name_of(path), " is not an ONNX file, and others are not run here; "
                      "export the model with: python -m sam2lab export SIZE --target onnx"});
    std::error_code error;
    const auto bytes = std::filesystem::file_size(path, error);
    if (error) throw Failure(MODEL, {name_of(folder), " lacks ", file, "; ", COPY_AGAIN});
    const long long wanted = sealed.whole("bytes", 0, 1LL << 50);
    if (bytes != std::uintmax_t(wanted))
        throw Failure(MODEL, {name_of(path), " has ", bytes, " bytes, but was sealed with ", wanted,
                      "; ", COPY_AGAIN});
    return {path, sealed.field("sha256", Json::TEXT).text};
}

}  // namespace

Bundle read_bundle(const Path& folder) {
    const Path file = folder / "bundle.json";
    const std::string name = name_of(file);
    Json sealed;
    try {
        const Bytes content = read_file(file);
        sealed = parse_json(std::string(content.begin(), content.end()));
    } catch (const std::exception& reason) {
        throw Failure(MODEL, {name, " cannot be read (", reason.what(),
                      "); point at a folder that python -m sam2lab export wrote"});
    }
    try {
        if (sealed.field("format", Json::TEXT).text != "sam2lab-bundle") damaged("it is no sam2lab-bundle");
        sealed.whole("version", 1, 1);
        const Json& model = sealed.field("model", Json::OBJECT);
        const Json& graphs = sealed.field("graphs", Json::OBJECT);
        const Json& encoder = graphs.field("encoder", Json::OBJECT);
        const Json& decoder = graphs.field("decoder", Json::OBJECT);
        const Size input = input_size(model);
        const int stride = int(model.whole("stride", 1, LARGEST_SIDE));
        const Size mask = {input.height / stride * 4, input.width / stride * 4};
        const Bundle bundle = {input, mask, three(model, "mean"), three(model, "std"),
                               graph(folder, encoder), graph(folder, decoder)};
        check_input(encoder, "image", {3, input.height, input.width});
        check_input(decoder, "mask_input", {1, mask.height, mask.width});
        return bundle;
    } catch (const Failure&) {
        throw;
    } catch (const std::exception& reason) {
        throw Failure(MODEL, {name, " is damaged: ", reason.what(), "; ", COPY_AGAIN});
    }
}

void verify(const Bundle& bundle) {
    for (const Graph* each : {&bundle.encoder, &bundle.decoder}) {
        std::string found;
        try {
            found = sha256_of_file(each->path);
        } catch (const std::exception& reason) {
            throw Failure(MODEL, {name_of(each->path), " cannot be read (", reason.what(), "); ", COPY_AGAIN});
        }
        if (found != each->sha256)
            throw Failure(MODEL, {name_of(each->path), " was changed after it was sealed: its sha256 "
                          "is not that of bundle.json; ", COPY_AGAIN});
    }
}

}  // namespace sam2lab
