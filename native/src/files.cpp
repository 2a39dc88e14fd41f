#include "files.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>

#include "failure.h"
#include "sha256.h"

namespace sam2lab {
namespace {

struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Closer>;

std::runtime_error system_error() { return std::runtime_error(std::strerror(errno)); }

File open(const Path& path, bool for_writing) {
#ifdef _WIN32
    File file(_wfopen(path.c_str(), for_writing ? L"wbx" : L"rb"));
#else
    File file(std::fopen(path.c_str(), for_writing ? "wbx" : "rb"));
#endif
    if (!file) throw system_error();
    return file;
}

template <class Take>
void read_pieces(const Path& path, Take take) {
    File file = open(path, false);
    Bytes piece(1 << 18);
    while (std::size_t count = std::fread(piece.data(), 1, piece.size(), file.get()))
        take(piece.data(), count);
    if (std::ferror(file.get())) throw system_error();
}

Path beside(const Path& target) {
    static const char digits[] = "0123456789abcdef";
    std::random_device random;
    std::string mark = ".";
    for (int i = 0; i < 8; ++i) mark += digits[random() % 16];
    return target.parent_path() / path_of("." + name_of(target.filename()) + mark);
}

}  // namespace

Path path_of(const std::string& utf8) { return std::filesystem::u8path(utf8); }

std::string name_of(const Path& path) {
    const auto utf8 = path.u8string();
    return std::string(utf8.begin(), utf8.end());
}

Bytes read_file(const Path& path) {
    Bytes content;
    read_pieces(path, [&](const std::uint8_t* piece, std::size_t count) {
        content.insert(content.end(), piece, piece + count);
    });
    return content;
}

std::string sha256_of_file(const Path& path) {
    Sha256 digest;
    read_pieces(path, [&](const std::uint8_t* piece, std::size_t n) { digest.add(piece, n); });
    return digest.hexadecimal();
}

void write_files(const std::vector<NewFile>& files) {
    std::vector<Path> unfinished;
    const NewFile* current = nullptr;
    try {
        for (const NewFile& each : files) {
            current = &each;
            unfinished.push_back(beside(each.path));
            File file = open(unfinished.back(), true);
            std::fwrite(each.content.data(), 1, each.content.size(), file.get());
            // A full disk may show only when the last of the buffer is written.
            if (std::fflush(file.get()) || std::ferror(file.get())) throw system_error();
        }
        for (std::size_t i = 0; i < files.size(); ++i) {
            current = &files[i];
            std::filesystem::rename(unfinished[i], files[i].path);
        }
    } catch (const std::exception& error) {
        std::error_code ignored;
        for (const Path& path : unfinished) std::filesystem::remove(path, ignored);
        throw Failure(OUTPUT, {name_of(current->path), " cannot be written (", error.what(),
                      "); choose another place with --out or --csv"});
    }
}

}  // namespace sam2lab
