/**
 * @file ve_dc.h  Takes a constant offset out: a one-pole high-pass at 10 Hz (20 Hz at 16 kHz), far below any voice.
 *
 *      in ──┬──────────────────────────▶ + ──▶ out     mean += (in - mean) / 128, once a sample
 *           │                          ▲ -
 *           └─▶ slow mean ─▶ rounded ──┘               H(z) = (1 - z⁻¹) / (1 - 127/128 z⁻¹), -3 dB at rate / (2π 128)
 *
 * Cheap analogue gateways sit a few hundred steps off centre, which spoils levels and thresholds. The mean is kept in
 * 1/32768 of a step, so nothing drifts; what is taken from a sample is rounded to a step.
 */
#ifndef VE_DC_H
#define VE_DC_H

#include <stddef.h>
#include <stdint.h>

struct ve_dc {
    int32_t mean; /* of what came in, in Q15 */
};

/* cffi: tests begin */
void ve_dc_open(struct ve_dc *dc);

/** `count` samples from `in` to `out`, which may be the same. */
void ve_dc_put(struct ve_dc *dc, const int16_t *in, int16_t *out, size_t count);
/* cffi: tests end */

#endif
