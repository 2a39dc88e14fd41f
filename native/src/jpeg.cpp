// JPEG by libjpeg, with Pillow's settings: whole files of 1, 3 or 4 channels of 8 bits.
#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include <jpeglib.h>
#include <jerror.h>

#include "picture.h"

namespace sam2lab {
namespace {

struct Errors {
    jpeg_error_mgr manager;  // first, because libjpeg knows only this
    std::jmp_buf back;
    char message[JMSG_LENGTH_MAX];
};

void leave_jpeg(j_common_ptr codec) {
    auto* errors = reinterpret_cast<Errors*>(codec->err);
    codec->err->format_message(codec, errors->message);
    std::longjmp(errors->back, 1);
}

// Pillow takes no notice of warnings, but refuses a file that ends early.
void jpeg_warning(j_common_ptr codec, int level) {
    if (level < 0 && codec->err->msg_code == JWRN_JPEG_EOF) leave_jpeg(codec);
}

void say_nothing(j_common_ptr) {}

void collect_markers(const jpeg_decompress_struct& codec, Decoded& found) {
    static const char exif[] = "Exif\0", xmp[] = "http://ns.adobe.com/xap/1.0/";
    for (jpeg_saved_marker_ptr each = codec.marker_list; each; each = each->next) {
        const std::string data(reinterpret_cast<const char*>(each->data), each->data_length);
        // A long EXIF goes on in further markers.
        if (data.compare(0, sizeof exif, exif, sizeof exif) == 0) {
            found.exif += data.substr(found.has_exif ? sizeof exif : 0);
            found.has_exif = true;
        } else if (data.compare(0, sizeof xmp, xmp, sizeof xmp) == 0) {
            found.xmp = data.substr(sizeof xmp);
        }
    }
}

// As Pillow does: values of 4 channels are stored inverted, by Adobe's convention.
void cmyk_to_rgb(const JSAMPLE* from, std::uint8_t* to, int width) {
    for (int x = 0; x < width; ++x, from += 4, to += 3) {
        const int light = from[3];
        for (int channel = 0; channel < 3; ++channel) {
            const int product = (255 - from[channel]) * light + 128;
            const int level = light - (((product >> 8) + product) >> 8);
            to[channel] = std::uint8_t(level < 0 ? 0 : level);
        }
    }
}

// Everything that is freed after an error belongs to the caller.
void decode(jpeg_decompress_struct& codec, Errors& errors, const Bytes& file, Decoded& found, Bytes& row) {
    if (setjmp(errors.back)) throw std::runtime_error(errors.message);
    jpeg_create_decompress(&codec);
    jpeg_mem_src(&codec, file.data(), static_cast<unsigned long>(file.size()));
    jpeg_save_markers(&codec, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(&codec, TRUE);
    check_pixels(codec.image_width, codec.image_height);
    const int channels = codec.num_components;
    if (channels == 1) codec.out_color_space = JCS_GRAYSCALE;
    else if (channels == 3) codec.out_color_space = JCS_RGB;
    else if (channels == 4) codec.out_color_space = JCS_CMYK;
    else throw std::runtime_error("it has " + std::to_string(channels) + " channels");
    jpeg_start_decompress(&codec);

    const int width = int(codec.output_width);
    found.picture.width = width;
    found.picture.height = int(codec.output_height);
    found.picture.levels.resize(std::size_t(3) * codec.output_width * codec.output_height);
    row.resize(std::size_t(channels) * codec.output_width);
    std::uint8_t* target = found.picture.levels.data();
    while (codec.output_scanline < codec.output_height) {
        JSAMPROW rows[] = {channels == 3 ? target : row.data()};
        if (jpeg_read_scanlines(&codec, rows, 1) != 1) throw std::runtime_error("a row is missing");
        if (channels == 4) cmyk_to_rgb(row.data(), target, width);
        for (int x = 0; channels == 1 && x < width; ++x) std::memset(target + 3 * x, row[x], 3);
        target += 3 * std::size_t(width);
    }
    collect_markers(codec, found);
}

}  // namespace

void decode_jpeg(const Bytes& file, Decoded& found) {
    jpeg_decompress_struct codec;
    std::memset(&codec, 0, sizeof codec);
    Errors errors;
    codec.err = jpeg_std_error(&errors.manager);
    errors.manager.error_exit = leave_jpeg;
    errors.manager.emit_message = jpeg_warning;
    errors.manager.output_message = say_nothing;
    Bytes row;
    try {
        decode(codec, errors, file, found, row);
    } catch (...) {
        jpeg_destroy_decompress(&codec);
        throw;
    }
    jpeg_destroy_decompress(&codec);
}

}  // namespace sam2lab
