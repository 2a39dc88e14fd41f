// All that the files of this folder offer one another, file by file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "onnxruntime_interface.h"

namespace sam2lab {

using Bytes = std::vector<std::uint8_t>;
using Path = std::filesystem::path;

struct Size {
    int height, width;
    std::size_t area() const { return std::size_t(height) * std::size_t(width); }
};

// Joins pieces of a message, numbers in their shortest form.
template <class... Pieces>
std::string text(const Pieces&... pieces) {
    std::ostringstream all;
    (all << ... << pieces);
    return all.str();
}

enum Exit { DONE = 0, DEFECT = 1, ARGUMENTS = 2, MODEL = 3, PHOTO = 4, LIBRARY = 5, OUTPUT = 6 };

// What ends the program early: a message that says what came and what to do, and an exit code.
struct Failure : std::runtime_error {
    template <class... Pieces>
    Failure(Exit exit, const Pieces&... pieces) : std::runtime_error(text(pieces...)), code(exit) {}
    Exit code;
};

// files.cpp ------------------------------------------------------------------------------------

// Paths come from and go into messages as UTF-8, on Windows too.
Path path_of(const std::string& utf8);
std::string name_of(const Path& path);

// Throws the system's reason where it cannot read. A piece has 256 kB, the last one fewer: a large
// encoder has 900 MB, and a pipe has no size.
void read_pieces(const Path& path, const std::function<void(const Bytes& piece)>& take);
Bytes read_file(const Path& path);

struct NewFile {
    Path path;
    Bytes content;
};

// Writes all beside their places, then moves them there; an error leaves the places as they were.
void write_files(const std::vector<NewFile>& files);

// sha256.cpp -----------------------------------------------------------------------------------

std::string sha256_of_file(const Path& path);  // hexadecimal digits

// json.cpp -------------------------------------------------------------------------------------

// The values of a JSON text by their JSON pointers (RFC 6901), such as "/model/input_size/0".
struct Json {
    std::map<std::string, std::string> texts;
    std::map<std::string, double> numbers;

    // These throw a std::runtime_error that names the pointer.
    const std::string& text_at(const std::string& pointer) const;
    long long whole_at(const std::string& pointer, long long least, long long most) const;
};

// Throws a std::runtime_error that names the place where the text is no JSON (RFC 8259).
Json parse_json(const Bytes& utf8);

// bundle.cpp -----------------------------------------------------------------------------------

struct GraphFile {
    Path path;
    std::string sha256;
};

// The folder that `python -m sam2lab export` writes.
struct Bundle {
    Size input_size, mask_size;  // of an encoder's pixels, and of a decoder's logits
    std::vector<double> mean, std;  // of three channels
    GraphFile encoder, decoder;
};

// Checks what bundle.json says and that both files have their sizes; `verify` compares each byte.
Bundle read_bundle(const Path& folder);
void verify(const Bundle& bundle);

// picture.cpp, jpeg.cpp, png.cpp ---------------------------------------------------------------

// Interleaved RGB, of which one is filled: 8 bits, or, from a grey file of 16, floats in [0, 1].
struct Picture {
    Size size{};
    std::vector<std::uint8_t> levels;
    std::vector<float> shares;
    std::string exif, xmp;  // where the file says how the pixels are to be turned
};

// Reads a JPEG or PNG file as sam2lab does by Pillow: upright, the same values. Refuses others.
Picture read_picture(const Path& path);

// The parts of it, which throw a std::runtime_error with the reason.
void decode_jpeg(const Bytes& file, Picture& picture);
void decode_png(const Bytes& file, Picture& picture);
Size checked_size(unsigned long height, unsigned long width);

// A bit for each pixel, the leftmost highest, as a PNG of one bit has them.
struct Mask {
    Size size;
    Bytes bits = Bytes(row_bytes() * std::size_t(size.height));

    std::size_t row_bytes() const { return std::size_t(size.width + 7) / 8; }
};

Bytes encode_png(const Mask& mask);

// resample.cpp ---------------------------------------------------------------------------------

// The pixels that an encoder takes, (3, height, width), normalised.
std::vector<float> preprocess(const Picture& picture, const Bundle& bundle);

// Enlarges logits to the size of a photo; where they are above 0 is the mask.
Mask restore(const float* logits, Size size, Size photo);

// arguments.cpp --------------------------------------------------------------------------------

struct Point {
    double x, y, label;  // 1 on the object, 0 beside it
};

struct Arguments {
    Path model, photo, out, csv;
    std::vector<Point> points;
    std::vector<double> box;  // two opposite corners, in any order, or nothing
    std::string onnxruntime;
    int threads = 0, repeat = 1;  // no threads: as many as fit
    bool all_candidates = false;
};

extern const char HELP[];
Arguments parse(const std::vector<std::string>& words);

// A decoder's arrays (1, P, 2) and (1, P).
struct Prompt {
    std::vector<float> coords, labels;
};

// Checks points and box against the photo, and scales them to the model's input.
Prompt encode_prompt(const Arguments& asked, Size photo, Size input);

// memory.cpp -----------------------------------------------------------------------------------

// The memory of onnxruntime's tensors, each cut from the smallest gap in large pieces of the
// system's memory. Both graphs share it, so the decoder computes where the encoder did. The
// library's own arenas, one for each graph, keep a block for every tensor size: nano then peaks at
// 89 MB instead of 79.
class Pool : public ort::Allocator {
public:
    explicit Pool(const ort::MemoryInfo* info);
    void give_back_memory();  // what is free here or in the C library, to the system

private:
    struct alignas(64) Line {  // as onnxruntime's own memory is, for the widest instructions
        char bytes[64];
    };
    struct Block {
        std::size_t lines;
        bool is_free;
    };

    void* take(std::size_t size);
    void put(void* start);

    const ort::MemoryInfo* info_;
    std::mutex lock_;
    std::vector<std::unique_ptr<Line[]>> pieces_;
    std::map<Line*, Block> blocks_;  // by their starts
};

// onnxruntime.cpp ------------------------------------------------------------------------------

// Opens the shared library. `given` is its file, or empty: then SAM2LAB_ONNXRUNTIME, the system's
// library and those of the active Python environment are tried, in this order.
const ort::Api& open_onnxruntime(const std::string& given);

// model.cpp ------------------------------------------------------------------------------------

using Tensor = std::shared_ptr<ort::Value>;

const int CANDIDATES = 3;

struct Answer {
    std::vector<float> logits, scores;  // (1, 3, height, width), of low resolution, and (1, 3)
};

// A bundle that is open: encodes a photo once, then answers prompts on it.
class Model {
public:
    // `threads` are those of one operator; 0 leaves their number to onnxruntime.
    Model(const Bundle& bundle, const std::string& onnxruntime, int threads);

    std::vector<Tensor> encode(std::vector<float> pixels) const;
    Answer decode(const std::vector<Tensor>& features, Prompt prompt) const;

private:
    struct Graph {
        std::string name;
        std::shared_ptr<ort::Session> session;
    };
    using Named = std::vector<std::pair<const char*, Tensor>>;

    Graph open(const Path& path, int threads) const;
    Tensor tensor(std::vector<float>& data, const std::vector<std::int64_t>& shape) const;
    void run(const Graph& graph, const Named& inputs, Named& outputs) const;

    const ort::Api& api_;
    Size input_size_, mask_size_;
    std::shared_ptr<ort::MemoryInfo> memory_;
    std::shared_ptr<Pool> pool_;
    std::shared_ptr<ort::Env> env_;  // after the pool, to which it gives back what it holds
    Graph encoder_, decoder_;
};

// machine.cpp ----------------------------------------------------------------------------------

// What has to be set before the first thread starts.
void prepare_process();

// The threads that onnxruntime should start: 0 leaves it to the library, which starts one for each
// core of the machine. Where this process may use fewer, as in a container, their number.
int fewer_cores();

// The most memory that this process has held so far, in 10^6 bytes.
double peak_megabytes();

}  // namespace sam2lab
