#include "ve_geigel.h"

#include <string.h>

#include "ve_number.h"

#define GEIGEL 0.25f      /* no hybrid has less than 6 dB of loss */
#define LEAST 1e-4f       /* −40 dB */
#define LOUD 100000.0f    /* power: rms 316, −40 dBov: what is sent less loud may come back below the line's noise */
#define OTHER_SOUNDS 4.0f /* those of another spectrum may come back 6 dB louder */
#define FORGET 1.08f      /* a stretch of a third of a second in which the far end spoke: 1 dB a second */

void ve_geigel_open(struct ve_geigel *geigel, uint32_t reach)
{
    memset(geigel, 0, sizeof *geigel);
    geigel->reach = reach;
    geigel->share = GEIGEL;
}

void ve_geigel_put(struct ve_geigel *geigel, float far, float near)
{
    geigel->far_now = ve_larger(geigel->far_now, far);
    geigel->near_now = ve_larger(geigel->near_now, near);
    if (++geigel->hops < geigel->reach)
        return;
    if (geigel->far_before > LOUD) {
        const float bound = OTHER_SOUNDS * ve_larger(geigel->near_now, geigel->near_before) / geigel->far_before;
        geigel->share = ve_smaller(ve_smaller(geigel->share * FORGET, GEIGEL), ve_larger(bound, LEAST));
    }
    geigel->far_before = geigel->far_now;
    geigel->near_before = geigel->near_now;
    geigel->far_now = geigel->near_now = 0;
    geigel->hops = 0;
}

float ve_geigel_far(const struct ve_geigel *geigel)
{
    return ve_larger(geigel->far_now, geigel->far_before);
}

float ve_geigel_share(const struct ve_geigel *geigel)
{
    return geigel->share;
}
