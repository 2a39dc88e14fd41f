#include "model.h"

#include <algorithm>

namespace sam2lab {

Model::Model(const Bundle& bundle, const Runtime& runtime, int threads)
    : runtime_(runtime),
      mask_size_(bundle.mask_size),
      pixels_shape_{1, 3, bundle.input_size.height, bundle.input_size.width},
      opening_(std::async(std::launch::async, [&] { return Session(runtime, bundle.decoder.path, threads); })),
      encoder_(runtime, bundle.encoder.path, threads),
      decoder_(opening_.get()) {}

std::vector<Tensor> Model::encode(std::vector<float> pixels) const {
    const Tensor image(runtime_, pixels, pixels_shape_);
    return encoder_.run({{"image", image}}, {"image_embed", "high_res_feats_0", "high_res_feats_1"});
}

Answer Model::decode(const std::vector<Tensor>& features, EncodedPrompt& prompt) const {
    const std::int64_t points = std::int64_t(prompt.labels.size());
    const std::int64_t height = mask_size_.height, width = mask_size_.width;
    std::vector<float> no_mask(std::size_t(height * width)), has_mask = {0};
    const Tensor coords(runtime_, prompt.coords, {1, points, 2}), labels(runtime_, prompt.labels, {1, points});
    const Tensor mask(runtime_, no_mask, {1, 1, height, width}), has(runtime_, has_mask, {1});
    const std::vector<Tensor> found = decoder_.run({{"image_embed", features[0]},
                                                    {"high_res_feats_0", features[1]},
                                                    {"high_res_feats_1", features[2]},
                                                    {"point_coords", coords},
                                                    {"point_labels", labels},
                                                    {"mask_input", mask},
                                                    {"has_mask_input", has}},
                                                   {"masks", "iou_predictions"});
    found[0].check_shape("masks", {1, CANDIDATES, height, width});
    found[1].check_shape("iou_predictions", {1, CANDIDATES});
    return {found[0], std::vector<float>(found[1].data(), found[1].data() + CANDIDATES)};
}

int Answer::best() const { return int(std::max_element(scores.begin(), scores.end()) - scores.begin()); }

}  // namespace sam2lab
