/**
 * @file ve_tones.h  Call-progress and special tones: busy, congestion, ringback, dial tone and special information tone
 * (ITU-T E.180), fax calling and answering (T.30, V.25, V.8), and the beep of an answering machine.
 *
 * Every 10 ms one question is answered: what is heard, silence, a sound of the plan, or something else? A bank of Goertzel
 * filters gives one phasor a filter and 5 ms; all the rest is done on those, of which a decision sees eight:
 *
 *      slice    0 1 2 3 4 5 6 7     40 ms; the answer is about their middle
 *      pair     . - = # # = - .     a Hann window over all eight: tells 440 from 480 Hz
 *      sine         # # # #         the strongest of ten filters; how fast its phasor turns tells the frequency to 1 or
 *                                   2 Hz, and then the four are added up as that very frequency
 *
 * What is found must hold most of the energy there is: speech and music do not. And it must stay: five answers alike make
 * a change, so that a click, a fax's phase reversal or the dip of a modulated tone makes none. What was heard, and for
 * how long, is then held against every tone of the plan:
 *
 *      480+620 Hz  ‾‾‾‾‾|_____|‾‾‾‾‾|_____|‾‾‾‾‾|____________
 *                  ^ began           ^ begun: two bursts right ^ ended: the silence is too long
 *
 * A first burst may be shorter than it should, for nobody listened when it began. A beep has no frequency of its own: it
 * is any sine that keeps its pitch and its loudness and ends in silence, unless another tone of the plan accounts for it.
 */
#ifndef VE_TONES_H
#define VE_TONES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ve_goertzel.h"
#include "ve_tone_plan.h"

#define VE_TONES_CHANGES 32u /* room for all that 20 ms can bring */

/* cffi: tests begin */
struct ve_tone_change {
    uint32_t tone;     /* its index in the plan */
    bool begun;        /* or ended; of a beep, only the end is told */
    uint64_t began_at; /* samples since the detector was opened */
    uint64_t ended_at; /* the same; 0 while it lasts */
    float level_dbov;
};

/** The answer of the last 10 ms, about what was 20 ms before. */
struct ve_heard {
    uint32_t sound;   /* 0: silence, 1: something, else 2 + a sound of the plan, in the order in which tones have them */
    float power;      /* mean square, full scale being 1 */
    float sine_hz;    /* 0: no sine worth a look */
    float sine_power; /* of all the power */
};
/* cffi: tests end */

struct ve_phasors {
    float real[VE_GOERTZEL_LANES], imaginary[VE_GOERTZEL_LANES];
};

struct ve_tone_run { /* one sound for some time; all times are hops */
    uint32_t heard, since, last;
    uint32_t instead, times;     /* what is heard now, and how much oftener than anything else … */
    uint32_t left;               /* … since then */
    float power;                 /* of the sound, or of the one before the silence */
    float first_hz, first_power; /* as it began */
};

struct ve_tone_match { /* how far a tone of the plan has been followed */
    bool following, begun;
    uint32_t at;    /* the segment it is in */
    uint32_t right; /* how many before it were as they should be */
    uint32_t since; /* where the first of them began */
};

struct ve_tones {
    const struct ve_tone_plan *plan;
    struct ve_goertzel bank;
    uint32_t slice_samples, fill;
    uint64_t hops;
    int16_t gathered[VE_TONE_HOP_MS * 16];
    struct ve_phasors slices[VE_TONE_SLICES];
    float energy[VE_TONE_SLICES];
    struct ve_phasors pairs[3]; /* of this hop and the two before it */
    struct ve_heard heard;
    struct ve_tone_run sounds, sines; /* two views of the same: the plan's sounds, and steady sines */
    struct ve_tone_match matches[VE_TONES];
};

/* cffi: tests begin */
/** 0, or -EINVAL: only 8000 and 16000 Hz. `plan` must outlive it. */
int ve_tones_open(struct ve_tones *tones, uint32_t rate, const struct ve_tone_plan *plan);

/** Take any number of samples. Writes at most `limit` changes, others are lost; returns how many were written. */
size_t ve_tones_put(struct ve_tones *tones, const int16_t *samples, size_t count, struct ve_tone_change *changes,
                    size_t limit);

struct ve_heard ve_tones_heard(const struct ve_tones *tones);
/* cffi: tests end */

#endif
