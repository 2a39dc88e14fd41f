// torch's two bilinear resizings with torch's own weights: sam2lab/runtime/resample.py in C++.
#include <algorithm>
#include <cmath>

#include "sam2lab.h"

// Products are added with a single rounding, as numpy's matrix products do on every processor that
// can. Where the compiler may not take the instruction for granted, it makes two versions, of which
// the loader takes the one that fits to the processor.
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__FMA__)
#define WITH_AND_WITHOUT_FMA __attribute__((target_clones("fma", "default")))
#else
#define WITH_AND_WITHOUT_FMA
#endif

namespace sam2lab {
namespace {

// For each of n outputs the first input that it reads, and `count` weights from there.
struct Taps {
    int n_in, count;
    std::vector<int> first = {};
    std::vector<float> weights = {};

    const float* of(std::size_t output) const { return &weights[output * std::size_t(count)]; }
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
        total = ((part[0] + part[1]) + (part[2] + part[3])) +
                ((part[4] + part[5]) + (part[6] + part[7]));
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
    Taps taps{n_in, std::min(2 * int(std::ceil(support)) + 1, n_in)};
    for (int output = 0; output < n_out; ++output) {
        const float center = float(scale * (output + 0.5));
        const int first = std::max(int(double(center - support) + 0.5), 0);
        const int stop = std::min(int(double(center + support) + 0.5), n_in);
        std::vector<float> weights(static_cast<std::size_t>(taps.count));
        for (int k = 0; k < taps.count && first + k < stop; ++k) {
            const double distance = double(float(first + k) - center) + 0.5;
            weights[k] = std::max(1 - std::fabs(float(distance * inverse)), 0.0f);
        }
        const float total = sum(weights.data(), taps.count);
        for (float each : weights) taps.weights.push_back(each / total);
        taps.first.push_back(first);
    }
    return taps;
}

// As `F.interpolate(mode="bilinear", align_corners=False)` along one axis, without antialiasing
// even where the photo is smaller than the logits.
Taps interpolated(int n_in, int n_out) {
    const double scale = scale_of(n_in, n_out);
    Taps taps{n_in, 2};
    for (int output = 0; output < n_out; ++output) {
        const float position = std::max(float(scale * (output + 0.5) - 0.5), 0.0f);
        const int first = std::min(int(position), n_in - 1);
        const float second = first < n_in - 1 ? position - float(first) : 0.0f;
        taps.first.push_back(first);
        taps.weights.insert(taps.weights.end(), {1 - second, second});
    }
    return taps;
}

WITH_AND_WITHOUT_FMA void add(float weight, const float* row, float* mixed, std::size_t width) {
    for (std::size_t i = 0; i < width; ++i) mixed[i] = std::fma(weight, row[i], mixed[i]);
}

WITH_AND_WITHOUT_FMA
void add(float weight, const std::uint8_t* row, float* mixed, std::size_t width) {
    for (std::size_t i = 0; i < width; ++i) mixed[i] = std::fma(weight, float(row[i]), mixed[i]);
}

// Mixes rows into one, as output `y` wants them.
template <class Level>
void mix_rows(const Taps& taps, std::size_t y, const Level* rows, std::vector<float>& mixed) {
    std::fill(mixed.begin(), mixed.end(), 0.0f);
    for (int k = 0; k < taps.count; ++k) {
        const Level* row = rows + std::size_t(taps.first[y] + k) * mixed.size();
        if (taps.of(y)[k] != 0) add(taps.of(y)[k], row, mixed.data(), mixed.size());
    }
}

// Mixes pixels of a row of interleaved channels.
WITH_AND_WITHOUT_FMA
void mix_columns(const Taps& taps, int channels, const float* row, float* mixed) {
    for (std::size_t x = 0; x < taps.first.size(); ++x)
        for (int channel = 0; channel < channels; ++channel) {
            const float* from = row + taps.first[x] * channels + channel;
            float total = 0;
            for (int k = 0; k < std::min(taps.count, taps.n_in - taps.first[x]); ++k)
                total = std::fma(taps.of(x)[k], from[k * channels], total);
            *mixed++ = total;
        }
}

template <class Level>
std::vector<float> shrink(const std::vector<Level>& photo, Size from, int white,
                          const Bundle& bundle) {
    const Taps down = antialiased(from.height, bundle.input_size.height);
    const Taps across = antialiased(from.width, bundle.input_size.width);
    const std::size_t width = across.first.size(), plane = bundle.input_size.area();
    std::vector<float> tall(3 * std::size_t(from.width)), row(3 * width), pixels(3 * plane);
    for (std::size_t y = 0; y < down.first.size(); ++y) {
        mix_rows(down, y, photo.data(), tall);
        mix_columns(across, 3, tall.data(), row.data());
        // Resizing is linear, so the smaller result is scaled instead of the photo.
        for (std::size_t channel = 0; channel < 3; ++channel) {
            const float scale = float(1 / (white * bundle.std[channel]));
            const float offset = float(bundle.mean[channel] / bundle.std[channel]);
            float* target = &pixels[channel * plane + y * width];
            for (std::size_t x = 0; x < width; ++x)
                target[x] = row[3 * x + channel] * scale - offset;
        }
    }
    return pixels;
}

}  // namespace

std::vector<float> preprocess(const Picture& picture, const Bundle& bundle) {
    if (picture.shares.empty()) return shrink(picture.levels, picture.size, 255, bundle);
    return shrink(picture.shares, picture.size, 1, bundle);
}

Mask restore(const float* logits, Size size, Size photo) {
    const Taps down = interpolated(size.height, photo.height);
    const Taps across = interpolated(size.width, photo.width);
    const std::size_t width = across.first.size();
    std::vector<float> wide(std::size_t(size.height) * width), row(width);
    for (std::size_t start = 0; start < wide.size(); start += width, logits += size.width)
        mix_columns(across, 1, logits, &wide[start]);
    Mask mask{photo};
    for (std::size_t y = 0; y < down.first.size(); ++y) {
        mix_rows(down, y, wide.data(), row);
        std::uint8_t* bits = &mask.bits[y * mask.row_bytes()];
        for (std::size_t x = 0; x < width; ++x)
            bits[x / 8] |= std::uint8_t((row[x] > 0) << (7 - x % 8));
    }
    return mask;
}

}  // namespace sam2lab
