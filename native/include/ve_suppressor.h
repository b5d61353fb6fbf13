/**
 * @file ve_suppressor.h  What a line echo canceller leaves over: replaced by noise of the line's level (G.168's
 * nonlinear processor).
 *
 * A hop of 4 ms that is no louder than the residual echo may be is not the caller. How loud it may be is learnt:
 * `leak`, the upper quartile of residual over estimated echo. While no estimate can be trusted it is Geigel's rule
 * (ve_geigel.h): anything that could be an echo of the far end's peak within reach. With a filter it is known what of
 * the far end comes back now, and `doubt` is what of that the filter may leave over, for it may know one vowel only: it
 * shrinks while the filter proves good. What is louder than the greater of the two opens the suppressor from the next
 * hop on, for 200 ms: a first syllable loses 4 ms of its rise at most.
 */
#ifndef VE_SUPPRESSOR_H
#define VE_SUPPRESSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ve_suppressor {
    uint32_t hop;          /* samples */
    float gain, next_gain; /* of the hop that is going on: from, to */
    float leak;            /* residual over estimated echo, power */
    float echo;            /* power of the estimated echo, fading */
    float far;             /* power of what was sent and comes back now, fading */
    float doubt;           /* the share of a possible echo that the filter may leave over */
    float noise;           /* power of the line's noise */
    bool trusted;          /* the estimate, in the last hop */
    uint32_t open;         /* hops for which the caller is still taken to speak */
    uint32_t random;
};

/** Powers (mean squares) of a hop. */
struct ve_suppressor_hop {
    float far, far_peak; /* what was sent: where the echo is estimated, at most within the echo's reach */
    float share;         /* of it that comes back at most */
    float echo, error;   /* its echo as estimated, near less that */
    bool trusted;        /* the estimate */
    bool unknown;        /* it may be an echo that is not known yet */
};

void ve_suppressor_open(struct ve_suppressor *suppressor, uint32_t hop);

/** Work on samples `at` … `at + count − 1` of the hop that is going on. */
void ve_suppressor_put(struct ve_suppressor *suppressor, int16_t *samples, size_t at, size_t count);

/** The hop is complete: decide about the next. */
void ve_suppressor_decide(struct ve_suppressor *suppressor, const struct ve_suppressor_hop *hop);

#endif
