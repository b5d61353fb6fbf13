/**
 * @file ve_nlms.h  Adaptive filter: NLMS with the step of a Kalman filter (Benesty, Paleologu, Ciochină:
 * "joint-optimised NLMS").
 *
 * The unknown path is a vector of L weights, each known up to an error of variance p (one scalar for all). x is the
 * window of the last L far-end samples, e the error of the prediction, s the power of what in e is no echo: the caller,
 * noise, the codec.
 *
 *      e = near − wᵀx        step = p / (p·xᵀx + s)        w += step·e·x        p ← (1 − step·xᵀx / L)·p + drift / L
 *
 * s is what e's power has beyond the p·xᵀx that the misadjustment explains. When the caller speaks s grows, and the
 * step shrinks at once: this is the double-talk detection, without a threshold or a hold time. As the filter converges
 * p shrinks, and the step with it; `drift`, what of wᵀw may change in a sample, keeps it from standing still: in
 * proportion to wᵀw, or a caller would unteach the filter of a weak echo. A tone excites few directions of w: p soon
 * forbids to move further on its account.
 */
#ifndef VE_NLMS_H
#define VE_NLMS_H

#include <stddef.h>
#include <stdint.h>

#define VE_NLMS_TAPS_MAX 512 /* 64 ms at 8 kHz, 32 ms at 16 kHz */

struct ve_nlms {
    uint32_t taps;         /* a multiple of 16 */
    float memory;          /* of the smoothed powers, a sample */
    float p;               /* variance of a weight's error */
    float path;            /* wᵀw, when last adapted */
    float error, expected; /* smoothed powers of e and of p·xᵀx */
    _Alignas(16) float weights[VE_NLMS_TAPS_MAX]; /* that of the window's oldest sample first */
};

/* cffi: tests begin */
/** Know nothing: weights of zero, of which any may be wrong by what a hybrid without loss would have. */
void ve_nlms_open(struct ve_nlms *nlms, uint32_t rate, uint32_t taps);

/**
 * Learn from `count` samples; far[i] … far[i + taps − 1] is the window of near[i]. Only each `stride`-th sample is
 * looked at (a converged filter needs no more), and only its error written.
 */
void ve_nlms_adapt(struct ve_nlms *nlms, const float *far, const float *near, float *error, size_t count,
                   size_t stride);
/* cffi: tests end */

#endif
