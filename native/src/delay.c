#include "ve_delay.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WORD_BITS 32
#define WORD_HOPS 4u
#define SCALE 256 /* fixed point of the fading sums */
#define FADE 5    /* a sum keeps 31/32 a word: a memory of half a second */
#define LOW_HZ 300.0
#define HIGH_HZ 1000.0
#define PI 3.14159265358979323846

/** Ideal low-pass of `hz`, at `time_s` from its middle. */
static double low_pass(double hz, double time_s)
{
    return sin(2 * PI * hz * time_s) / (PI * time_s);
}

void ve_delay_open(struct ve_delay *delay, uint32_t rate, uint32_t longest_ms)
{
    memset(delay, 0, sizeof *delay);
    delay->hop = rate / 250;
    delay->decimation = rate / VE_DELAY_RATE;
    delay->words = (longest_ms / 16 + 1 + 3) & ~3u;
    delay->silent_words = VE_DELAY_WORDS;
    for (uint32_t i = 0; i < delay->hop; i++) {
        const double time_s = (i - (delay->hop - 1) / 2.0) / rate; /* never 0: the length is even */
        const double hann = 0.5 - 0.5 * cos(2 * PI * (i + 1) / (delay->hop + 1));
        delay->band[i] = (float)(hann * (low_pass(HIGH_HZ, time_s) - low_pass(LOW_HZ, time_s)) / rate);
    }
}

void ve_delay_forget(struct ve_delay *delay)
{
    memset(delay->agreement, 0, sizeof delay->agreement);
    delay->compared = 0;
}

/** Sign of the band-pass's output at the end of `window`. */
static uint32_t sign(const float *restrict band, const float *restrict window, size_t count)
{
    float sums[4] = {0};
    for (size_t i = 0; i < count; i += 4)
        for (size_t lane = 0; lane < 4; lane++)
            sums[lane] += band[i + lane] * window[i + lane];
    return (sums[0] + sums[2]) + (sums[1] + sums[3]) > 0;
}

/** The signs of the hops in `line` but the first, the newest on top. */
static uint32_t signs(const struct ve_delay *delay, const float *line)
{
    uint32_t word = 0;
    for (uint32_t bit = 0; bit < WORD_BITS; bit++)
        word |= sign(delay->band, line + (bit + 1) * delay->decimation, delay->hop) << bit;
    return word;
}

static void keep(const struct ve_delay *delay, float *line, const float *samples)
{
    memcpy(line + (1 + delay->hops) * delay->hop, samples, delay->hop * sizeof *line);
}

/** The last hop of a word is the one before the next word's. */
static void begin_word(struct ve_delay *delay)
{
    for (size_t i = 0; i < 2; i++)
        memcpy(delay->lines[i], delay->lines[i] + WORD_HOPS * delay->hop, delay->hop * sizeof *delay->lines[i]);
    memmove(delay->far + 1, delay->far, VE_DELAY_WORDS * sizeof *delay->far);
    delay->hops = 0;
    delay->far_speaks = delay->near_sounds = false;
}

/** Bits that are set, by adding neighbours: pairs, nibbles, bytes. Plain operations, so that loops over it are vectorised. */
static inline int32_t population(uint32_t word)
{
    word -= (word >> 1) & 0x55555555u;
    word = (word & 0x33333333u) + ((word >> 2) & 0x33333333u);
    word = (word + (word >> 4)) & 0x0f0f0f0fu;
    word += word >> 8;
    return (int32_t)((word + (word >> 16)) & 63u);
}

static void compare(struct ve_delay *delay, uint32_t near)
{
    const uint32_t *const restrict far = delay->far;
    const uint32_t words = delay->words;
    for (uint32_t r = 0; r < WORD_BITS; r++) {
        int32_t *const restrict sums = delay->agreement[r];
        for (uint32_t w = 0; w < words; w++) {
            const uint32_t delayed = (far[w] << r) | ((far[w + 1] >> 1) >> (WORD_BITS - 1 - r));
            sums[w] += SCALE * (WORD_BITS - 2 * population(delayed ^ near)) - (sums[w] >> FADE);
        }
    }
    delay->compared += SCALE * WORD_BITS - (delay->compared >> FADE);
}

bool ve_delay_put(struct ve_delay *delay, const float *far, const float *near, bool far_speaks, bool near_sounds)
{
    keep(delay, delay->lines[0], far);
    keep(delay, delay->lines[1], near);
    delay->far_speaks |= far_speaks;
    delay->near_sounds |= near_sounds;
    if (++delay->hops < WORD_HOPS)
        return false;
    delay->far[0] = signs(delay, delay->lines[0]);
    delay->silent_words = delay->far_speaks ? 0 : delay->silent_words + 1;
    const bool worth_it = delay->near_sounds && delay->silent_words < delay->words;
    if (worth_it)
        compare(delay, signs(delay, delay->lines[1]));
    begin_word(delay);
    return worth_it;
}

static int32_t magnitude(const struct ve_delay *delay, uint32_t at)
{
    return abs(delay->agreement[at % WORD_BITS][at / WORD_BITS]);
}

static float coefficient(const struct ve_delay *delay, int32_t agreement)
{
    return delay->compared ? (float)agreement / (float)delay->compared : 0.0f;
}

struct ve_delay_peak ve_delay_peak(const struct ve_delay *delay)
{
    int32_t best = -1;
    uint32_t row = 0;
    for (uint32_t r = 0; r < WORD_BITS; r++) {
        int32_t most = 0;
        for (uint32_t w = 0; w < delay->words; w++)
            most = abs(delay->agreement[r][w]) > most ? abs(delay->agreement[r][w]) : most;
        if (most > best) {
            best = most;
            row = r;
        }
    }
    uint32_t at = row;
    while (magnitude(delay, at) != best)
        at += WORD_BITS;
    return (struct ve_delay_peak){.delay = at * delay->decimation, .coefficient = coefficient(delay, best)};
}

float ve_delay_within(const struct ve_delay *delay, uint32_t from, uint32_t to)
{
    const uint32_t ends = delay->words * WORD_BITS;
    int32_t best = 0;
    for (uint32_t at = from / delay->decimation; at <= to / delay->decimation && at < ends; at++)
        best = magnitude(delay, at) > best ? magnitude(delay, at) : best;
    return coefficient(delay, best);
}
