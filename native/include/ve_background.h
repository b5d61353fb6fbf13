/**
 * @file ve_background.h  A loop of music under what is said, which makes way for it.
 *
 *   gain      ╱‾‾‾‾‾‾‾‾╲                    ╱‾‾‾‾‾‾‾╲
 *            ╱          ╲                  ╱         ╲
 *   ducked  ╱            ╲________________╱           ╲
 *   0   ───╱                  a prompt                 ╲───
 *         set                                          set to NULL, or to another loop, which then comes in
 *
 * The level moves in straight lines, `duck_ms` from silence to `gain`. Loops are referenced, not copied: the memory
 * must stay until `ve_background_done` has reached the loop's id. Ids count from 1 in order of setting; the last one
 * set wins. The sum with what is said is bent softly into 16 bits, beginning 2.5 dB below full scale.
 */
#ifndef VE_BACKGROUND_H
#define VE_BACKGROUND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VE_BACKGROUND_LOOPS 8u

struct ve_loop {
    const int16_t *pcm; /* NULL: none */
    uint64_t length;
    int32_t gain, ducked; /* 2^30 is 0 dB */
    int32_t step;         /* the same, a sample */
};

struct ve_background {
    struct ve_loop loops[VE_BACKGROUND_LOOPS]; /* slot: id modulo VE_BACKGROUND_LOOPS */
    _Atomic uint64_t set;                      /* id of the last one set, from the control side */
    _Atomic uint64_t done;                     /* from the media thread */
    uint32_t ramp;                             /* samples */
    uint64_t current;                          /* id of the loop that sounds */
    uint64_t position;                         /* in it */
    int32_t level;
};

/* cffi: tests begin */
/** 0, or -EINVAL: `duck_ms` must be 20 … 1000. */
int ve_background_open(struct ve_background *background, uint32_t rate, uint32_t duck_ms);

/**
 * Loop `pcm` (NULL: silence) from now on; its id, or -EINVAL unless ducked_gain_db ≤ gain_db ≤ 0, -ENOBUFS when too
 * many were set while the last one faded.
 */
int64_t ve_background_set(struct ve_background *background, const int16_t *pcm, uint64_t length, double gain_db,
                          double ducked_gain_db);
/** Loops up to this id are not referenced any more. */
uint64_t ve_background_done(const struct ve_background *background);

/** Nothing would be mixed in. Media thread only. */
bool ve_background_idle(const struct ve_background *background);
/** Add it to `count` samples, ducked or on the way there. Media thread only. */
void ve_background_mix(struct ve_background *background, int16_t *out, size_t count, bool ducked);
/* cffi: tests end */

#endif
