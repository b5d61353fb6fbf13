/**
 * @file ve_goertzel.h  A bank of Goertzel filters: how much of some given frequencies a block of samples holds.
 *
 * The Goertzel algorithm (1958) is one term of a discrete Fourier transform at a price of one multiplication a sample,
 * and unlike a transform's its frequencies need not be multiples of anything. A filter is a resonator without losses
 *
 *     s[n] = x[n] + 2 cos θ · s[n-1] - s[n-2],    θ = 2π f / rate,
 *
 * that starts at rest and is read after N samples, when its last two states hold the transform, seen from the sample
 * that would come next:
 *
 *     s[N-1] cos θ - s[N-2] + j s[N-1] sin θ  =  Σ x[n] e^(j θ (N-1-n))
 *
 * A step must wait for the one before it, about eight cycles, whatever else the machine could do meanwhile. So all filters
 * go ahead together: sixteen cost hardly more than one.
 *
 * A sine of amplitude A at a filter's frequency reads as a phasor of length A N / 2, or A Σw[n] / 2 if the samples were
 * weighted by a window w beforehand. The filter has the window's band: without one the first zero is rate / N beside
 * the frequency, and the side lobes begin at -13 dB; a Hann window is twice as wide, and its side lobes begin at -31 dB.
 */
#ifndef VE_GOERTZEL_H
#define VE_GOERTZEL_H

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VE_GOERTZEL_LANES 16      /* most frequencies of a bank */
#define VE_FULL_SCALE     32768.0F /* 0 dBov is a square wave of this amplitude; a sine reaches -3 dBov */

struct ve_goertzel {
    float feedback[VE_GOERTZEL_LANES]; /* 2 cos θ */
    float cosine[VE_GOERTZEL_LANES];
    float sine[VE_GOERTZEL_LANES];
    size_t count; /* frequencies in use */
};

/** A bank of `count` frequencies. 0, or -EINVAL: too many, or one at or above half the rate. */
static inline int ve_goertzel_open(struct ve_goertzel *bank, uint32_t rate, const float *hz, size_t count)
{
    memset(bank, 0, sizeof *bank);
    if (count == 0 || count > VE_GOERTZEL_LANES)
        return -EINVAL;
    for (size_t i = 0; i < count; i++) {
        const double angle = 2.0 * 3.14159265358979323846 * (double)hz[i] / rate;
        if (!(hz[i] > 0.0F) || 2.0F * hz[i] >= (float)rate)
            return -EINVAL;
        bank->cosine[i] = (float)cos(angle);
        bank->sine[i] = (float)sin(angle);
        bank->feedback[i] = (float)(2.0 * cos(angle));
    }
    bank->count = count;
    return 0;
}

/* Four filters in one register; arithmetic goes lane by lane. (Left to itself the compiler keeps the states in memory,
 * and the bank takes two to six times as long.) */
typedef float ve_four __attribute__((vector_size(16)));

/* `fours` is known where this is inlined, so the loops over them are none at run time. */
static inline __attribute__((always_inline)) void ve_goertzel_run(const struct ve_goertzel *bank, const size_t fours,
                                                                  const float *in, const float *upper_in, size_t count,
                                                                  float *real, float *imaginary)
{
    ve_four last[VE_GOERTZEL_LANES / 4] = {0}, before[VE_GOERTZEL_LANES / 4] = {0}, feedback[VE_GOERTZEL_LANES / 4];
    ve_four cosine[VE_GOERTZEL_LANES / 4], sine[VE_GOERTZEL_LANES / 4];
    memcpy(feedback, bank->feedback, sizeof feedback);
    memcpy(cosine, bank->cosine, sizeof cosine);
    memcpy(sine, bank->sine, sizeof sine);
    for (size_t n = 0; n < count; n++)
        for (size_t i = 0; i < fours; i++) {
            const float x = i < VE_GOERTZEL_LANES / 8 ? in[n] : upper_in[n];
            const ve_four now = x - before[i] + feedback[i] * last[i];
            before[i] = last[i];
            last[i] = now;
        }
    for (size_t i = 0; i < fours; i++) {
        const ve_four x = cosine[i] * last[i] - before[i], y = sine[i] * last[i];
        memcpy(real + 4 * i, &x, sizeof x);
        memcpy(imaginary + 4 * i, &y, sizeof y);
    }
}

/** The phasors of a block of samples, weighted or not, seen from the sample to come. They need room for all lanes. */
static inline void ve_goertzel_read(const struct ve_goertzel *bank, const float *in, size_t count, float *real,
                                    float *imaginary)
{
    if (bank->count <= VE_GOERTZEL_LANES / 2)
        ve_goertzel_run(bank, VE_GOERTZEL_LANES / 8, in, in, count, real, imaginary);
    else
        ve_goertzel_run(bank, VE_GOERTZEL_LANES / 4, in, in, count, real, imaginary);
}

/** The same for two signals at once: the lower half of the lanes hears `in`, the upper half `upper_in`. */
static inline void ve_goertzel_read_two(const struct ve_goertzel *bank, const float *in, const float *upper_in,
                                        size_t count, float *real, float *imaginary)
{
    ve_goertzel_run(bank, VE_GOERTZEL_LANES / 4, in, upper_in, count, real, imaginary);
}

/** The power of the sine behind a phasor as a share of 0 dBov; `weight` is the sum of the window, or N without one. */
static inline float ve_goertzel_power(float real, float imaginary, float weight)
{
    const float scale = VE_FULL_SCALE * weight;
    return 2.0F * (real * real + imaginary * imaginary) / (scale * scale);
}

/** A share of 0 dBov in dBov; silence is -127 dBov (RFC 6465). */
static inline float ve_goertzel_dbov(float power)
{
    const float floor = 2e-13F;
    return 10.0F * log10f(power > floor ? power : floor);
}

#endif
