// Reads JPEG and PNG files as sam2lab reads them by Pillow: upright, RGB, the same values.
#pragma once

#include <string>
#include <vector>

#include "files.h"

namespace sam2lab {

// Interleaved RGB, of which one is filled: 8 bits, or, from a grey file of 16, floats in [0, 1].
struct Picture {
    int width = 0, height = 0;
    std::vector<std::uint8_t> levels;
    std::vector<float> shares;
};

// What a decoder found in a file.
struct Decoded {
    Picture picture;
    bool has_exif = false, exif_is_broken = false;
    std::string exif, xmp;
};

// A bit for each pixel, the leftmost highest, as a PNG of one bit has them.
struct Mask {
    int width, height;
    Bytes bits;

    Mask(int w, int h) : width(w), height(h), bits(row_bytes() * std::size_t(h)) {}
    std::size_t row_bytes() const { return std::size_t(width + 7) / 8; }
    std::uint8_t* row(int y) { return bits.data() + row_bytes() * std::size_t(y); }
    const std::uint8_t* row(int y) const { return bits.data() + row_bytes() * std::size_t(y); }
};

// Refuses, with what to do, a file of another kind and a damaged one.
Picture read_picture(const Path& path);

// The parts of `read_picture`; they throw a std::runtime_error with the reason.
void decode_jpeg(const Bytes& file, Decoded& found);
void decode_png(const Bytes& file, Decoded& found);
Bytes encode_png(const Mask& mask);
void check_pixels(unsigned long width, unsigned long height);
int orientation(const Decoded& found);  // EXIF's, 1 to 8

}  // namespace sam2lab
