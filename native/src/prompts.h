// Checks points and boxes, and scales them to the model's input: sam2lab/runtime/prompts.py in C++.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "bundle.h"

namespace sam2lab {

struct Point {
    double x, y;
    bool on_object;
};

struct Prompt {
    std::vector<Point> points;
    std::optional<std::array<double, 4>> box;  // two opposite corners, in any order
};

// The decoder's arrays (1, P, 2) and (1, P).
struct EncodedPrompt {
    std::vector<float> coords, labels;
};

Point parse_point(const std::string& text);
std::array<double, 4> parse_box(const std::string& text);
EncodedPrompt encode(const Prompt& prompt, int photo_width, int photo_height, Size input_size);

}  // namespace sam2lab
