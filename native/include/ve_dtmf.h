/**
 * @file ve_dtmf.h  Keys in band: a receiver for push-button signals (ITU-T Q.23, Q.24), for lines that send no RFC 4733.
 *
 * A key is two tones at once, one of a low and one of a high group, chosen so that no two have a ratio of small integers:
 *
 *              1209   1336   1477   1633 Hz
 *       697      1      2      3      A
 *       770      4      5      6      B
 *       852      7      8      9      C
 *       941      *      0      #      D
 *
 * Every 5 ms the last 10 ms are weighted by a Hann window and correlated with the eight tones: a phasor each.
 *
 *       0    5    10   15   20   25   30   35 ms
 *       ╭─ 1 ─╮   ╭─ 3 ─╮   ╭─ 5 ─╮
 *            ╭─ 2 ─╮   ╭─ 4 ─╮   ╭─ 6 ─╮
 *
 * Six phasors in a row decide. A steady tone turns by the same angle from each to the next, and that is its frequency: it
 * is found to a hertz or so, where a filter as short as this is 200 Hz wide. Turned back by that angle and added up, they
 * are the tone's power and nothing else. A key is down when
 *   - both tones are within ±(1.5 % + 4 Hz) of a row and a column (Q.24: ±(1.5 % + 2 Hz) is a key, ±3.5 % is none),
 *   - neither changes by more than 5 dB, both are loud enough, and neither is much louder than the other (twist),
 *   - and together they are 86 % of all there is (8 dB over noise): speech has more than two harmonics.
 * So tones of 33 ms and more are keys, and those of 24 ms and less are none. The key is up when less than a third of an
 * amplitude has been left for 30 ms: a pause of 35 ms ends it, an interruption of 20 ms (a packet) does not.
 *
 * Neighbouring windows add up to one, and so the lengths of the phasors add up to the length of the tone: its beginning
 * and end are known much better than to 5 ms.
 */
#ifndef VE_DTMF_H
#define VE_DTMF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ve_goertzel.h"

#define VE_DTMF_TONES   8
#define VE_DTMF_PHASORS 8  /* remembered: the six that decide, and two in which a tone may have begun; a power of two */
#define VE_DTMF_HOP_MAX 80 /* 5 ms at 16 kHz */

/* cffi: begin */
struct ve_dtmf_settings {
    float minimum_dbov;     /* each tone is at least this loud: -60 … 0 */
    float twist_db;         /* the high tone may be this much weaker than the low one: 0 … 12 */
    float reverse_twist_db; /* the high tone may be this much stronger than the low one: 0 … 12 */
};
/* cffi: end */

/* cffi: tests begin */
struct ve_key_change {
    char key;         /* 0-9 * # A-D */
    bool down;        /* or up */
    uint64_t began;   /* samples since the receiver was opened */
    uint64_t ended;   /* the same, of the key going up */
    float level_dbov; /* of both tones */
    float twist_db;   /* high over low */
};
/* cffi: tests end */

struct ve_dtmf_phasors {
    float real[VE_DTMF_TONES], imaginary[VE_DTMF_TONES]; /* half the amplitude long; 1 is full scale */
    float energy;                                        /* mean square of all there is */
};

struct ve_dtmf_tone {
    float step_cosine, step_sine; /* how far it turns in 5 ms */
    float slack;                  /* tangent of how much more or less that may be */
};

struct ve_dtmf {
    size_t hop;                        /* samples in 5 ms */
    float minimum, weakest, strongest; /* power of a tone; bounds of high over low */
    struct ve_dtmf_tone tones[VE_DTMF_TONES];
    struct ve_goertzel bank;       /* the tones twice, for the two parts of a folded window */
    float window[VE_DTMF_HOP_MAX]; /* its rising half; the whole adds up to one */

    float recent[2 * VE_DTMF_HOP_MAX + 1]; /* samples of the window: the hop before, the one being filled, and a zero */
    size_t fill;
    uint64_t heard;                               /* samples */
    struct ve_dtmf_phasors past[VE_DTMF_PHASORS]; /* a ring */
    uint32_t newest;

    int down;                   /* the key: 4 row + column, or -1 */
    float low, high;            /* squared lengths of its phasors */
    uint32_t missing;           /* hops since it was last heard */
    struct ve_key_change press; /* how it began */
};

/* cffi: tests begin */
/** 0, or -EINVAL: the rate is neither 8000 nor 16000 Hz, or a setting is out of its bounds. */
int ve_dtmf_open(struct ve_dtmf *dtmf, uint32_t rate, const struct ve_dtmf_settings *settings);

/** Take any number of samples; writes what changed, returns how much. Two changes in 20 ms are the most there can be;
 *  what finds no room is lost. */
size_t ve_dtmf_put(struct ve_dtmf *dtmf, const int16_t *samples, size_t count, struct ve_key_change *changes,
                   size_t room);

/** Whether a key is down: until it is up, what is heard is not the caller's voice. */
bool ve_dtmf_down(const struct ve_dtmf *dtmf);
/* cffi: tests end */

#endif
