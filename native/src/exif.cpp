// The orientation of a photo, found where Pillow finds it and nowhere else.
#include <cstring>

#include "picture.h"

namespace sam2lab {
namespace {

const unsigned ORIENTATION = 0x0112;
const std::string TITLE("Exif\0\0", 6);

// A TIFF header and its first directory, of which any part may be missing.
class Directory {
public:
    explicit Directory(const std::string& bytes) : bytes_(bytes) {}

    bool has_header() {
        static const char headers[][5] = {"II*\0", "MM\0*", "MM*\0", "II\0*"};
        for (const char* header : headers)
            if (bytes_.compare(0, 4, header, 4) == 0 && bytes_.size() >= 8) {
                big_endian_ = header[0] == 'M';
                return true;
            }
        return false;
    }

    // The first number of the tag; false where it is missing, or no number.
    bool find(unsigned tag, long long& value) const {
        std::size_t place = number(4, 4);
        if (!has(place, 2)) return false;
        const unsigned count = unsigned(number(place, 2));
        place += 2;
        for (unsigned i = 0; i < count && has(place, 12); ++i, place += 12) {
            if (number(place, 2) != tag) continue;
            const unsigned kind = unsigned(number(place + 2, 2));
            const std::uint64_t values = number(place + 4, 4);
            // Whole numbers: SBYTE, SHORT, SSHORT, LONG, SLONG and IFD.
            const bool is_short = kind == 3 || kind == 8, is_long = kind == 4 || kind == 9 || kind == 13;
            const unsigned size = kind == 6 ? 1 : is_short ? 2 : is_long ? 4 : 0;
            if (!size || !values) continue;
            const std::size_t at = size * values > 4 ? number(place + 8, 4) : place + 8;
            if (!has(at, size * values)) continue;
            value = (long long)number(at, size);
            return true;
        }
        return false;
    }

private:
    bool has(std::size_t place, std::uint64_t count) const {
        return place <= bytes_.size() && count <= bytes_.size() - place;
    }

    std::uint64_t number(std::size_t place, unsigned size) const {
        std::uint64_t value = 0;
        for (unsigned i = 0; i < size; ++i)
            value = value << 8 | std::uint8_t(bytes_[place + (big_endian_ ? i : size - 1 - i)]);
        return value;
    }

    const std::string& bytes_;
    bool big_endian_ = false;
};

int from_xmp(const std::string& xmp) {
    static const std::string tag = "tiff:Orientation";
    for (std::size_t at = 0; (at = xmp.find(tag, at)) != std::string::npos;) {
        at += tag.size();
        for (const char* between : {"=\"", ">"}) {
            const std::size_t length = std::strlen(between);
            if (xmp.compare(at, length, between) == 0 && at + length < xmp.size()) {
                const char digit = xmp[at + length];
                if (digit >= '0' && digit <= '9') return digit - '0';
            }
        }
    }
    return 1;
}

}  // namespace

int orientation(const Decoded& found) {
    std::string exif = found.exif;
    // The pixels may be good where the EXIF is broken.
    if (found.exif_is_broken) return 1;
    for (int i = 0; i < 2; ++i)
        if (exif.compare(0, TITLE.size(), TITLE) == 0) exif.erase(0, TITLE.size());
    long long value = 0;
    if (!exif.empty()) {
        Directory directory(exif);
        if (!directory.has_header()) return 1;
        if (directory.find(ORIENTATION, value)) return value >= 1 && value <= 8 ? int(value) : 1;
    }
    value = from_xmp(found.xmp);
    return value >= 1 && value <= 8 ? int(value) : 1;
}

}  // namespace sam2lab
