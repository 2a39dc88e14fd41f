// torch's two bilinear resizings with torch's own weights: sam2lab/runtime/resample.py in C++.
#pragma once

#include <vector>

#include "bundle.h"
#include "picture.h"

namespace sam2lab {

// The pixels that an encoder takes, (3, height, width), normalised.
std::vector<float> preprocess(const Picture& picture, const Bundle& bundle);

// Enlarges logits to the size of a photo, without antialiasing; where they are above 0 is the mask.
Mask restore(const float* logits, Size size, int photo_width, int photo_height);

}  // namespace sam2lab
