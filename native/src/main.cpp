// Segments one photo: reads files and prompts, writes masks. `HELP` says how.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "bundle.h"
#include "failure.h"
#include "files.h"
#include "machine.h"
#include "model.h"
#include "onnxruntime.h"
#include "picture.h"
#include "prompts.h"
#include "resample.h"

namespace sam2lab {
namespace {

const char HELP[] = R"(sam2lab-segment MODEL_FOLDER PHOTO [PROMPTS] --out MASK.png

Segments what points and a box show in a JPEG or PNG photo, with a model that
python -m sam2lab export wrote. Pixels count from the top left, x before y.

prompts, at least one:
  --point X,Y           a point on the object; may be given several times
  --point X,Y,0         a point beside the object
  --box X0,Y0,X1,Y1     two opposite corners of a box around the object

files:
  --out MASK.png        the mask with the best score, white on black, of the
                        photo's size
  --all-candidates      write all three, MASK_1.png to MASK_3.png
  --repeat N            answer N times, and
  --csv TIMES.csv       write the times of each answer in milliseconds, and
                        the peak of memory so far in 10^6 bytes

how it runs:
  --threads N           threads of one operator; without it, one for each core
  --onnxruntime FILE    onnxruntime's shared library; without it, that of the
                        variable SAM2LAB_ONNXRUNTIME, the system's, or that of
                        the wheel in the active Python environment

exit codes: 0 done, 2 arguments or prompts, 3 the model, 4 the photo,
5 onnxruntime, 6 a file cannot be written, 1 anything else
)";
const char SEE_HELP[] = "; sam2lab-segment --help lists what there is";

struct Arguments {
    Path model, photo, out, csv;
    Prompt prompt;
    std::string onnxruntime;
    int threads = 0, repeat = 1;
    bool all_candidates = false;
};

struct Times {
    double pre, encode, decode, post, total, peak;
};

int whole(const std::string& option, const std::string& value, long most) {
    char* end = nullptr;
    const long number = std::strtol(value.c_str(), &end, 10);
    const bool digits = !value.empty() && value.find_first_not_of("0123456789") == std::string::npos;
    if (!digits || number < 1 || number > most)
        throw Failure(ARGUMENTS, {option, " is '", value, "'; wanted a whole number from 1 to ", most});
    return int(number);
}

Arguments parse(const std::vector<std::string>& given) {
    Arguments found;
    std::vector<std::string> places;
    std::optional<std::string> repeat, csv, out;
    for (std::size_t i = 0; i < given.size(); ++i) {
        const std::string& option = given[i];
        if (option.compare(0, 1, "-") || option == "-") {
            places.push_back(option);
            continue;
        }
        if (option == "--all-candidates") {
            found.all_candidates = true;
            continue;
        }
        static const char* const with_value[] = {"--point", "--box", "--out", "--threads", "--repeat",
                                                 "--csv", "--onnxruntime"};
        bool known = false;
        for (const char* each : with_value) known = known || option == each;
        if (!known) throw Failure(ARGUMENTS, {"there is no ", option, SEE_HELP});
        if (++i == given.size()) throw Failure(ARGUMENTS, {option, " lacks its value", SEE_HELP});
        const std::string& value = given[i];
        if (option == "--point") found.prompt.points.push_back(parse_point(value));
        else if (option == "--threads") found.threads = whole(option, value, 1024);
        else if (option == "--onnxruntime") found.onnxruntime = value;
        else if (option == "--out") out = value;
        else if (option == "--csv") csv = value;
        else if (option == "--repeat") repeat = value, found.repeat = whole(option, value, 1000000);
        else if (found.prompt.box)
            throw Failure(ARGUMENTS, {"--box is given twice; one box goes with one mask"});
        else found.prompt.box = parse_box(value);
    }
    if (places.size() != 2)
        throw Failure(ARGUMENTS, {"wanted a model's folder and a photo, not ", places.size(), " of them",
                                  SEE_HELP});
    found.model = path_of(places[0]), found.photo = path_of(places[1]);
    if (found.prompt.points.empty() && !found.prompt.box)
        throw Failure(ARGUMENTS, {"no prompt; wanted --point X,Y or --box X0,Y0,X1,Y1"});
    if (!out || path_of(*out).extension() != ".png")
        throw Failure(ARGUMENTS, {"--out is ", out ? "'" + *out + "'" : "missing",
                                  "; wanted a file that ends in .png"});
    if (repeat.has_value() != csv.has_value())
        throw Failure(ARGUMENTS, {"--repeat and --csv go together; ", repeat ? "--csv" : "--repeat",
                                  " is missing"});
    found.out = path_of(*out);
    if (csv) found.csv = path_of(*csv);
    return found;
}

double now_ms() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration<double, std::milli>(now).count();
}

Path candidate_path(const Path& out, int candidate) {
    return out.parent_path() / path_of(text({name_of(out.stem()), "_", candidate + 1, ".png"}));
}

NewFile times_file(const Path& csv, const std::vector<Times>& times) {
    std::string rows = "run,pre_ms,encode_ms,decode_ms,post_ms,total_ms,peak_mb\n";
    for (std::size_t run = 0; run < times.size(); ++run) {
        const Times& at = times[run];
        char row[200];
        std::snprintf(row, sizeof row, "%zu,%.4f,%.4f,%.4f,%.4f,%.4f,%.1f\n", run, at.pre, at.encode, at.decode,
                      at.post, at.total, at.peak);
        rows += row;
    }
    return {csv, Bytes(rows.begin(), rows.end())};
}

void segment(const Arguments& asked) {
    keep_large_blocks_apart();
    const Bundle bundle = read_bundle(asked.model);
    // Three things that need not wait for one another: hashing, reading the photo, opening the graphs.
    auto photo = std::async(std::launch::async, read_picture, asked.photo);
    auto verified = std::async(std::launch::async, verify, bundle);
    const Runtime runtime(asked.onnxruntime);
    auto opened = std::async(std::launch::async, [&] {
        return Model(bundle, runtime, asked.threads ? asked.threads : fewer_cores());
    });
    Picture picture = photo.get();
    EncodedPrompt prompt = encode(asked.prompt, picture.width, picture.height, bundle.input_size);
    // That a graph was changed says more than the error of a library that opens it.
    verified.get();
    const Model model = opened.get();
    // Opening both graphs leaves memory that is free.
    give_back_memory();
    runtime.pool().give_back();

    std::vector<Times> times;
    std::vector<NewFile> files;
    std::string said;
    for (int run = 0; run < asked.repeat; ++run) {
        const double start = now_ms();
        std::vector<float> pixels = preprocess(picture, bundle);
        const double prepared = now_ms();
        const bool is_last = run + 1 == asked.repeat;
        if (is_last) picture = {picture.width, picture.height, {}, {}};  // 36 MB of 12 megapixels
        const std::vector<Tensor> features = model.encode(std::move(pixels));
        const double encoded = now_ms();
        const Answer answer = model.decode(features, prompt);
        const double decoded = now_ms();
        std::vector<Mask> masks;
        const std::size_t size = std::size_t(bundle.mask_size.height) * std::size_t(bundle.mask_size.width);
        for (int i = 0; i < CANDIDATES; ++i)
            if (asked.all_candidates || i == answer.best())
                masks.push_back(restore(answer.logits.data() + std::size_t(i) * size, bundle.mask_size,
                                        picture.width, picture.height));
        const double done = now_ms();
        if (!asked.csv.empty())
            times.push_back({prepared - start, encoded - prepared, decoded - encoded, done - decoded,
                             done - start, peak_megabytes()});
        if (!is_last) continue;
        for (std::size_t i = 0; i < masks.size(); ++i) {
            const int candidate = asked.all_candidates ? int(i) : answer.best();
            files.push_back({asked.all_candidates ? candidate_path(asked.out, candidate) : asked.out,
                             encode_png(masks[i])});
            char line[64];
            std::snprintf(line, sizeof line, ": score %.4f\n", double(answer.scores[std::size_t(candidate)]));
            said += name_of(files.back().path) + line;
        }
    }
    if (!asked.csv.empty()) files.push_back(times_file(asked.csv, times));
    write_files(files);
    std::fputs(said.c_str(), stdout);
}

int run(const std::vector<std::string>& arguments) {
    for (const std::string& each : arguments)
        if (each == "--help" || each == "-h") {
            std::fputs(HELP, stdout);
            return DONE;
        }
    try {
        segment(parse(arguments));
        return DONE;
    } catch (const Failure& failure) {
        std::fprintf(stderr, "sam2lab-segment: %s\n", failure.what());
        return failure.code;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "sam2lab-segment: %s\n", error.what());
        return DEFECT;
    }
}

}  // namespace
}  // namespace sam2lab

#ifdef _WIN32
int wmain(int count, wchar_t** words) {
    std::vector<std::string> arguments;
    for (int i = 1; i < count; ++i) arguments.push_back(sam2lab::name_of(words[i]));
    return sam2lab::run(arguments);
}
#else
int main(int count, char** words) { return sam2lab::run({words + 1, words + count}); }
#endif
