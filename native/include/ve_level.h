/**
 * @file ve_level.h  A meter at the door: how loud, how high, clipped or off centre (ITU-T G.100.1).
 *
 * 0 dBov is the level of a square wave between the two ends of the scale, 32768² a sample; the loudest sine has
 * -3.01 dBov. The level is that of the signal about its mean: an offset is reported, not counted as sound.
 *
 * A sample is clipped where it is part of a plateau that speech does not make:
 *
 *    32124 ┤     ▄▄▄▄▄                   at the top: three or more samples at the highest value of µ-law (32124), of
 *          │   ▄█     █▄                 A-law (32256) or of 16 bits (32767); anything from 32000 on is the top, for
 *          │  █         █                the values below in both laws are 31100 and 31232
 *
 *    20000 ┤     ▄▄▄▄▄▄                  below it: four or more equal samples that are reached from and left to less
 *          │     █    █                  than three quarters: an amplifier before the coder was at its end. (The steps
 *          │    █      █                 of G.711 flatten a round top too, but leave its shoulders.) Of slight clipping
 *                                        some is seen this way, of 12 dB about a sixth of the samples: enough to tell.
 */
#ifndef VE_LEVEL_H
#define VE_LEVEL_H

#include <stddef.h>
#include <stdint.h>

/* cffi: begin */
struct ve_level_settings {
    uint32_t report_ms; /* 20 … 60000 */
};

struct ve_level_report {
    float level_dbov; /* -100 for nothing at all */
    float offset;     /* the mean, in steps of 16 bits */
    int32_t peak;     /* the highest magnitude, 0 … 32768 */
    uint32_t clipped; /* samples; a plateau counts where it ends */
};
/* cffi: end */

struct ve_plateau {
    int32_t height, before; /* of its samples, and of the one before it; 32000 for all that is higher */
    uint32_t length;        /* samples so far */
};

struct ve_level {
    uint32_t window, seen; /* samples a report, and so far */
    uint64_t energy;
    int64_t sum;
    int32_t peak;
    uint32_t clipped;
    struct ve_plateau plateau;
};

/* cffi: tests begin */
/** 0, or -EINVAL. */
int ve_level_open(struct ve_level *level, uint32_t rate, const struct ve_level_settings *settings);

/** Take `count` samples; writes the reports that became due, `limit` of them at most, and returns how many. */
size_t ve_level_put(struct ve_level *level, const int16_t *samples, size_t count, struct ve_level_report *reports,
                    size_t limit);

/** The sum of squares: what is compared once a block needs no logarithm. */
uint64_t ve_energy(const int16_t *samples, size_t count);
/** The sum of squares that `count` samples have at this level, and the level that they have with this sum. */
uint64_t ve_energy_at(double level_dbov, size_t count);
double ve_dbov(double energy, size_t count);
/* cffi: tests end */

#endif
