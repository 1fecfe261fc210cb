// The anti-aliased SnakeBeta activation in one pass over memory: see cpu.py, which builds and calls this.
//
// Up-sampling by 2 with 12 taps is two 6-tap filters, one for even and one for odd places; down-sampling reads both.
// Before each filter a clip's first and last own value are held past its ends; past its end zeros are written.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <thread>
#include <vector>

namespace {

constexpr int BLOCK = 512;  // values at a time: all buffers below stay in the first-level cache
constexpr int TAPS = 6;     // of each phase
constexpr int REACH = 3;    // places that either filter looks to each side

// sin(x)^2. The angle is brought to [-pi/2, pi/2] by a multiple of pi in three parts, then Taylor's series to x^13.
inline float sine_squared(float x) {
    const float turns = std::nearbyint(x * 0.318309886183790671538f);
    float r = std::fma(turns, -3.140625f, x);
    r = std::fma(turns, -9.67502593994140625e-4f, r);
    r = std::fma(turns, -1.50995799e-7f, r);
    const float s = r * r;
    float p = 1.605904383682e-10f;
    p = std::fma(p, s, -2.50521083854e-8f);
    p = std::fma(p, s, 2.75573192239859e-6f);
    p = std::fma(p, s, -1.98412698412698e-4f);
    p = std::fma(p, s, 8.33333333333333e-3f);
    p = std::fma(p, s, -1.66666666666667e-1f);
    const float sine = std::fma(p * s, r, r);
    return sine * sine;
}

struct Row {
    const float* in;
    float* out;
    int64_t own, width;  // values of the clip, values to write
    float alpha, scale;  // SnakeBeta: v = u + scale * sin(alpha u)^2
};

void activate(const Row& row, const float* up, const float* down) {
    float held[BLOCK + 4 * REACH], even[BLOCK + 2 * REACH], odd[BLOCK + 2 * REACH];
    const int64_t last = row.own - 1;
    float at_end = 0.0f, at_start = 0.0f;
    {  // what is held past the up-sampled ends: its first even and its last odd value
        float first = 0.0f, final = 0.0f;
        for (int i = 0; i < TAPS; ++i) {
            first += up[2 * i + 1] * row.in[std::clamp<int64_t>(2 - i, 0, last)];
            final += up[2 * i] * row.in[std::clamp<int64_t>(last + 3 - i, 0, last)];
        }
        at_start = first + row.scale * sine_squared(first * row.alpha);
        at_end = final + row.scale * sine_squared(final * row.alpha);
    }
    for (int64_t start = 0; start < row.own; start += BLOCK) {
        const int count = static_cast<int>(std::min<int64_t>(BLOCK, row.own - start));
        const int wide = count + 2 * REACH;
        const int64_t from = start - 2 * REACH;  // place of held[0]
        for (int i = 0; i < count + 4 * REACH; ++i) held[i] = row.in[std::clamp<int64_t>(from + i, 0, last)];
        for (int i = 0; i < wide; ++i) {  // even[i] and odd[i] are at place start - REACH + i, which is held[i + REACH]
            float e = 0.0f, o = 0.0f;
            for (int k = 0; k < TAPS; ++k) {
                e += up[2 * k + 1] * held[i + REACH + 2 - k];
                o += up[2 * k] * held[i + REACH + 3 - k];
            }
            even[i] = e + row.scale * sine_squared(e * row.alpha);
            odd[i] = o + row.scale * sine_squared(o * row.alpha);
        }
        for (int i = 0; i < REACH - start && i < wide; ++i) even[i] = odd[i] = at_start;
        for (int64_t i = std::max<int64_t>(0, row.own - start + REACH); i < wide; ++i) even[i] = odd[i] = at_end;
        float* out = row.out + start;
        for (int i = 0; i < count; ++i) {
            float sum = 0.0f;
            for (int k = 0; k < TAPS; ++k) sum += down[2 * k] * odd[i + k] + down[2 * k + 1] * even[i + k + 1];
            out[i] = sum;
        }
    }
    std::fill(row.out + row.own, row.out + row.width, 0.0f);
}

}  // namespace

// in, out: (clips, channels, width); lengths: (clips,), each from 1 to width; alpha, scale: (channels,);
// up: 12 taps, times 2; down: 12 taps.
extern "C" void snake(const float* in, float* out, const int64_t* lengths, int64_t clips, int64_t channels, int64_t width,
                      const float* alpha, const float* scale, const float* up, const float* down, int threads) {
    const int64_t rows = clips * channels;
    auto work = [&](int64_t first, int64_t end) {
        for (int64_t r = first; r < end; ++r) {
            const int64_t clip = r / channels, channel = r % channels;
            activate({in + r * width, out + r * width, std::min(lengths[clip], width), width, alpha[channel], scale[channel]},
                     up, down);
        }
    };
    const int64_t parts = std::clamp<int64_t>(rows * width / 8192, 1, std::min<int64_t>(threads, rows));
    std::vector<std::thread> helpers;
    for (int64_t p = 1; p < parts; ++p) helpers.emplace_back(work, rows * p / parts, rows * (p + 1) / parts);
    work(0, rows / parts);
    for (auto& helper : helpers) helper.join();
}
