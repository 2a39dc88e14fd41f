// Segments one photo: reads files and prompts, writes masks. `HELP` in arguments.cpp says how.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <future>

#include "sam2lab.h"

namespace sam2lab {
namespace {

double now_ms() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration<double, std::milli>(now).count();
}

template <class... Values>
std::string formatted(const char* format, Values... values) {
    char line[200];
    std::snprintf(line, sizeof line, format, values...);
    return line;
}

void segment(const Arguments& asked) {
    prepare_process();
    const Bundle bundle = read_bundle(asked.model);
    // Three things that need not wait for one another.
    auto photo = std::async(std::launch::async, read_picture, asked.photo);
    auto verified = std::async(std::launch::async, verify, bundle);
    auto opened = std::async(std::launch::async, [&] {
        return Model(bundle, asked.onnxruntime, asked.threads ? asked.threads : fewer_cores());
    });
    Picture picture = photo.get();
    const Size size = picture.size;
    const Prompt prompt = encode_prompt(asked, size, bundle.input_size);
    // That a graph was changed says more than the error of a library that opens it.
    verified.get();
    const Model model = opened.get();

    Answer answer;
    std::vector<int> candidates;
    std::vector<Mask> masks;
    std::string rows = "run,pre_ms,encode_ms,decode_ms,post_ms,total_ms,peak_mb\n", said;
    for (int run = 0; run < asked.repeat; ++run) {
        masks.clear();
        const double start = now_ms();
        std::vector<float> pixels = preprocess(picture, bundle);
        const double prepared = now_ms();
        if (run + 1 == asked.repeat) picture = {};  // 36 MB of 12 megapixels
        const std::vector<Tensor> features = model.encode(std::move(pixels));
        const double encoded = now_ms();
        answer = model.decode(features, prompt);
        const double decoded = now_ms();
        const auto best = std::max_element(answer.scores.begin(), answer.scores.end());
        candidates = {int(best - answer.scores.begin())};
        if (asked.all_candidates) candidates = {0, 1, 2};
        for (int each : candidates) {
            const float* logits = &answer.logits[std::size_t(each) * bundle.mask_size.area()];
            masks.push_back(restore(logits, bundle.mask_size, size));
        }
        const double done = now_ms();
        rows += formatted("%d,%.4f,%.4f,%.4f,%.4f,%.4f,%.1f\n", run, prepared - start,
                          encoded - prepared, decoded - encoded, done - decoded, done - start,
                          peak_megabytes());
    }

    std::vector<NewFile> files;
    for (std::size_t i = 0; i < masks.size(); ++i) {
        Path out = asked.out;
        const std::string numbered = text(name_of(out.stem()), "_", candidates[i] + 1, ".png");
        if (asked.all_candidates) out.replace_filename(path_of(numbered));
        files.push_back({out, encode_png(masks[i])});
        said += name_of(out);
        said += formatted(": score %.4f\n", double(answer.scores[std::size_t(candidates[i])]));
    }
    if (!asked.csv.empty()) files.push_back({asked.csv, Bytes(rows.begin(), rows.end())});
    write_files(files);
    std::fputs(said.c_str(), stdout);
}

int run(const std::vector<std::string>& words) {
    for (const std::string& each : words)
        if (each == "--help" || each == "-h") {
            std::fputs(HELP, stdout);
            return DONE;
        }
    try {
        segment(parse(words));
        return DONE;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "sam2lab-segment: %s\n", error.what());
        const auto* failure = dynamic_cast<const Failure*>(&error);
        return failure ? failure->code : DEFECT;
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
