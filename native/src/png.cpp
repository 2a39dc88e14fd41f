// PNG by libpng's full interface: the simple one converts by gamma, and does not tell EXIF.
#include <cctype>
#include <csetjmp>
#include <cstring>

#include <png.h>

#include "sam2lab.h"

namespace sam2lab {
namespace {

[[noreturn]] void leave(png_structp png, png_const_charp message) {
    *static_cast<std::string*>(png_get_error_ptr(png)) = message;
    png_longjmp(png, 1);
}

void say_nothing(png_structp, png_const_charp) {}

// What is freed after an error too. `decode` has nothing of its own to free, because a longjmp into
// it runs no destructors.
struct Reading {
    std::string message;
    const std::uint8_t* next;
    std::size_t left;
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &message, leave, say_nothing);
    png_infop info = png ? png_create_info_struct(png) : nullptr;
    Bytes deep;
    std::vector<png_bytep> rows;

    explicit Reading(const Bytes& file) : next(file.data()), left(file.size()) {}
    ~Reading() { png_destroy_read_struct(&png, &info, nullptr); }
};

void take(png_structp png, png_bytep target, std::size_t count) {
    auto& reading = *static_cast<Reading*>(png_get_io_ptr(png));
    if (count > reading.left) png_error(png, "it is cut short");
    std::memcpy(target, reading.next, count);
    reading.next += count, reading.left -= count;
}

// Old writers keep EXIF as hexadecimal digits in a text, after three lines of title.
std::string from_raw_profile(const std::string& profile) {
    std::istringstream lines(profile);
    static const std::string hexadecimal = "0123456789abcdefABCDEF";
    std::string line, digits, exif;
    for (int number = 0; std::getline(lines, line); ++number)
        for (unsigned char each : line)
            if (number >= 3 && !std::isspace(each)) digits += char(each);
    if (digits.size() % 2 || digits.find_first_not_of(hexadecimal) != std::string::npos)
        return "broken";
    for (std::size_t i = 0; i < digits.size(); i += 2)
        exif += char(std::stoi(digits.substr(i, 2), nullptr, 16));
    return exif;
}

void collect_texts(png_structp png, png_infop info, Picture& picture) {
    png_textp texts = nullptr;
    const int many = png_get_text(png, info, &texts, nullptr);
    for (png_textp each = texts; each != texts + many; ++each) {
        const bool is_utf8 = each->compression >= PNG_ITXT_COMPRESSION_NONE;
        const std::string key = each->key;
        const std::string value(each->text, is_utf8 ? each->itxt_length : each->text_length);
        if (key == "XML:com.adobe.xmp") picture.xmp = value;
        if (key == "Raw profile type exif") picture.exif = from_raw_profile(value);
    }
    png_bytep exif = nullptr;
    png_uint_32 count = 0;
    if (png_get_eXIf_1(png, info, &count, &exif))
        picture.exif.assign(reinterpret_cast<char*>(exif), count);
}

void decode(Reading& reading, Picture& picture) {
    const png_structp png = reading.png;
    const png_infop info = reading.info;
    if (setjmp(png_jmpbuf(png))) throw std::runtime_error(reading.message);
    png_read_info(png, info);
    picture.size = checked_size(png_get_image_height(png, info), png_get_image_width(png, info));
    const bool is_grey = png_get_color_type(png, info) == PNG_COLOR_TYPE_GRAY;
    const bool is_deep = is_grey && png_get_bit_depth(png, info) == 16;
    if (!is_deep) {
        png_set_strip_16(png);
        png_set_gray_to_rgb(png);
    }
    png_set_expand(png);  // palettes, and grey of fewer bits
    png_set_strip_alpha(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);

    const std::size_t row_bytes = png_get_rowbytes(png, info);
    if (row_bytes != std::size_t(picture.size.width) * (is_deep ? 2 : 3))
        throw std::runtime_error("its rows have another length than its header says");
    Bytes& target = is_deep ? reading.deep : picture.levels;
    target.resize(row_bytes * std::size_t(picture.size.height));
    for (std::size_t i = 0; i < target.size(); i += row_bytes) reading.rows.push_back(&target[i]);
    png_read_image(png, reading.rows.data());
    png_read_end(png, info);
    collect_texts(png, info, picture);
    if (is_deep) picture.shares.reserve(3 * picture.size.area());
    for (std::size_t i = 0; i < reading.deep.size(); i += 2)
        picture.shares.insert(picture.shares.end(), 3,
                              float(reading.deep[i] << 8 | reading.deep[i + 1]) / 65535.0f);
}

struct Writing {
    std::string message;
    Bytes file;
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &message, leave, say_nothing);
    png_infop info = png ? png_create_info_struct(png) : nullptr;

    ~Writing() { png_destroy_write_struct(&png, &info); }
};

void put(png_structp png, png_bytep bytes, std::size_t count) {
    Bytes& file = *static_cast<Bytes*>(png_get_io_ptr(png));
    file.insert(file.end(), bytes, bytes + count);
}

void encode(Writing& writing, const Mask& mask) {
    const png_structp png = writing.png;
    if (setjmp(png_jmpbuf(png))) throw std::runtime_error(writing.message);
    png_set_IHDR(png, writing.info, png_uint_32(mask.size.width), png_uint_32(mask.size.height), 1,
                 PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, writing.info);
    for (std::size_t place = 0; place < mask.bits.size(); place += mask.row_bytes())
        png_write_row(png, &mask.bits[place]);
    png_write_end(png, writing.info);
}

}  // namespace

void decode_png(const Bytes& file, Picture& picture) {
    Reading reading(file);
    if (!reading.info) throw std::runtime_error("libpng does not start");
    png_set_read_fn(reading.png, &reading, take);
    decode(reading, picture);
}

Bytes encode_png(const Mask& mask) {
    Writing writing;
    if (!writing.info) throw std::runtime_error("libpng does not start");
    png_set_write_fn(writing.png, &writing.file, put, [](png_structp) {});
    encode(writing, mask);
    return std::move(writing.file);
}

}  // namespace sam2lab
