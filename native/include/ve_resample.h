/**
 * @file ve_resample.h  8 ↔ 16 kHz by one half-band filter in polyphase form.
 *
 * Up: every second output sample is an input sample; the one between them is interpolated from its 32 neighbours.
 *
 *      in     o   o   o   o   o   o          16 neighbours on each side ─▶ x
 *      out    o x o x o x o x o x o
 *
 * Down: the average of a sample and of what its neighbours say should be there. Below 4 kHz they agree, and the sample
 * stays; above, the neighbours say the opposite, and it vanishes. So both ways are the same 32 taps (16 bits, in Q14):
 * a half-band filter is (sample + interpolation) / 2, and its other coefficients are zero.
 *
 *      in     x o x o x o x o x o x          even samples, and the odd ones between them
 *      out    o   o   o   o   o   o
 *
 * For 0–3400 Hz the error of either way, images and aliases included, is 70 dB below the signal. An output sample lies
 * where the input sample of the same moment lay: the filter's delay is swallowed at the start, so positions need no
 * correction.
 */
#ifndef VE_RESAMPLE_H
#define VE_RESAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VE_RESAMPLE_TAPS 32

struct ve_resampler {
    int16_t history[VE_RESAMPLE_TAPS - 1]; /* the last samples that came in */
    uint32_t swallow;                      /* samples still to come before the first output */
};

struct ve_decimator {
    int16_t even[VE_RESAMPLE_TAPS]; /* the last pairs of samples that came in, and perhaps half a pair */
    int16_t odd[VE_RESAMPLE_TAPS - 1];
    bool half;        /* the next pair's even sample is in already */
    uint32_t swallow; /* pairs still to come before the first output */
};

/* cffi: tests begin */
void ve_resampler_open(struct ve_resampler *resampler);
/** 8 → 16 kHz: takes `count` samples; writes at most 2 × count, returns how many. */
size_t ve_resample(struct ve_resampler *resampler, const int16_t *in, size_t count, int16_t *out);

void ve_decimator_open(struct ve_decimator *decimator);
/** 16 → 8 kHz: takes `count` samples; writes at most (count + 1) / 2, returns how many. */
size_t ve_decimate(struct ve_decimator *decimator, const int16_t *in, size_t count, int16_t *out);
/* cffi: tests end */

#endif
