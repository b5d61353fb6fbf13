#include "ve_dc.h"

#include "ve_number.h"

#define POINT 15 /* the mean stays within 32768 × 2^15 = 2^30 */
#define SLOW 7

void ve_dc_open(struct ve_dc *dc)
{
    dc->mean = 0;
}

void ve_dc_put(struct ve_dc *dc, const int16_t *in, int16_t *out, size_t count)
{
    int32_t mean = dc->mean;
    for (size_t i = 0; i < count; i++) {
        const int32_t sample = in[i];
        const int32_t centred = sample - ((mean + (1 << (POINT - 1))) >> POINT);
        out[i] = ve_saturated(centred);
        mean += sample * (1 << (POINT - SLOW)) - (mean >> SLOW);
    }
    dc->mean = mean;
}
