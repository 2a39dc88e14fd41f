#include "prompts.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "failure.h"

namespace sam2lab {
namespace {

std::vector<double> numbers(const char* option, const std::string& given, const char* wanted) {
    std::vector<double> found;
    std::size_t start = 0;
    do {
        const std::size_t comma = std::min(given.find(',', start), given.size());
        const std::string number = given.substr(start, comma - start);
        char* end = nullptr;
        const double value = std::strtod(number.c_str(), &end);
        // strtod alone takes spaces, hexadecimal digits, infinity and "nan" too.
        const bool plain = number.find_first_not_of("+-.0123456789eE") == std::string::npos;
        if (number.empty() || !plain || *end || !std::isfinite(value))
            throw Failure(ARGUMENTS, {option, " is '", given, "'; wanted ", wanted,
                                      ", in pixels of the photo"});
        found.push_back(value);
        start = comma + 1;
    } while (start <= given.size());
    return found;
}

// Appends a point in model pixels, in the original's float32 steps.
void add_scaled(std::vector<float>& coords, const char* option, double x, double y, int width, int height,
                Size input) {
    if (std::fabs(x - width / 2.0) > width || std::fabs(y - height / 2.0) > height)
        throw Failure(ARGUMENTS, {option, " holds the point (", x, ", ", y, "), out of the photo by more than "
                      "half its size; wanted x from ", -width / 2.0, " to ", 1.5 * width, " and y from ",
                      -height / 2.0, " to ", 1.5 * height, ", in pixels of the ", width, " x ", height,
                      " photo, x before y"});
    coords.push_back(float(x) / float(width) * float(input.width));
    coords.push_back(float(y) / float(height) * float(input.height));
}

}  // namespace

Point parse_point(const std::string& text) {
    static const char wanted[] = "x,y on the object, or x,y,0 beside it";
    const std::vector<double> found = numbers("--point", text, wanted);
    if (found.size() != 2 && found.size() != 3)
        throw Failure(ARGUMENTS, {"--point is '", text, "'; wanted ", wanted});
    const double label = found.size() == 3 ? found[2] : 1;
    if (label != 0 && label != 1)
        throw Failure(ARGUMENTS, {"--point has the label ", label, "; wanted 1 on the object or 0 beside it"});
    return {found[0], found[1], label == 1};
}

std::array<double, 4> parse_box(const std::string& text) {
    static const char wanted[] = "two opposite corners, x0,y0,x1,y1";
    const std::vector<double> found = numbers("--box", text, wanted);
    if (found.size() != 4) throw Failure(ARGUMENTS, {"--box is '", text, "'; wanted ", wanted});
    return {found[0], found[1], found[2], found[3]};
}

EncodedPrompt encode(const Prompt& prompt, int photo_width, int photo_height, Size input_size) {
    EncodedPrompt encoded;
    std::vector<float>& coords = encoded.coords;
    if (prompt.box) {
        const auto& box = *prompt.box;
        for (int corner : {0, 2})
            add_scaled(coords, "--box", box[corner], box[corner + 1], photo_width, photo_height, input_size);
        if (coords[0] > coords[2]) std::swap(coords[0], coords[2]);
        if (coords[1] > coords[3]) std::swap(coords[1], coords[3]);
        encoded.labels = {2, 3};
    }
    for (const Point& point : prompt.points) {
        add_scaled(coords, "--point", point.x, point.y, photo_width, photo_height, input_size);
        encoded.labels.push_back(point.on_object ? 1.0f : 0.0f);
    }
    return encoded;
}

}  // namespace sam2lab
