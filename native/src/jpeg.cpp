// JPEG by libjpeg, with Pillow's settings: whole files of 1, 3 or 4 channels of 8 bits.
#include <algorithm>
#include <csetjmp>
#include <cstddef>
#include <cstdio>

#include <jpeglib.h>
#include <jerror.h>

#include "sam2lab.h"

namespace sam2lab {
namespace {

// What is freed after an error too. `decode` has nothing of its own to free, because a longjmp into
// it runs no destructors.
struct Codec {
    jpeg_error_mgr errors{};  // first, because libjpeg knows only this
    jpeg_decompress_struct jpeg{};
    std::jmp_buf back;
    char message[JMSG_LENGTH_MAX];
    std::vector<JSAMPLE> row;

    ~Codec() { jpeg_destroy_decompress(&jpeg); }
};

void leave(j_common_ptr jpeg) {
    auto* codec = reinterpret_cast<Codec*>(jpeg->err);
    jpeg->err->format_message(jpeg, codec->message);
    std::longjmp(codec->back, 1);
}

// Pillow takes no notice of warnings, but refuses a file that ends early.
void warn(j_common_ptr jpeg, int level) {
    if (level < 0 && jpeg->err->msg_code == JWRN_JPEG_EOF) leave(jpeg);
}

void collect_markers(const jpeg_decompress_struct& jpeg, Picture& picture) {
    static const std::string exif("Exif\0\0", 6), xmp("http://ns.adobe.com/xap/1.0/\0", 29);
    for (jpeg_saved_marker_ptr each = jpeg.marker_list; each; each = each->next) {
        const std::string data(reinterpret_cast<const char*>(each->data), each->data_length);
        // A long EXIF goes on in further markers.
        if (data.compare(0, exif.size(), exif) == 0)
            picture.exif += data.substr(picture.exif.empty() ? 0 : exif.size());
        else if (data.compare(0, xmp.size(), xmp) == 0) picture.xmp = data.substr(xmp.size());
    }
}

// As Pillow does: values of 4 channels are stored inverted, by Adobe's convention.
void cmyk_to_rgb(const std::vector<JSAMPLE>& row, std::uint8_t* to) {
    for (std::size_t i = 0; i < row.size(); ++i) {
        if (i % 4 == 3) continue;
        const int light = row[i | 3], product = (255 - row[i]) * light + 128;
        *to++ = std::uint8_t(std::max(0, light - (((product >> 8) + product) >> 8)));
    }
}

void decode(Codec& codec, const Bytes& file, Picture& picture) {
    jpeg_decompress_struct& jpeg = codec.jpeg;
    if (setjmp(codec.back)) throw std::runtime_error(codec.message);
    jpeg_create_decompress(&jpeg);
    jpeg_mem_src(&jpeg, file.data(), static_cast<unsigned long>(file.size()));
    jpeg_save_markers(&jpeg, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(&jpeg, TRUE);
    picture.size = checked_size(jpeg.image_height, jpeg.image_width);
    const bool is_cmyk = jpeg.num_components == 4;
    if (!is_cmyk && jpeg.num_components != 1 && jpeg.num_components != 3)
        throw std::runtime_error(text("it has ", jpeg.num_components, " channels"));
    jpeg.out_color_space = is_cmyk ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(&jpeg);
    picture.levels.resize(3 * picture.size.area());
    if (is_cmyk) codec.row.resize(4 * std::size_t(picture.size.width));
    while (jpeg.output_scanline < jpeg.output_height) {
        const std::size_t place = std::size_t(jpeg.output_scanline) * jpeg.output_width;
        std::uint8_t* const target = &picture.levels[3 * place];
        JSAMPROW rows[] = {is_cmyk ? codec.row.data() : target};
        if (jpeg_read_scanlines(&jpeg, rows, 1) != 1) throw std::runtime_error("a row is missing");
        cmyk_to_rgb(codec.row, target);
    }
    collect_markers(jpeg, picture);
}

}  // namespace

void decode_jpeg(const Bytes& file, Picture& picture) {
    Codec codec;
    codec.jpeg.err = jpeg_std_error(&codec.errors);
    codec.errors.error_exit = leave;
    codec.errors.emit_message = warn;
    codec.errors.output_message = [](j_common_ptr) {};
    decode(codec, file, picture);
}

}  // namespace sam2lab
