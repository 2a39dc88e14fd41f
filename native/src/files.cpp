// Reads whole files, and writes files so that they are there whole or not at all.
#include <cerrno>
#include <fstream>
#include <random>
#include <system_error>

#include "sam2lab.h"

namespace sam2lab {
namespace {

std::system_error last_error() { return {errno, std::generic_category()}; }

}  // namespace

Path path_of(const std::string& utf8) { return std::filesystem::u8path(utf8); }

std::string name_of(const Path& path) { return path.u8string(); }

void read_pieces(const Path& path, const std::function<void(const Bytes& piece)>& take) {
    Bytes piece(1 << 18);
    std::ifstream file(path, std::ios::binary);
    while (file.read(reinterpret_cast<char*>(piece.data()), std::streamsize(piece.size())))
        take(piece);
    if (!file.eof()) throw last_error();
    piece.resize(std::size_t(file.gcount()));
    take(piece);
}

Bytes read_file(const Path& path) {
    Bytes all;
    read_pieces(path, [&](const Bytes& each) { all.insert(all.end(), each.begin(), each.end()); });
    return all;
}

void write_files(const std::vector<NewFile>& files) {
    std::vector<Path> unfinished;
    const NewFile* current = nullptr;
    try {
        for (const NewFile& each : files) {
            current = &each;
            const std::string own_name = name_of(each.path.filename());
            const std::string beside = text(".", own_name, ".", std::random_device()());
            unfinished.push_back(each.path.parent_path() / path_of(beside));
            std::ofstream file(unfinished.back(), std::ios::binary);
            file.write(reinterpret_cast<const char*>(each.content.data()),
                       std::streamsize(each.content.size()));
            // A full disk may show only when the last of the buffer is written.
            file.close();
            if (!file) throw last_error();
        }
        for (std::size_t i = 0; i < files.size(); ++i) {
            current = &files[i];
            std::filesystem::rename(unfinished[i], files[i].path);
        }
    } catch (const std::exception& error) {
        std::error_code ignored;
        for (const Path& path : unfinished) std::filesystem::remove(path, ignored);
        throw Failure(OUTPUT, name_of(current->path), " cannot be written (", error.what(),
                      "); choose another place with --out or --csv");
    }
}

}  // namespace sam2lab
