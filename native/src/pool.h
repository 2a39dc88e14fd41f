// The memory of onnxruntime's tensors, which takes less than the library's own.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "onnxruntime_interface.h"

namespace sam2lab {

// Cuts tensors out of large pieces of the system's memory, each from the smallest gap that it fits
// in. Both graphs share it, so the decoder computes where the encoder did. The library's own arenas,
// one for each graph, keep a block for every tensor size: nano then peaks at 89 MB instead of 79.
class Pool : public ort::Allocator {
public:
    explicit Pool(const ort::MemoryInfo* info);

    // Returns the gaps to the system until they are used again.
    void give_back();

private:
    void* take(std::size_t size);
    void put(void* block);

    const ort::MemoryInfo* info_;
    std::mutex lock_;
    std::vector<std::unique_ptr<char[]>> pieces_;
    std::map<char*, std::size_t> gaps_;
    std::unordered_map<void*, std::size_t> taken_;
};

}  // namespace sam2lab
