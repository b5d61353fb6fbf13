#include "ve_suppressor.h"

#include <math.h>
#include <string.h>

#include "ve_number.h"

#define HOLD_HOPS 50          /* 200 ms from syllable to syllable */
#define MARGIN 4.0f           /* 6 dB above what is expected of the residual echo is the caller */
#define NOISE_MARGIN 4.0f     /* and 6 dB above the line's noise */
#define DOUBT_MOST 3.0f       /* of a filter that is new: another vowel may come back 5 dB louder than any so far */
#define DOUBT_LEAST 0.01f     /* −20 dB: for a sound that it does not know yet */
#define DOUBT_FADE 0.991f     /* a hop in which it is good: it is trusted 10 dB a second more */
#define GOOD 0.25f            /* it takes 6 dB away, */
#define SPEECH 0.01f          /* of what was sent no 20 dB below its peak */
#define ECHO_FADE 0.8f        /* a hop: an echo's reverberation, 60 dB in 250 ms */
#define FAR_FADE 0.9f         /* a hop: half of it in 27 ms, for the echo comes at any place of the window */
#define ECHO_LEAST 1e-4f      /* −130 dBov: below there are only slow, subnormal numbers */
#define LEAK_RISE 1.07f       /* 0.3 dB up for one hop above, 0.1 dB down for three below: the upper quartile */
#define LEAK_FALL 0.977f
#define LEAK_RISE_OPEN 1.003f /* while open the excess is most likely the caller: 3 dB a second */
#define LEAK_LEAST 1e-4f      /* −40 dB: what G.711 leaves */
#define NOISE_RISE 1.002f     /* 2 dB a second */
#define NOISE_MOST 10000.0f   /* rms 100, −50 dBov: no comfort in more */
#define CLOSING 0.7f          /* gain from one hop to the next; opening is at once */

void ve_suppressor_open(struct ve_suppressor *suppressor, uint32_t hop)
{
    memset(suppressor, 0, sizeof *suppressor);
    suppressor->hop = hop;
    suppressor->gain = suppressor->next_gain = 1.0f;
    suppressor->leak = 1.0f;
    suppressor->noise = NOISE_MOST;
    suppressor->random = 1;
}

/** Uniform in −1 … 1 (Knuth's linear congruential generator). */
static float random_number(struct ve_suppressor *suppressor)
{
    suppressor->random = suppressor->random * 1664525u + 1013904223u;
    return (float)(int32_t)suppressor->random * (1.0f / 2147483648.0f);
}

void ve_suppressor_put(struct ve_suppressor *suppressor, int16_t *samples, size_t at, size_t count)
{
    if (suppressor->gain == 1.0f && suppressor->next_gain == 1.0f)
        return;
    const float slope = (suppressor->next_gain - suppressor->gain) / (float)suppressor->hop;
    const float noise = sqrtf(3.0f * suppressor->noise); /* peak of uniform noise of that power */
    for (size_t i = 0; i < count; i++) {
        const float gain = suppressor->gain + slope * (float)(at + i + 1);
        const float comfort = (1.0f - gain) * noise * random_number(suppressor);
        samples[i] = (int16_t)(gain * (float)samples[i] + comfort);
    }
}

static void follow_noise(struct ve_suppressor *suppressor, float error)
{
    const float risen = suppressor->noise * NOISE_RISE;
    suppressor->noise = error < risen ? error : risen;
    if (suppressor->noise > NOISE_MOST)
        suppressor->noise = NOISE_MOST;
    if (suppressor->noise < 1.0f)
        suppressor->noise = 1.0f;
}

static void follow_echo(struct ve_suppressor *suppressor, const struct ve_suppressor_hop *hop)
{
    suppressor->echo = ve_larger(ve_larger(suppressor->echo * ECHO_FADE, hop->echo), ECHO_LEAST);
    suppressor->far = ve_larger(ve_larger(suppressor->far * FAR_FADE, hop->far), ECHO_LEAST);
    if (!hop->trusted)
        suppressor->doubt = DOUBT_MOST;
    else if (hop->far > SPEECH * hop->far_peak && hop->error < GOOD * hop->echo && suppressor->doubt > DOUBT_LEAST)
        suppressor->doubt *= DOUBT_FADE;
}

static void follow_leak(struct ve_suppressor *suppressor, float error)
{
    if (suppressor->echo < NOISE_MARGIN * suppressor->noise || error > MARGIN * suppressor->echo)
        return;
    const bool above = error > suppressor->leak * suppressor->echo;
    suppressor->leak *= !above ? LEAK_FALL : suppressor->open ? LEAK_RISE_OPEN : LEAK_RISE;
    if (suppressor->leak > 1.0f)
        suppressor->leak = 1.0f;
    if (suppressor->leak < LEAK_LEAST)
        suppressor->leak = LEAK_LEAST;
}

/** The power that the residual echo may have. */
static float possible(const struct ve_suppressor *suppressor, const struct ve_suppressor_hop *hop)
{
    if (hop->trusted)
        return ve_larger(suppressor->doubt * hop->share * suppressor->far, suppressor->leak * suppressor->echo);
    return hop->unknown ? hop->share * hop->far_peak : 0.0f;
}

void ve_suppressor_decide(struct ve_suppressor *suppressor, const struct ve_suppressor_hop *hop)
{
    follow_noise(suppressor, hop->error);
    follow_echo(suppressor, hop);
    if (hop->trusted)
        follow_leak(suppressor, hop->error);
    else if (suppressor->trusted)
        suppressor->open = 0; /* what was taken for the caller may have been an echo that has moved */
    suppressor->trusted = hop->trusted;
    const float residual = possible(suppressor, hop);
    if (hop->error > MARGIN * residual + NOISE_MARGIN * suppressor->noise)
        suppressor->open = HOLD_HOPS;
    else if (suppressor->open)
        suppressor->open--;
    suppressor->gain = suppressor->next_gain;
    if (suppressor->open || residual < suppressor->noise)
        suppressor->next_gain = 1.0f;
    else
        suppressor->next_gain = suppressor->gain > 0.1f ? suppressor->gain * CLOSING : 0.0f;
}
