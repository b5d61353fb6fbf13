/**
 * @file ve_geigel.h  How loud can an echo be? Geigel's rule with a threshold that is learnt.
 *
 *   far   ▁▂█▃▁▁▂▅▂▁▁▁▁▂▁│▁▁▁▁▁▃▆▂▁▁▁▂▁▁▁│        what was sent in a stretch …
 *   near  ▁▁▁▁▁▂▁▁▁▁▁▁▁▁▁│▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁│        … has come back by the end of the next
 *
 * An echo comes within the reach of the longest delay. So of what was sent in a stretch of that length nothing comes
 * back louder than the near end was in this stretch and the next: the loudest hop of both, over the loudest sent, is an
 * upper bound for the share that the hybrid sends back. A caller who speaks makes it larger than it need be, never
 * smaller: the least of the bounds counts. It is forgotten slowly, for the line may change; and no hybrid has less than
 * 6 dB of loss, which is Geigel's fixed threshold.
 */
#ifndef VE_GEIGEL_H
#define VE_GEIGEL_H

#include <stdint.h>

struct ve_geigel {
    uint32_t reach, hops;      /* in a stretch; in this one */
    float far_now, far_before; /* power of the loudest hop: of this stretch, of the one before */
    float near_now, near_before;
    float share; /* of the far end's power that comes back at most */
};

/* cffi: tests begin */
void ve_geigel_open(struct ve_geigel *geigel, uint32_t reach);

/** Take the powers of a hop. */
void ve_geigel_put(struct ve_geigel *geigel, float far, float near);

/** The power of the loudest hop whose echo may come now. */
float ve_geigel_far(const struct ve_geigel *geigel);

/** What share of it may come back. */
float ve_geigel_share(const struct ve_geigel *geigel);
/* cffi: tests end */

#endif
