// SHA-256 (FIPS 180-4), by which a bundle's files are known.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace sam2lab {

class Sha256 {
public:
    void add(const std::uint8_t* bytes, std::size_t count);
    std::string hexadecimal();  // ends the digest

private:
    std::uint32_t state_[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                               0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    std::uint8_t block_[64] = {};
    std::uint64_t count_ = 0;
};

}  // namespace sam2lab
