#include "picture.h"

#include <cstring>
#include <utility>

#include "failure.h"

namespace sam2lab {
namespace {

// That of Pillow, beyond which a file may be a decompression bomb.
const unsigned long MOST_PIXELS = 89478485;

template <class T>
void turn(std::vector<T>& pixels, int& width, int& height, int orientation) {
    const bool crossed = orientation >= 5;
    const bool mirror_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    const bool mirror_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    const int new_width = crossed ? height : width, new_height = crossed ? width : height;
    std::vector<T> turned(pixels.size());
    T* target = turned.data();
    for (int y = 0; y < new_height; ++y)
        for (int x = 0; x < new_width; ++x, target += 3) {
            const int across = crossed ? y : x, down = crossed ? x : y;
            const std::size_t column = mirror_x ? width - 1 - across : across;
            const std::size_t row = mirror_y ? height - 1 - down : down;
            std::memcpy(target, &pixels[3 * (row * width + column)], 3 * sizeof(T));
        }
    pixels = std::move(turned);
    width = new_width, height = new_height;
}

bool begins_with(const Bytes& file, const char* mark, std::size_t length) {
    return file.size() >= length && !std::memcmp(file.data(), mark, length);
}

}  // namespace

void check_pixels(unsigned long width, unsigned long height) {
    if (width == 0 || height == 0) throw std::runtime_error("it has no pixels");
    if (width > MOST_PIXELS / height)
        throw std::runtime_error(text({"its ", width, " x ", height, " pixels are more than ", MOST_PIXELS}));
}

Picture read_picture(const Path& path) {
    const std::string name = name_of(path);
    try {
        const Bytes file = read_file(path);
        Decoded found;
        if (begins_with(file, "\xff\xd8\xff", 3)) decode_jpeg(file, found);
        else if (begins_with(file, "\x89PNG\r\n\x1a\n", 8)) decode_png(file, found);
        else throw Failure(PHOTO, {"photo: ", name, " is neither a JPEG nor a PNG file; save it as one"});
        Picture& picture = found.picture;
        const int turned = orientation(found);
        if (turned > 1 && picture.shares.empty())
            turn(picture.levels, picture.width, picture.height, turned);
        else if (turned > 1)
            turn(picture.shares, picture.width, picture.height, turned);
        return std::move(picture);
    } catch (const Failure&) {
        throw;
    } catch (const std::exception& reason) {
        throw Failure(PHOTO, {"photo: ", name, " cannot be read (", reason.what(),
                      "); check the path, or save the picture anew"});
    }
}

}  // namespace sam2lab
