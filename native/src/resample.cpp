#include "resample.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

// Products are added with a single rounding, as numpy's matrix products do on every processor that
// can. Where the compiler may not take that for granted, two versions are built, one with the
// instruction, and the processor is asked.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__FMA__)
#define TWO_VERSIONS 1
#define BODY static inline __attribute__((always_inline))
#define FUSED __attribute__((target("avx2,fma")))
#else
#define TWO_VERSIONS 0
#define BODY static inline
#endif

namespace sam2lab {
namespace {

// For each of n outputs the first input that it reads, and the weights from there.
struct Taps {
    std::vector<int> first;
    int count;
    std::vector<float> weights;
    const float* of(int output) const { return &weights[std::size_t(output) * std::size_t(count)]; }
};

double scale_of(int n_in, int n_out) { return double(float(n_in) / float(n_out)); }

// numpy's order of adding floats, which is not from left to right.
float sum(const float* values, int count) {
    if (count > 128) {
        const int half = count / 2 - count / 2 % 8;
        return sum(values, half) + sum(values + half, count - half);
    }
    float total = 0;
    int i = 0;
    if (count >= 8) {
        float part[8];
        std::copy(values, values + 8, part);
        for (i = 8; i < count - count % 8; i += 8)
            for (int j = 0; j < 8; ++j) part[j] += values[i + j];
        total = ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
    }
    for (; i < count; ++i) total += values[i];
    return total;
}

// As `F.interpolate(mode="bilinear", antialias=True)` along one axis. float and double alternate as
// they do in torch, to round as it does.
Taps antialiased(int n_in, int n_out) {
    const double scale = scale_of(n_in, n_out);
    const float support = float(std::max(scale, 1.0));
    const double inverse = double(1.0f / support);
    Taps taps;
    taps.count = std::min(2 * int(std::ceil(support)) + 1, n_in);
    taps.weights.resize(std::size_t(n_out) * std::size_t(taps.count));
    for (int output = 0; output < n_out; ++output) {
        const float center = float(scale * (output + 0.5));
        const int first = std::max(int(double(center - support) + 0.5), 0);
        const int stop = std::min(int(double(center + support) + 0.5), n_in);
        float* weights = &taps.weights[std::size_t(output) * std::size_t(taps.count)];
        for (int k = 0; k < taps.count && first + k < stop; ++k) {
            const double distance = double(float(first + k) - center) + 0.5;
            weights[k] = std::max(1 - std::fabs(float(distance * inverse)), 0.0f);
        }
        const float total = sum(weights, taps.count);
        for (int k = 0; k < taps.count; ++k) weights[k] /= total;
        taps.first.push_back(first);
    }
    return taps;
}

// As `F.interpolate(mode="bilinear", align_corners=False)` along one axis.
Taps interpolated(int n_in, int n_out) {
    const double scale = scale_of(n_in, n_out);
    Taps taps;
    taps.count = 2;
    for (int output = 0; output < n_out; ++output) {
        const float position = std::max(float(scale * (output + 0.5) - 0.5), 0.0f);
        const int first = std::min(int(position), n_in - 1);
        const float second = first < n_in - 1 ? position - float(first) : 0.0f;
        taps.first.push_back(first);
        taps.weights.insert(taps.weights.end(), {1 - second, second});
    }
    return taps;
}

struct Plan {
    Size size;
    int photo_width;
    Taps down, across;
    float scale[3], offset[3];
};

// `mixed` is one row of the photo's width, interleaved.
template <class Level>
BODY void preprocess_rows(const Plan& plan, const Level* photo, float* mixed, float* pixels) {
    const std::size_t line = 3 * std::size_t(plan.photo_width);
    const std::size_t plane = std::size_t(plan.size.height) * std::size_t(plan.size.width);
    for (int y = 0; y < plan.size.height; ++y) {
        std::fill(mixed, mixed + line, 0.0f);
        for (int k = 0; k < plan.down.count; ++k) {
            const float weight = plan.down.of(y)[k];
            if (weight == 0) continue;
            const Level* row = photo + std::size_t(plan.down.first[y] + k) * line;
            for (std::size_t i = 0; i < line; ++i) mixed[i] = std::fma(weight, float(row[i]), mixed[i]);
        }
        float* target = pixels + std::size_t(y) * std::size_t(plan.size.width);
        for (int x = 0; x < plan.size.width; ++x) {
            const float* from = mixed + 3 * std::size_t(plan.across.first[x]);
            const float* weights = plan.across.of(x);
            const int count = std::min(plan.across.count, plan.photo_width - plan.across.first[x]);
            float red = 0, green = 0, blue = 0;
            for (int k = 0; k < count; ++k, from += 3) {
                red = std::fma(weights[k], from[0], red);
                green = std::fma(weights[k], from[1], green);
                blue = std::fma(weights[k], from[2], blue);
            }
            // Resizing is linear, so the smaller result is scaled instead of the photo.
            target[x] = red * plan.scale[0] - plan.offset[0];
            target[x + plane] = green * plan.scale[1] - plan.offset[1];
            target[x + 2 * plane] = blue * plan.scale[2] - plan.offset[2];
        }
    }
}

// `wide` holds all rows of the logits at the photo's width.
BODY void restore_rows(const Taps& down, const Taps& across, const float* logits, Size size, float* wide,
                       float* values, Mask& mask) {
    const std::size_t width = std::size_t(mask.width);
    for (int row = 0; row < size.height; ++row)
        for (std::size_t x = 0; x < width; ++x) {
            const float* from = logits + row * size.width + across.first[x];
            const float* weights = &across.weights[2 * x];
            const float left = weights[0] * from[0];
            wide[row * width + x] = weights[1] == 0 ? left : std::fma(weights[1], from[1], left);
        }
    for (int y = 0; y < mask.height; ++y) {
        const float* upper = wide + std::size_t(down.first[y]) * width;
        const float one = down.of(y)[0], other = down.of(y)[1];
        const float* lower = other == 0 ? upper : upper + width;
        for (std::size_t x = 0; x < width; ++x) values[x] = std::fma(other, lower[x], one * upper[x]);
        std::uint8_t* bits = mask.row(y);
        for (std::size_t x = 0; x < width; ++x) bits[x / 8] |= std::uint8_t((values[x] > 0) << (7 - x % 8));
    }
}

#if TWO_VERSIONS
bool can_fuse() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

template <class Level>
FUSED void preprocess_rows_fused(const Plan& plan, const Level* photo, float* mixed, float* pixels) {
    preprocess_rows(plan, photo, mixed, pixels);
}

FUSED void restore_rows_fused(const Taps& down, const Taps& across, const float* logits, Size size,
                              float* wide, float* values, Mask& mask) {
    restore_rows(down, across, logits, size, wide, values, mask);
}
#endif

template <class Level>
void preprocess_all(const Plan& plan, const Level* photo, float* pixels) {
    std::vector<float> mixed(3 * std::size_t(plan.photo_width));
#if TWO_VERSIONS
    if (can_fuse()) return preprocess_rows_fused(plan, photo, mixed.data(), pixels);
#endif
    preprocess_rows(plan, photo, mixed.data(), pixels);
}

}  // namespace

std::vector<float> preprocess(const Picture& picture, const Bundle& bundle) {
    const Size size = bundle.input_size;
    const int white = picture.shares.empty() ? 255 : 1;
    Plan plan = {size, picture.width, antialiased(picture.height, size.height),
                 antialiased(picture.width, size.width), {}, {}};
    for (int channel = 0; channel < 3; ++channel) {
        plan.scale[channel] = float(1 / (white * bundle.std[channel]));
        plan.offset[channel] = float(bundle.mean[channel] / bundle.std[channel]);
    }
    std::vector<float> pixels(3 * std::size_t(size.height) * std::size_t(size.width));
    if (white == 1) preprocess_all(plan, picture.shares.data(), pixels.data());
    else preprocess_all(plan, picture.levels.data(), pixels.data());
    return pixels;
}

Mask restore(const float* logits, Size size, int photo_width, int photo_height) {
    const Taps down = interpolated(size.height, photo_height), across = interpolated(size.width, photo_width);
    std::vector<float> wide(std::size_t(size.height) * std::size_t(photo_width));
    std::vector<float> values(static_cast<std::size_t>(photo_width));
    Mask mask(photo_width, photo_height);
#if TWO_VERSIONS
    if (can_fuse()) {
        restore_rows_fused(down, across, logits, size, wide.data(), values.data(), mask);
        return mask;
    }
#endif
    restore_rows(down, across, logits, size, wide.data(), values.data(), mask);
    return mask;
}

}  // namespace sam2lab
