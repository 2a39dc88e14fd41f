// What the operating system says of this process.
#pragma once

namespace sam2lab {

// The threads that onnxruntime should start: 0 leaves it to the library, which starts one for each
// core of the machine. Where this process may use fewer, as in a container, their number.
int fewer_cores();

// The most memory that this process has held so far, in 10^6 bytes.
double peak_megabytes();

// Returns memory that was freed to the system, where the C library keeps it until told.
void give_back_memory();

}  // namespace sam2lab
