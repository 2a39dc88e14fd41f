// The memory of onnxruntime's tensors, and what the C library keeps of memory that was freed.
#include <algorithm>
#include <iterator>
#include <mutex>

#ifdef __GLIBC__
#include <malloc.h>
#endif
#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

#include "sam2lab.h"

namespace sam2lab {
namespace {

// Returns the whole pages of a block to the system until they are used again.
void give_back([[maybe_unused]] void* block, [[maybe_unused]] std::size_t size) {
#ifdef __linux__
    const auto page = std::uintptr_t(sysconf(_SC_PAGESIZE));
    const auto first = (std::uintptr_t(block) + page - 1) / page * page;
    const auto last = (std::uintptr_t(block) + size) / page * page;
    if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
#endif
}

}  // namespace

Pool::Pool(const ort::MemoryInfo* info) : ort::Allocator{}, info_(info) {
    version = ort::API_VERSION;
    // An error leaves as an exception, as from the library's own memory.
    Alloc = [](Allocator* pool, std::size_t size) { return static_cast<Pool*>(pool)->take(size); };
    Free = [](Allocator* pool, void* block) { static_cast<Pool*>(pool)->put(block); };
    Info = [](const Allocator* pool) { return static_cast<const Pool*>(pool)->info_; };
}

void* Pool::take(std::size_t size) {
    if (size == 0) return nullptr;
    const std::size_t lines = (size + sizeof(Line) - 1) / sizeof(Line);
    const std::lock_guard<std::mutex> guard(lock_);
    auto best = blocks_.end();
    for (auto each = blocks_.begin(); each != blocks_.end(); ++each)
        if (each->second.is_free && each->second.lines >= lines &&
            (best == blocks_.end() || each->second.lines < best->second.lines))
            best = each;
    if (best == blocks_.end()) {
        // What is not touched of a piece is not held, so that it may be large: 64 MB.
        const std::size_t most = std::max<std::size_t>(lines, 1 << 20);
        pieces_.emplace_back(new Line[most]);
        best = blocks_.emplace(pieces_.back().get(), Block{most, true}).first;
    }
    const std::size_t rest = best->second.lines - lines;
    if (rest) blocks_.emplace(best->first + lines, Block{rest, true});
    best->second = {lines, false};
    return best->first;
}

void Pool::put(void* start) {
    const std::lock_guard<std::mutex> guard(lock_);
    const auto block = blocks_.find(static_cast<Line*>(start));
    if (block == blocks_.end()) return;
    block->second.is_free = true;
    const auto join_with_next = [&](auto left) {
        const auto right = std::next(left);
        if (right == blocks_.end() || !left->second.is_free || !right->second.is_free ||
            left->first + left->second.lines != right->first)
            return;
        left->second.lines += right->second.lines;
        blocks_.erase(right);
    };
    join_with_next(block);
    if (block != blocks_.begin()) join_with_next(std::prev(block));
}

void Pool::give_back_memory() {
    const std::lock_guard<std::mutex> guard(lock_);
    for (const auto& [start, block] : blocks_)
        if (block.is_free) give_back(start, block.lines * sizeof(Line));
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

}  // namespace sam2lab
