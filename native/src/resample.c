#include "ve_resample.h"

#include <string.h>

#define HISTORY (VE_RESAMPLE_TAPS - 1)
#define SHIFT 14 /* the taps' absolute sum is 2.43, so a sum of products stays below 2^31 */

/* round(2^15 × firwin(63, 0.5, ("kaiser", 6.76))[0::2]), the middle pair lowered by one so that the sum is 2^14 */
static const int16_t taps[VE_RESAMPLE_TAPS] = {
    -2,    8,     -18,  35,    -60, 98,   -150, 223,  -321, 453, -633, 886, -1269, 1923, -3377, 10396,
    10396, -3377, 1923, -1269, 886, -633, 453,  -321, 223, -150, 98,   -60, 35,    -18,  8,     -2,
};

static int16_t saturate(int32_t value)
{
    return (int16_t)(value > INT16_MAX ? INT16_MAX : value < INT16_MIN ? INT16_MIN : value);
}

void ve_resampler_open(struct ve_resampler *resampler)
{
    memset(resampler, 0, sizeof *resampler);
    resampler->swallow = VE_RESAMPLE_TAPS / 2;
}

size_t ve_resample(struct ve_resampler *resampler, const int16_t *in, size_t count, int16_t *out)
{
    int16_t *const line = resampler->line;
    memcpy(line + HISTORY, in, count * sizeof *line);
    size_t i = resampler->swallow < count ? resampler->swallow : count;
    resampler->swallow -= (uint32_t)i;
    int16_t *next = out;
    for (; i < count; i++) {
        const int16_t *window = line + i;
        int32_t sum = 1 << (SHIFT - 1);
        for (size_t tap = 0; tap < VE_RESAMPLE_TAPS; tap++)
            sum += taps[tap] * window[tap];
        *next++ = window[VE_RESAMPLE_TAPS / 2 - 1];
        *next++ = saturate(sum >> SHIFT);
    }
    memmove(line, line + count, HISTORY * sizeof *line);
    return (size_t)(next - out);
}
