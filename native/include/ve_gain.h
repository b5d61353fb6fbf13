/**
 * @file ve_gain.h  Slow automatic gain: brings a quiet caller's speech up to one level, and leaves all else as it is.
 *
 *              ┌── level of what is voiced ── wanted gain ── slow up, quicker down ──┐
 *      in ─────┴───────────────────────────────────────────────────────────────────── × ── soft limit ──▶ out
 *
 * The gain lies between 0 dB and `most_db` and moves only while the caller is voiced, so pauses are neither pumped up
 * nor down. It is set anew every 10 ms and goes from one value to the next in a straight line, without a step.
 *
 * Nobody looks ahead, so a sudden shout meets the gain of the whisper before it. The soft limit takes care of that
 * moment:
 *
 *      out │           ____----  32767       straight up to a half of full scale, then bent (its slope continuous), so
 *          │       .-¯                       that no product however large reaches full scale; never below the input,
 *    16384 │     /                           so that where the gain is 0 dB every sample stays what it was
 *          │   /
 *          └──────────────────── gain × in
 */
#ifndef VE_GAIN_H
#define VE_GAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* cffi: begin */
struct ve_gain_settings {
    double target_dbov;   /* level that voiced blocks are brought to: -40 … -10 */
    double most_db;       /* the highest gain: 0 (off) … 30 */
    double rise_db_per_s; /* of voiced time: 0.1 … 100 */
    double fall_db_per_s; /* likewise */
};
/* cffi: end */

struct ve_gain {
    uint32_t step;          /* samples in 10 ms */
    float target;           /* energy of a step at the target level */
    float most, rise, fall; /* factors: the highest, and by how much a step may change it */

    float from, to;  /* the gain at the start and at the end of the present step */
    float heard;     /* energy of a voiced step, on average over about a second */
    float weight;    /* of the next step in that average */
    uint64_t energy; /* of the present step so far */
    uint32_t seen;
};

/* cffi: tests begin */
/** 0, or -EINVAL. */
int ve_gain_open(struct ve_gain *gain, uint32_t rate, const struct ve_gain_settings *settings);

/** `count` samples from `in` to `out`, another place; `voiced` is what the caller is meanwhile. */
void ve_gain_put(struct ve_gain *gain, const int16_t *restrict in, int16_t *restrict out, size_t count, bool voiced);

/** The gain at present, in dB. */
double ve_gain_db(const struct ve_gain *gain);
/* cffi: tests end */

#endif
