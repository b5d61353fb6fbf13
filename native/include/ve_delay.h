/**
 * @file ve_delay.h  Bulk delay of an echo by polarity coincidence: how late does what we sent come back?
 *
 *   far  ──► 300–1000 Hz ──► sign ──► …1011001 (2000 bits a second) ──┬─ delayed by 0 bits   ─┐
 *                                                                     ├─ delayed by 1 bit    ─┤ xor, count
 *                                                                     ├─ …                   ─┤ the equal bits
 *   near ──► 300–1000 Hz ──► sign ──► …0110100 ───────────────────────┴─ delayed by 767 bits ─┘
 *
 * Two unrelated signals agree in half of their signs; an echo agrees (or, when the hybrid inverts, disagrees) far more
 * often at its own delay. For Gaussian signals the excess is the arcsine of the correlation coefficient (Van Vleck
 * 1943), so nothing but the signs is needed, and 32 of them are compared by one xor. Voices are never loud at the same
 * moments for the same vowels: of two unrelated ones the best delay's coefficient stays below 0.15, an echo's is 0.25 …
 * 0.6.
 */
#ifndef VE_DELAY_H
#define VE_DELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VE_DELAY_RATE 2000u                           /* signs a second */
#define VE_DELAY_WORDS 24u                            /* of 32 signs, 16 ms each: 384 ms */
#define VE_DELAY_MS_MAX ((VE_DELAY_WORDS - 1u) * 16u) /* the longest delay that is looked for */
#define VE_DELAY_HOP_MAX 64                           /* samples taken at a time: 4 ms */

struct ve_delay {
    uint32_t hop, decimation;          /* samples taken at a time; samples a sign */
    uint32_t words;                    /* searched, a multiple of 4 */
    uint32_t hops;                     /* gathered of a word */
    uint32_t silent_words;             /* since the far end last spoke */
    bool far_speaks, near_sounds;      /* in the word being gathered */
    float band[VE_DELAY_HOP_MAX];      /* impulse response of the band-pass, as long as a hop */
    float lines[2][5 * VE_DELAY_HOP_MAX];  /* far, near: the hop before, and the word's */
    uint32_t far[VE_DELAY_WORDS + 1];      /* newest first; bit 31 of a word is its newest sign */
    int32_t agreement[32][VE_DELAY_WORDS]; /* [r][w]: equal less unequal signs at a delay of 32 w + r, fading */
    int32_t compared;                      /* what an agreement would be if all signs were equal */
};

/* cffi: tests begin */
struct ve_delay_peak {
    uint32_t delay;    /* samples */
    float coefficient; /* 0: nothing in common … 1: all signs agree (or all disagree) */
};

void ve_delay_open(struct ve_delay *delay, uint32_t rate, uint32_t longest_ms);

/**
 * Take a hop (4 ms) of whitened samples of both sides. A word is compared where the far side spoke shortly before, and the near
 * side is loud enough in one of its hops to be an echo. True when that was done and there may be a new peak.
 */
bool ve_delay_put(struct ve_delay *delay, const float *far, const float *near, bool far_speaks, bool near_sounds);

/** Forget what was compared, not what was sent: the echo comes at another delay now. */
void ve_delay_forget(struct ve_delay *delay);

/** The delay with the best agreement. */
struct ve_delay_peak ve_delay_peak(const struct ve_delay *delay);

/** The best coefficient at delays of `from` to `to` samples. */
float ve_delay_within(const struct ve_delay *delay, uint32_t from, uint32_t to);
/* cffi: tests end */

#endif
