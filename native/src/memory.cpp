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

// What is not touched of a piece is not held, so that it may be large.
const std::size_t PIECE = std::size_t(1) << 26;
// That of onnxruntime's own memory, which the widest instructions want.
const std::size_t ALIGNMENT = 64;

// Returns the whole pages of a block to the system until they are used again.
void give_back([[maybe_unused]] char* block, [[maybe_unused]] std::size_t size) {
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
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    const std::lock_guard<std::mutex> guard(lock_);
    auto best = blocks_.end();
    for (auto each = blocks_.begin(); each != blocks_.end(); ++each)
        if (each->second.is_free && each->second.size >= size &&
            (best == blocks_.end() || each->second.size < best->second.size))
            best = each;
    if (best == blocks_.end()) {
        const std::size_t most = std::max(size, PIECE);
        std::size_t room = most + ALIGNMENT;
        pieces_.emplace_back(new char[room]);
        void* start = pieces_.back().get();
        std::align(ALIGNMENT, most, start, room);
        best = blocks_.emplace(static_cast<char*>(start), Block{most, true}).first;
    }
    const std::size_t rest = best->second.size - size;
    if (rest) blocks_.emplace(best->first + size, Block{rest, true});
    best->second = {size, false};
    return best->first;
}

void Pool::put(void* address) {
    const std::lock_guard<std::mutex> guard(lock_);
    const auto block = blocks_.find(static_cast<char*>(address));
    if (block == blocks_.end()) return;
    block->second.is_free = true;
    const auto join_with_next = [&](auto left) {
        const auto right = std::next(left);
        if (right == blocks_.end() || !left->second.is_free || !right->second.is_free ||
            left->first + left->second.size != right->first)
            return;
        left->second.size += right->second.size;
        blocks_.erase(right);
    };
    join_with_next(block);
    if (block != blocks_.begin()) join_with_next(std::prev(block));
}

void Pool::give_back_memory() {
    const std::lock_guard<std::mutex> guard(lock_);
    for (const auto& [start, block] : blocks_)
        if (block.is_free) give_back(start, block.size);
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

}  // namespace sam2lab
