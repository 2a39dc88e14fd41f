#include "pool.h"

#include <algorithm>
#include <iterator>

#include "machine.h"

namespace sam2lab {
namespace {

// What is not touched of a piece is not held, so that it may be large.
const std::size_t PIECE = std::size_t(1) << 26;
// That of onnxruntime's own memory, which the widest instructions want.
const std::size_t ALIGNMENT = 64;

}  // namespace

Pool::Pool(const ort::MemoryInfo* info) : ort::Allocator{}, info_(info) {
    version = ort::API_VERSION;
    // An error leaves as an exception, as from the library's own memory.
    Alloc = [](ort::Allocator* pool, std::size_t size) { return static_cast<Pool*>(pool)->take(size); };
    Free = [](ort::Allocator* pool, void* block) { static_cast<Pool*>(pool)->put(block); };
    Info = [](const ort::Allocator* pool) { return static_cast<const Pool*>(pool)->info_; };
}

void* Pool::take(std::size_t size) {
    if (size == 0) return nullptr;
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    const std::lock_guard<std::mutex> guard(lock_);
    auto best = gaps_.end();
    for (auto gap = gaps_.begin(); gap != gaps_.end(); ++gap)
        if (gap->second >= size && (best == gaps_.end() || gap->second < best->second)) best = gap;
    if (best == gaps_.end()) {
        std::size_t room = std::max(size, PIECE) + ALIGNMENT;
        pieces_.emplace_back(new char[room]);
        void* start = pieces_.back().get();
        std::align(ALIGNMENT, room - ALIGNMENT, start, room);
        best = gaps_.emplace(static_cast<char*>(start), std::max(size, PIECE)).first;
    }
    char* const block = best->first;
    const std::size_t rest = best->second - size;
    gaps_.erase(best);
    if (rest) gaps_.emplace(block + size, rest);
    taken_.emplace(block, size);
    return block;
}

void Pool::put(void* block) {
    const std::lock_guard<std::mutex> guard(lock_);
    const auto known = taken_.find(block);
    if (known == taken_.end()) return;
    const auto gap = gaps_.emplace(static_cast<char*>(block), known->second).first;
    taken_.erase(known);
    const auto join = [&](auto left, auto right) {
        if (right == gaps_.end() || left->first + left->second != right->first) return;
        left->second += right->second;
        gaps_.erase(right);
    };
    join(gap, std::next(gap));
    if (gap != gaps_.begin()) join(std::prev(gap), gap);
}

void Pool::give_back() {
    const std::lock_guard<std::mutex> guard(lock_);
    for (const auto& [start, size] : gaps_) sam2lab::give_back(start, size);
}

}  // namespace sam2lab
