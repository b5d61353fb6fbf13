#include "ve_resample.h"

#include <string.h>

#include "ve_number.h"

#define HISTORY (VE_RESAMPLE_TAPS - 1)
#define AT_A_TIME 160 /* samples, or pairs of samples */
#define CENTRE (VE_RESAMPLE_TAPS / 2)
#define SHIFT 14 /* the taps' absolute sum is 2.42: neither a sum of products nor one sample on top reaches 2^31 */

/* round(2^14 × remez(32, [0, 3400], [1], fs=8000)), the middle pair raised by one so that the sum is 2^14 */
static const int16_t taps[VE_RESAMPLE_TAPS] = {
    -4,    10,    -20,  37,    -62, 99,   -151, 223,  -320, 451, -631, 885, -1267, 1921, -3376, 10397,
    10397, -3376, 1921, -1267, 885, -631, 451,  -320, 223, -151, 99,   -62, 37,    -20,  10,    -4,
};

/* What lies between the two middle samples of the window, in Q14. */
static inline int32_t between(const int16_t *window)
{
    int32_t sum = 0;
    for (size_t tap = 0; tap < VE_RESAMPLE_TAPS; tap++)
        sum += taps[tap] * window[tap];
    return sum;
}

static inline int16_t rounded(int32_t value, int shift)
{
    return ve_saturated((value + (1 << (shift - 1))) >> shift);
}

static uint32_t least(size_t a, uint32_t b)
{
    return a < b ? (uint32_t)a : b;
}

static void interpolate(const int16_t *restrict line, size_t count, int16_t *restrict out)
{
    for (size_t i = 0; i < count; i++) {
        out[2 * i] = line[i + CENTRE - 1];
        out[2 * i + 1] = rounded(between(line + i), SHIFT);
    }
}

static void average(const int16_t *restrict even, const int16_t *restrict odd, size_t count, int16_t *restrict out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = rounded(even[i + CENTRE] * (1 << SHIFT) + between(odd + i), SHIFT + 1);
}

void ve_resampler_open(struct ve_resampler *resampler)
{
    memset(resampler, 0, sizeof *resampler);
    resampler->swallow = CENTRE;
}

size_t ve_resample(struct ve_resampler *resampler, const int16_t *in, size_t count, int16_t *out)
{
    int16_t line[HISTORY + AT_A_TIME];
    size_t made = 0;
    memcpy(line, resampler->history, sizeof resampler->history);
    for (size_t part; count > 0; in += part, count -= part) {
        part = least(count, AT_A_TIME);
        memcpy(line + HISTORY, in, part * sizeof *line);
        const uint32_t skipped = least(part, resampler->swallow);
        resampler->swallow -= skipped;
        interpolate(line + skipped, part - skipped, out + made);
        made += 2 * (part - skipped);
        memmove(line, line + part, HISTORY * sizeof *line);
    }
    memcpy(resampler->history, line, sizeof resampler->history);
    return made;
}

void ve_decimator_open(struct ve_decimator *decimator)
{
    memset(decimator, 0, sizeof *decimator);
    decimator->swallow = CENTRE - 1;
}

size_t ve_decimate(struct ve_decimator *decimator, const int16_t *in, size_t count, int16_t *out)
{
    int16_t even[HISTORY + 1 + AT_A_TIME], odd[HISTORY + AT_A_TIME];
    size_t made = 0;
    memcpy(even, decimator->even, sizeof decimator->even);
    memcpy(odd, decimator->odd, sizeof decimator->odd);
    while (count > 0) {
        size_t pairs = HISTORY;
        if (decimator->half) {
            odd[pairs++] = *in++;
            count--;
        }
        for (; count >= 2 && pairs < HISTORY + AT_A_TIME; in += 2, count -= 2, pairs++) {
            even[pairs] = in[0];
            odd[pairs] = in[1];
        }
        decimator->half = count == 1;
        if (decimator->half) {
            even[pairs] = *in;
            count = 0;
        }
        const size_t fresh = pairs - HISTORY;
        const uint32_t skipped = least(fresh, decimator->swallow);
        decimator->swallow -= skipped;
        average(even + skipped, odd + skipped, fresh - skipped, out + made);
        made += fresh - skipped;
        memmove(even, even + fresh, (HISTORY + 1) * sizeof *even);
        memmove(odd, odd + fresh, HISTORY * sizeof *odd);
    }
    memcpy(decimator->even, even, sizeof decimator->even);
    memcpy(decimator->odd, odd, sizeof decimator->odd);
    return made;
}
