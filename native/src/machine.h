// What the operating system says of this process.
#pragma once

#include <cstddef>

namespace sam2lab {

// The threads that onnxruntime should start: 0 leaves it to the library, which starts one for each
// core of the machine. Where this process may use fewer, as in a container, their number.
int fewer_cores();

// The most memory that this process has held so far, in 10^6 bytes.
double peak_megabytes();

// Has blocks of more than 64 kB returned to the system whenever they are freed. Otherwise glibc
// puts ever larger ones among the small ones, where they leave gaps: 2 to 9 MB after opening nano.
void keep_large_blocks_apart();

// Returns memory that was freed to the system, where the C library keeps it until told.
void give_back_memory();
// The same for the whole pages of a block that stays, but whose content nobody needs any more.
void give_back(char* block, std::size_t size);

}  // namespace sam2lab
