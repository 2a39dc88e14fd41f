#include <system_error>

#include "sam2lab.h"

namespace sam2lab {
namespace {

const char COPY_AGAIN[] = "; copy the whole folder again, or export it anew";
const int LARGEST_SIDE = 16384;

template <class... Pieces>
[[noreturn]] void damaged(const Pieces&... pieces) {
    throw std::runtime_error(text(pieces...));
}

// The numbers of a list, from `index` to the first value that is none.
std::vector<double> numbers_of(const Json& sealed, const std::string& pointer, int index = 0) {
    std::vector<double> found;
    for (;; ++index) {
        const auto each = sealed.numbers.find(text(pointer, "/", index));
        if (each == sealed.numbers.end()) return found;
        found.push_back(each->second);
    }
}

// Input `name` of a graph must be float32 and, after the batch, of this shape.
void check_input(const Json& sealed, const std::string& graph, const std::string& name,
                 double channels, Size size) {
    const std::vector<double> shape = {channels, double(size.height), double(size.width)};
    for (int i = 0;; ++i) {
        const std::string input = text("/graphs/", graph, "/inputs/", i);
        if (!sealed.texts.count(input + "/name")) damaged("no input is called '", name, "'");
        if (sealed.text_at(input + "/name") != name) continue;
        if (sealed.text_at(input + "/dtype") != "float32") damaged("'", name, "' must be float32");
        if (numbers_of(sealed, input + "/shape", 1) == shape) return;
        damaged("the shape of '", name, "' does not fit to 'input_size'");
    }
}

GraphFile graph_file(const Path& folder, const Json& sealed, const std::string& pointer) {
    const std::string file = sealed.text_at(pointer + "/file");
    if (file.empty() || file == "." || file == ".." ||
        file.find_first_of(std::string("/\\:\0", 4)) != std::string::npos)
        damaged("'", pointer, "/file' must be the plain name of a file in the folder");
    const Path path = folder / path_of(file);
    if (path.extension() != ".onnx")
        throw Failure(MODEL, name_of(path), " is not an ONNX file, and others are not run here; "
                      "export the model with: python -m sam2lab export SIZE --target onnx");
    std::error_code error;
    const auto bytes = std::filesystem::file_size(path, error);
    if (error) throw Failure(MODEL, name_of(folder), " lacks ", file, COPY_AGAIN);
    const long long wanted = sealed.whole_at(pointer + "/bytes", 0, 1LL << 50);
    if (bytes != std::uintmax_t(wanted))
        throw Failure(MODEL, name_of(path), " has ", bytes, " bytes, but was sealed with ", wanted,
                      COPY_AGAIN);
    return {path, sealed.text_at(pointer + "/sha256")};
}

}  // namespace

Bundle read_bundle(const Path& folder) {
    const Path file = folder / "bundle.json";
    Json sealed;
    try {
        sealed = parse_json(read_file(file));
    } catch (const std::exception& reason) {
        throw Failure(MODEL, name_of(file), " cannot be read (", reason.what(),
                      "); point at a folder that python -m sam2lab export wrote");
    }
    try {
        if (sealed.text_at("/format") != "sam2lab-bundle") damaged("it is no sam2lab-bundle");
        sealed.whole_at("/version", 1, 1);
        const int height = int(sealed.whole_at("/model/input_size/0", 1, LARGEST_SIDE));
        const int width = int(sealed.whole_at("/model/input_size/1", 1, LARGEST_SIDE));
        const int stride = int(sealed.whole_at("/model/stride", 1, LARGEST_SIDE));
        const Size mask = {height / stride * 4, width / stride * 4};
        const std::vector<double> mean = numbers_of(sealed, "/model/mean");
        const std::vector<double> std = numbers_of(sealed, "/model/std");
        if (mean.size() != 3) damaged("'mean' must have 3 numbers");
        if (std.size() != 3) damaged("'std' must have 3 numbers");
        const Bundle bundle = {{height, width}, mask, mean, std,
                               graph_file(folder, sealed, "/graphs/encoder"),
                               graph_file(folder, sealed, "/graphs/decoder")};
        check_input(sealed, "encoder", "image", 3, bundle.input_size);
        check_input(sealed, "decoder", "mask_input", 1, bundle.mask_size);
        return bundle;
    } catch (const Failure&) {
        throw;
    } catch (const std::exception& reason) {
        throw Failure(MODEL, name_of(file), " is damaged: ", reason.what(), COPY_AGAIN);
    }
}

void verify(const Bundle& bundle) {
    for (const GraphFile& each : {bundle.encoder, bundle.decoder}) {
        std::string found;
        try {
            found = sha256_of_file(each.path);
        } catch (const std::exception& reason) {
            throw Failure(MODEL, name_of(each.path), " cannot be read (", reason.what(), ")",
                          COPY_AGAIN);
        }
        if (found != each.sha256)
            throw Failure(MODEL, name_of(each.path), " was changed after it was sealed: its sha256 "
                          "is not that of bundle.json", COPY_AGAIN);
    }
}

}  // namespace sam2lab
