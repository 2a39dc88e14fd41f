// Opens onnxruntime's shared library while the program runs, and runs graphs with it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "files.h"
#include "pool.h"

namespace sam2lab {

// `given` is a library's file, or empty: then SAM2LAB_ONNXRUNTIME, the system's library and the
// wheels of the active Python environment are tried, in this order.
class Runtime {
public:
    explicit Runtime(const std::string& given);

    const ort::Api& api() const { return *api_; }
    ort::Env* env() const { return env_.get(); }
    ort::MemoryInfo* memory() const { return memory_.get(); }
    Pool& pool() const { return *pool_; }
    void check(ort::Status* status) const;  // throws a std::runtime_error with onnxruntime's words

private:
    const ort::Api* api_ = nullptr;
    std::shared_ptr<ort::MemoryInfo> memory_;
    std::shared_ptr<Pool> pool_;
    std::shared_ptr<ort::Env> env_;  // last, because what it holds goes back to the pool
};

// A float32 tensor, which belongs to onnxruntime or looks at memory of ours.
class Tensor {
public:
    Tensor(const Runtime& runtime, ort::Value* value);
    Tensor(const Runtime& runtime, std::vector<float>& data, std::vector<std::int64_t> shape);

    ort::Value* value() const { return value_.get(); }
    const float* data() const;
    // Refuses a graph that answers in another shape than its bundle says.
    void check_shape(const char* name, const std::vector<std::int64_t>& wanted) const;

private:
    const Runtime* runtime_;
    std::shared_ptr<ort::Value> value_;
};

struct Input {
    const char* name;
    const Tensor& tensor;
};

class Session {
public:
    // `threads` are those of one operator; 0 leaves their number to onnxruntime.
    Session(const Runtime& runtime, const Path& graph, int threads);
    std::vector<Tensor> run(const std::vector<Input>& inputs, const std::vector<const char*>& outputs) const;

private:
    const Runtime& runtime_;
    Path graph_;
    std::shared_ptr<ort::Session> session_;
};

}  // namespace sam2lab
