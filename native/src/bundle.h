// Reads a bundle: the folder of graphs that sam2lab exports, with their bundle.json.
#pragma once

#include <array>
#include <string>

#include "files.h"

namespace sam2lab {

struct Size {
    int height, width;
};

struct Graph {
    Path path;
    std::string sha256;
};

struct Bundle {
    Size input_size;
    Size mask_size;  // of the low-resolution logits, four times that of the embedding
    std::array<double, 3> mean, std;
    Graph encoder, decoder;
};

// Checks what bundle.json says and that both files have their sizes; `verify` compares each byte.
Bundle read_bundle(const Path& folder);
void verify(const Bundle& bundle);

}  // namespace sam2lab
