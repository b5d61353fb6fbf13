#include "ve_delay.h"

#include <stdlib.h>
#include <string.h>

#define WORD_BITS 32
#define SCALE 256 /* fixed point of the fading sums */
#define FADE 5    /* a sum keeps 31/32 a word: a memory of half a second */

void ve_delay_open(struct ve_delay *delay, uint32_t rate, uint32_t longest_ms)
{
    memset(delay, 0, sizeof *delay);
    delay->decimation = rate / VE_DELAY_RATE;
    delay->words = (longest_ms / 16 + 1 + 3) & ~3u;
    delay->silent_words = VE_DELAY_WORDS;
}

/** One bit: is the signal, summed over `samples`, higher than it was? */
static uint32_t rising(const float *samples, size_t count, float *before)
{
    float sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += samples[i];
    const uint32_t bit = sum > *before;
    *before = sum;
    return bit;
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

static void compare(struct ve_delay *delay)
{
    const uint32_t *const restrict far = delay->far;
    const uint32_t near = delay->near;
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

bool ve_delay_put(struct ve_delay *delay, const float *far, const float *near, size_t count, bool far_speaks)
{
    for (size_t i = 0; i + delay->decimation <= count; i += delay->decimation) {
        delay->far[0] = delay->far[0] >> 1 | rising(far + i, delay->decimation, &delay->far_sum) << 31;
        delay->near = delay->near >> 1 | rising(near + i, delay->decimation, &delay->near_sum) << 31;
        delay->bits++;
    }
    delay->spoke |= far_speaks;
    if (delay->bits < WORD_BITS)
        return false;
    delay->silent_words = delay->spoke ? 0 : delay->silent_words + 1;
    const bool worth_it = delay->silent_words < delay->words;
    if (worth_it)
        compare(delay);
    memmove(delay->far + 1, delay->far, VE_DELAY_WORDS * sizeof *delay->far);
    delay->bits = 0;
    delay->spoke = false;
    return worth_it;
}

static int32_t magnitude(const struct ve_delay *delay, uint32_t signs)
{
    return abs(delay->agreement[signs % WORD_BITS][signs / WORD_BITS]);
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
    uint32_t signs = row;
    while (magnitude(delay, signs) != best)
        signs += WORD_BITS;
    return (struct ve_delay_peak){.delay = signs * delay->decimation, .coefficient = coefficient(delay, best)};
}

float ve_delay_within(const struct ve_delay *delay, uint32_t from, uint32_t to)
{
    int32_t best = 0;
    for (uint32_t signs = from / delay->decimation; signs <= to / delay->decimation && signs < delay->words * WORD_BITS; signs++)
        best = magnitude(delay, signs) > best ? magnitude(delay, signs) : best;
    return coefficient(delay, best);
}
