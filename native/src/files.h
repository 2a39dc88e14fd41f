// Reads whole files, and writes files so that they are there whole or not at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sam2lab {

using Bytes = std::vector<std::uint8_t>;
using Path = std::filesystem::path;

// Paths come from and go into messages as UTF-8, on Windows too.
Path path_of(const std::string& utf8);
std::string name_of(const Path& path);

// Throws a std::runtime_error with the system's reason.
Bytes read_file(const Path& path);

// Hexadecimal digits. The file is read in pieces, because a large encoder has 900 MB.
std::string sha256_of_file(const Path& path);

struct NewFile {
    Path path;
    Bytes content;
};

// Writes all beside their places, then moves them there; an error leaves the places as they were.
void write_files(const std::vector<NewFile>& files);

}  // namespace sam2lab
