#include <algorithm>
#include <cstring>
#include <optional>

#include "sam2lab.h"

namespace sam2lab {
namespace {

// That of Pillow, beyond which a file may be a decompression bomb.
const unsigned long MOST_PIXELS = 89478485;
const int UPRIGHT = 1;

// The orientation in the first directory of a TIFF, of which any part may be missing. Pixels may be
// good where it is broken.
std::optional<std::uint64_t> from_exif(const std::string& tiff) {
    const auto has = [&](std::size_t place, std::uint64_t count) {
        return place <= tiff.size() && count <= tiff.size() - place;
    };
    const auto number = [&](std::size_t place, std::size_t size) {
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < size; ++i)
            value = value << 8 | std::uint8_t(tiff[place + (tiff[0] == 'M' ? i : size - 1 - i)]);
        return value;
    };
    static const std::string headers[] = {{"II*\0", 4}, {"MM\0*", 4}, {"MM*\0", 4}, {"II\0*", 4}};
    if (!has(0, 8) || !std::count(std::begin(headers), std::end(headers), tiff.substr(0, 4)))
        return UPRIGHT;
    std::size_t entry = std::size_t(number(4, 4)) + 2;
    if (!has(entry - 2, 2)) return {};
    // The bytes of each kind of whole number: SHORT, LONG, SBYTE, SSHORT, SLONG and IFD.
    static const std::map<std::uint64_t, std::size_t> sizes = {{3, 2}, {4, 4}, {6, 1},
                                                               {8, 2}, {9, 4}, {13, 4}};
    for (std::uint64_t left = number(entry - 2, 2); left && has(entry, 12); --left, entry += 12) {
        const auto size = sizes.find(number(entry + 2, 2));
        const std::uint64_t count = number(entry + 4, 4);
        if (number(entry, 2) != 0x0112 || size == sizes.end() || !count) continue;
        const std::uint64_t bytes = size->second * count;
        const std::size_t place = bytes > 4 ? std::size_t(number(entry + 8, 4)) : entry + 8;
        if (has(place, bytes)) return number(place, size->second);
    }
    return {};
}

std::optional<std::uint64_t> from_xmp(const std::string& xmp) {
    static const std::string tag = "tiff:Orientation";
    for (std::size_t at = 0; (at = xmp.find(tag, at)) != std::string::npos;) {
        at += tag.size();
        for (const std::string between : {"=\"", ">"}) {
            const std::size_t place = at + between.size();
            if (xmp.compare(at, between.size(), between) == 0 && place < xmp.size() &&
                xmp[place] >= '0' && xmp[place] <= '9')
                return xmp[place] - '0';
        }
    }
    return {};
}

// EXIF's, 1 to 8, found where Pillow finds it and nowhere else.
int orientation(const Picture& picture) {
    std::string exif = picture.exif;
    for (int i = 0; i < 2 && exif.compare(0, 6, "Exif\0\0", 6) == 0; ++i) exif.erase(0, 6);
    std::optional<std::uint64_t> found;
    if (!exif.empty()) found = from_exif(exif);
    if (!found) found = from_xmp(picture.xmp);
    return found && *found >= 1 && *found <= 8 ? int(*found) : UPRIGHT;
}

template <class T>
std::vector<T> turned(const std::vector<T>& pixels, Size from, Size to, int orientation) {
    const bool mirror_x = std::strchr("2378", '0' + orientation);
    const bool mirror_y = std::strchr("3467", '0' + orientation);
    std::vector<T> made;
    made.reserve(pixels.size());
    for (int y = 0; y < to.height && !pixels.empty(); ++y)
        for (int x = 0; x < to.width; ++x) {
            const int across = orientation >= 5 ? y : x, down = orientation >= 5 ? x : y;
            const int column = mirror_x ? from.width - 1 - across : across;
            const int row = mirror_y ? from.height - 1 - down : down;
            const auto pixel = pixels.begin() + 3 * (std::ptrdiff_t(row) * from.width + column);
            made.insert(made.end(), pixel, pixel + 3);
        }
    return made;
}

bool begins_with(const Bytes& file, const std::string& mark) {
    return file.size() >= mark.size() && !std::memcmp(file.data(), mark.data(), mark.size());
}

}  // namespace

Size checked_size(unsigned long height, unsigned long width) {
    if (width == 0 || height == 0) throw std::runtime_error("it has no pixels");
    if (width > MOST_PIXELS / height)
        throw std::runtime_error(
            text("its ", width, " x ", height, " pixels are more than ", MOST_PIXELS));
    return {int(height), int(width)};
}

Picture read_picture(const Path& path) {
    try {
        const Bytes file = read_file(path);
        Picture picture;
        if (begins_with(file, "\xff\xd8\xff")) decode_jpeg(file, picture);
        else if (begins_with(file, "\x89PNG\r\n\x1a\n")) decode_png(file, picture);
        else throw std::runtime_error("it is neither a JPEG nor a PNG file");
        const int turn = orientation(picture);
        if (turn == UPRIGHT) return picture;
        const Size from = picture.size;
        if (turn >= 5) picture.size = {from.width, from.height};
        picture.levels = turned(picture.levels, from, picture.size, turn);
        picture.shares = turned(picture.shares, from, picture.size, turn);
        return picture;
    } catch (const std::exception& reason) {
        throw Failure(PHOTO, "photo: ", name_of(path), " cannot be read (", reason.what(),
                      "); check the path, or save the picture anew as JPEG or PNG");
    }
}

}  // namespace sam2lab
