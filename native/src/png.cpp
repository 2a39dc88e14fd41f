// PNG by libpng's full interface, because the simple one converts the gamma of 16 bits.
#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>

#include <png.h>

#include "picture.h"

namespace sam2lab {
namespace {

struct Stream {
    const std::uint8_t* next;
    std::size_t left;
    std::string message;
};

void take_png(png_structp codec, png_bytep target, std::size_t count) {
    auto& stream = *static_cast<Stream*>(png_get_io_ptr(codec));
    if (count > stream.left) png_error(codec, "it is cut short");
    std::memcpy(target, stream.next, count);
    stream.next += count, stream.left -= count;
}

void leave_png(png_structp codec, png_const_charp message) {
    *static_cast<std::string*>(png_get_error_ptr(codec)) = message;
    png_longjmp(codec, 1);
}

void png_warning(png_structp, png_const_charp) {}

// Old writers keep EXIF as hexadecimal digits in a text, after three lines of title.
bool from_raw_profile(const std::string& text, std::string& exif) {
    std::size_t start = 0;
    for (int line = 0; line < 3 && start != std::string::npos; ++line) {
        start = text.find('\n', start);
        if (start != std::string::npos) ++start;
    }
    std::string digits;
    for (char each : start == std::string::npos ? std::string() : text.substr(start)) {
        static const char hexadecimal[] = "0123456789abcdef0123456789ABCDEF";
        if (each && std::strchr(" \t\r\n\v\f", each)) continue;
        const char* digit = each ? std::strchr(hexadecimal, each) : nullptr;
        if (!digit) return false;
        digits += char((digit - hexadecimal) % 16);
    }
    if (digits.size() % 2) return false;
    for (std::size_t i = 0; i < digits.size(); i += 2) exif += char(digits[i] * 16 + digits[i + 1]);
    return true;
}

void collect_texts(png_structp codec, png_infop info, Decoded& found) {
    png_bytep exif = nullptr;
    png_uint_32 count = 0;
    if (png_get_eXIf_1(codec, info, &count, &exif)) {
        found.has_exif = true;
        found.exif.assign(reinterpret_cast<char*>(exif), count);
    }
    png_textp texts = nullptr;
    const int many = png_get_text(codec, info, &texts, nullptr);
    for (int i = 0; i < many; ++i) {
        const bool international = texts[i].compression >= PNG_ITXT_COMPRESSION_NONE;
        const std::string key = texts[i].key;
        const std::size_t length = international ? texts[i].itxt_length : texts[i].text_length;
        const std::string text(texts[i].text, length);
        if (key == "XML:com.adobe.xmp") found.xmp = text;
        if (key == "Raw profile type exif" && !found.has_exif)
            found.has_exif = true, found.exif_is_broken = !from_raw_profile(text, found.exif);
    }
}

// A number without an entry in the palette is black, as in Pillow.
void from_palette(png_structp codec, png_infop info, const Bytes& raw, Bytes& levels) {
    png_colorp palette = nullptr;
    int entries = 0;
    png_get_PLTE(codec, info, &palette, &entries);
    for (std::size_t i = 0; i < raw.size(); ++i) {
        const std::uint8_t index = raw[i];
        const png_color colour = index < entries ? palette[index] : png_color{0, 0, 0};
        levels[3 * i] = colour.red, levels[3 * i + 1] = colour.green, levels[3 * i + 2] = colour.blue;
    }
}

// Everything that is freed after an error belongs to the caller.
void decode(png_structp codec, png_infop info, const std::string& message, Decoded& found, Bytes& raw,
            std::vector<png_bytep>& rows) {
    if (setjmp(png_jmpbuf(codec))) throw std::runtime_error(message);
    png_read_info(codec, info);
    const png_uint_32 width = png_get_image_width(codec, info), height = png_get_image_height(codec, info);
    check_pixels(width, height);
    const int kind = png_get_color_type(codec, info), depth = png_get_bit_depth(codec, info);
    const bool deep = depth == 16 && kind == PNG_COLOR_TYPE_GRAY;
    if (depth == 16 && !deep) png_set_strip_16(codec);
    if (depth < 8 && kind == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(codec);
    if (depth < 8) png_set_packing(codec);
    if (kind & PNG_COLOR_MASK_ALPHA) png_set_strip_alpha(codec);
    png_set_interlace_handling(codec);
    png_read_update_info(codec, info);

    const std::size_t row_bytes = png_get_rowbytes(codec, info), pixels = std::size_t(width) * height;
    const bool coloured = kind == PNG_COLOR_TYPE_RGB || kind == PNG_COLOR_TYPE_RGB_ALPHA;
    if (row_bytes != width * std::size_t(coloured ? 3 : deep ? 2 : 1))
        throw std::runtime_error("its rows have another length than its header says");
    Picture& picture = found.picture;
    picture.width = int(width), picture.height = int(height);
    Bytes& target = coloured ? picture.levels : raw;
    target.resize(row_bytes * height);
    rows.resize(height);
    for (png_uint_32 y = 0; y < height; ++y) rows[y] = target.data() + y * row_bytes;
    png_read_image(codec, rows.data());
    png_read_end(codec, info);
    collect_texts(codec, info, found);
    if (coloured) return;
    if (deep) {
        picture.shares.resize(3 * pixels);
        for (std::size_t i = 0; i < pixels; ++i)
            for (int channel = 0; channel < 3; ++channel)
                picture.shares[3 * i + channel] = float(raw[2 * i] << 8 | raw[2 * i + 1]) / 65535.0f;
        return;
    }
    picture.levels.resize(3 * pixels);
    if (kind == PNG_COLOR_TYPE_PALETTE) from_palette(codec, info, raw, picture.levels);
    else
        for (std::size_t i = 0; i < pixels; ++i) std::memset(&picture.levels[3 * i], raw[i], 3);
}

void put(png_structp codec, png_bytep bytes, std::size_t count) {
    auto& file = *static_cast<Bytes*>(png_get_io_ptr(codec));
    file.insert(file.end(), bytes, bytes + count);
}

void flush(png_structp) {}

void encode(png_structp codec, png_infop info, const std::string& message, const Mask& mask) {
    if (setjmp(png_jmpbuf(codec))) throw std::runtime_error(message);
    png_set_IHDR(codec, info, png_uint_32(mask.width), png_uint_32(mask.height), 1, PNG_COLOR_TYPE_GRAY,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(codec, info);
    for (int y = 0; y < mask.height; ++y) png_write_row(codec, mask.row(y));
    png_write_end(codec, info);
}

}  // namespace

void decode_png(const Bytes& file, Decoded& found) {
    Stream stream = {file.data(), file.size(), {}};
    Bytes raw;
    std::vector<png_bytep> rows;
    png_structp codec = png_create_read_struct(PNG_LIBPNG_VER_STRING, &stream.message, leave_png, png_warning);
    png_infop info = codec ? png_create_info_struct(codec) : nullptr;
    try {
        if (!info) throw std::runtime_error("libpng does not start");
        png_set_read_fn(codec, &stream, take_png);
        decode(codec, info, stream.message, found, raw, rows);
    } catch (...) {
        png_destroy_read_struct(&codec, &info, nullptr);
        throw;
    }
    png_destroy_read_struct(&codec, &info, nullptr);
}

Bytes encode_png(const Mask& mask) {
    Bytes file;
    std::string message;
    png_structp codec = png_create_write_struct(PNG_LIBPNG_VER_STRING, &message, leave_png, png_warning);
    png_infop info = codec ? png_create_info_struct(codec) : nullptr;
    try {
        if (!info) throw std::runtime_error("libpng does not start");
        png_set_write_fn(codec, &file, put, flush);
        encode(codec, info, message, mask);
    } catch (...) {
        png_destroy_write_struct(&codec, &info);
        throw;
    }
    png_destroy_write_struct(&codec, &info);
    return file;
}

}  // namespace sam2lab
