// A bundle that is open: encodes a photo once, then answers prompts on it.
#pragma once

#include <future>
#include <vector>

#include "bundle.h"
#include "onnxruntime.h"
#include "prompts.h"

namespace sam2lab {

const int CANDIDATES = 3;

struct Answer {
    Tensor logits;  // (1, 3, height, width), low-resolution
    std::vector<float> scores;
    int best() const;
};

class Model {
public:
    // Opens encoder and decoder side by side, which takes half as long on two cores.
    Model(const Bundle& bundle, const Runtime& runtime, int threads);

    std::vector<Tensor> encode(std::vector<float> pixels) const;
    Answer decode(const std::vector<Tensor>& features, EncodedPrompt& prompt) const;

private:
    const Runtime& runtime_;
    Size mask_size_;
    std::vector<std::int64_t> pixels_shape_;
    std::future<Session> opening_;
    Session encoder_, decoder_;
};

}  // namespace sam2lab
