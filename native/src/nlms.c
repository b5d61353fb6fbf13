#include "ve_nlms.h"

#include <math.h>
#include <string.h>

#include "ve_number.h"

#define LANES 16            /* independent sums, for the compiler to keep in vector registers */
#define MEMORY_S 0.00625f   /* of the smoothed powers */
#define UNKNOWN_PATH 0.5f   /* wᵀw of a hybrid with 3 dB of loss */
#define DRIFT 2.5e-5f       /* of wᵀw in a sample: a path is another after some seconds */
#define LEAST_PATH 0.001f   /* wᵀw of a path with 30 dB of loss: less is no echo */
#define MOST_PATH 0.1f      /* 10 dB: who finds much more is wrong, and needs no haste */
#define LEAST_NOISE 64.0f   /* power: rms 8, the quantisation of G.711 at the level of an echo */
#define LEAST_SHARE 0.02f   /* of e's power that is never explained by the misadjustment */
#define INSTANT_SHARE 0.1f  /* of e² that never is: the first sample of a burst */
#define LEAST_ERROR 0.01f   /* of e: less would only shrink weights to subnormal numbers, which are slow */
#define LEAST_POWER 1e-4f   /* LEAST_ERROR² */

static float total(const float *s)
{
    const float even = ((s[0] + s[4]) + (s[8] + s[12])) + ((s[2] + s[6]) + (s[10] + s[14]));
    const float odd = ((s[1] + s[5]) + (s[9] + s[13])) + ((s[3] + s[7]) + (s[11] + s[15]));
    return even + odd;
}

static float dot(const float *restrict a, const float *restrict b, size_t count)
{
    float sums[LANES] = {0};
    for (size_t i = 0; i < count; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++)
            sums[lane] += a[i + lane] * b[i + lane];
    return total(sums);
}

/** weights += change·last, and at once what they then predict: weights · next. */
static float update(float *restrict weights, float change, const float *restrict last,
                    const float *restrict next, size_t count)
{
    float sums[LANES] = {0};
    for (size_t i = 0; i < count; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++) {
            weights[i + lane] += change * last[i + lane];
            sums[lane] += weights[i + lane] * next[i + lane];
        }
    return total(sums);
}

/** weights += change·last, and what they are then worth: weights · weights. */
static float finish(float *restrict weights, float change, const float *restrict last, size_t count)
{
    float sums[LANES] = {0};
    for (size_t i = 0; i < count; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++) {
            weights[i + lane] += change * last[i + lane];
            sums[lane] += weights[i + lane] * weights[i + lane];
        }
    return total(sums);
}

/** The energy of the window `stride` samples after the one of energy `window` that begins at `far`. */
static float slide(float window, const float *far, size_t taps, size_t stride)
{
    for (size_t i = 0; i < stride; i++)
        window += far[i + taps] * far[i + taps] - far[i] * far[i];
    return ve_larger(window, 0.0f);
}

void ve_nlms_open(struct ve_nlms *nlms, uint32_t rate, uint32_t taps)
{
    memset(nlms, 0, sizeof *nlms);
    nlms->taps = taps;
    nlms->memory = 1.0f / (MEMORY_S * (float)rate);
    nlms->p = UNKNOWN_PATH / (float)taps;
}

/** The Kalman gain for an error e and a window of energy xᵀx. */
static float step(struct ve_nlms *nlms, float error, float window)
{
    const float explained = nlms->p * window;
    nlms->error = ve_larger(nlms->error + nlms->memory * (error * error - nlms->error), LEAST_POWER);
    nlms->expected += nlms->memory * (explained - nlms->expected);
    const float beyond = nlms->error - nlms->expected;
    const float least = ve_larger(LEAST_SHARE * nlms->error, INSTANT_SHARE * error * error);
    return nlms->p / (explained + ve_larger(beyond, least) + LEAST_NOISE);
}

void ve_nlms_adapt(struct ve_nlms *nlms, const float *far, const float *near, float *error, size_t count, size_t stride)
{
    const size_t taps = nlms->taps;
    const float per_tap = 1.0f / (float)taps;
    const float path = ve_smaller(ve_larger(nlms->path, LEAST_PATH), MOST_PATH);
    const float drift = DRIFT * path * (float)stride * per_tap;
    float window = dot(far, far, taps);
    float change = 0.0f;
    const float *last = far;
    for (size_t i = 0; i < count; i += stride) {
        if (i > 0)
            window = slide(window, last, taps, stride);
        error[i] = near[i] - update(nlms->weights, change, last, far + i, taps);
        last = far + i;
        const float surprise = fabsf(error[i]) < LEAST_ERROR ? 0.0f : error[i];
        const float gain = step(nlms, surprise, window);
        nlms->p += drift - gain * window * per_tap * nlms->p;
        change = gain * surprise;
    }
    nlms->path = finish(nlms->weights, change, last, taps);
}
