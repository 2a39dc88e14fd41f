// Runs a bundle's graphs by onnxruntime.
#include <future>

#include "sam2lab.h"

namespace sam2lab {
namespace {

// Throws what onnxruntime says of an error.
void check(const ort::Api& api, ort::Status* status) {
    if (!status) return;
    const std::string message = api.GetErrorMessage(status);
    api.ReleaseStatus(status);
    throw std::runtime_error(message);
}

}  // namespace

Model::Model(const Bundle& bundle, const std::string& onnxruntime, int threads)
    : api_(open_onnxruntime(onnxruntime)),
      input_size_(bundle.input_size),
      mask_size_(bundle.mask_size) {
    ort::MemoryInfo* memory = nullptr;
    check(api_, api_.CreateCpuMemoryInfo(ort::NO_ARENA, ort::DEFAULT_MEMORY, &memory));
    memory_.reset(memory, api_.ReleaseMemoryInfo);
    pool_ = std::make_shared<Pool>(memory);
    ort::Env* env = nullptr;
    check(api_, api_.CreateEnv(ort::LOG_ERRORS, "sam2lab-segment", &env));
    env_.reset(env, api_.ReleaseEnv);
    check(api_, api_.RegisterAllocator(env, pool_.get()));
    // Side by side, which takes half as long on two cores.
    const auto open_decoder = [&] { return open(bundle.decoder.path, threads); };
    auto opened = std::async(std::launch::async, open_decoder);
    encoder_ = open(bundle.encoder.path, threads);
    decoder_ = opened.get();
    // Opening both leaves memory that is free.
    pool_->give_back_memory();
}

Model::Graph Model::open(const Path& path, int threads) const {
    try {
        ort::SessionOptions* options = nullptr;
        check(api_, api_.CreateSessionOptions(&options));
        const std::shared_ptr<ort::SessionOptions> kept(options, api_.ReleaseSessionOptions);
        // What sam2lab sets, as far as C can: `enable_mem_reuse` is in Python alone.
        check(api_, api_.DisableMemPattern(options));
        check(api_, api_.AddSessionConfigEntry(options, "session.use_env_allocators", "1"));
        check(api_, api_.AddSessionConfigEntry(options, "session.x64quantprecision", "1"));
        check(api_, api_.SetIntraOpNumThreads(options, threads));
        ort::Session* session = nullptr;
        check(api_, api_.CreateSession(env_.get(), path.c_str(), options, &session));
        return {name_of(path), {session, api_.ReleaseSession}};
    } catch (const std::exception& reason) {
        throw Failure(MODEL, name_of(path), " cannot be opened by onnxruntime: ", reason.what());
    }
}

Tensor Model::tensor(std::vector<float>& data, const std::vector<std::int64_t>& shape) const {
    ort::Value* value = nullptr;
    check(api_, api_.CreateTensorWithDataAsOrtValue(memory_.get(), data.data(),
                                                    data.size() * sizeof(float), shape.data(),
                                                    shape.size(), ort::FLOAT, &value));
    return {value, api_.ReleaseValue};
}

// An output without a tensor gets one; into another onnxruntime writes, or fails where its shape or
// type does not fit.
void Model::run(const Graph& graph, const Named& inputs, Named& outputs) const {
    std::vector<const char*> input_names, output_names;
    std::vector<const ort::Value*> given;
    std::vector<ort::Value*> found;
    for (const auto& [name, value] : inputs)
        input_names.push_back(name), given.push_back(value.get());
    for (const auto& [name, value] : outputs)
        output_names.push_back(name), found.push_back(value.get());
    try {
        check(api_, api_.Run(graph.session.get(), nullptr, input_names.data(), given.data(),
                             given.size(), output_names.data(), found.size(), found.data()));
    } catch (const std::exception& reason) {
        throw Failure(MODEL, graph.name, " fails in onnxruntime: ", reason.what());
    }
    for (std::size_t i = 0; i < found.size(); ++i)
        if (!outputs[i].second) outputs[i].second.reset(found[i], api_.ReleaseValue);
}

std::vector<Tensor> Model::encode(std::vector<float> pixels) const {
    const Tensor image = tensor(pixels, {1, 3, input_size_.height, input_size_.width});
    Named features = {{"image_embed", {}}, {"high_res_feats_0", {}}, {"high_res_feats_1", {}}};
    run(encoder_, {{"image", image}}, features);
    return {features[0].second, features[1].second, features[2].second};
}

Answer Model::decode(const std::vector<Tensor>& features, Prompt prompt) const {
    const std::int64_t points = std::int64_t(prompt.labels.size());
    const std::int64_t height = mask_size_.height, width = mask_size_.width;
    std::vector<float> no_mask(mask_size_.area()), has_mask = {0};
    Answer answer;
    answer.logits.resize(CANDIDATES * mask_size_.area());
    answer.scores.resize(CANDIDATES);
    Named outputs = {{"masks", tensor(answer.logits, {1, CANDIDATES, height, width})},
                     {"iou_predictions", tensor(answer.scores, {1, CANDIDATES})}};
    run(decoder_,
        {{"image_embed", features[0]},
         {"high_res_feats_0", features[1]},
         {"high_res_feats_1", features[2]},
         {"point_coords", tensor(prompt.coords, {1, points, 2})},
         {"point_labels", tensor(prompt.labels, {1, points})},
         {"mask_input", tensor(no_mask, {1, 1, height, width})},
         {"has_mask_input", tensor(has_mask, {1})}},
        outputs);
    return answer;
}

}  // namespace sam2lab
