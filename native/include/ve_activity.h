/**
 * @file ve_activity.h  When speech starts and ends, from one voiced/unvoiced decision a 20 ms block.
 *
 *      blocks   . . V . V V V V V . V V . . . . . . . .
 *                   ^       ^         ^               ^
 *               start    onset      end            offset
 *
 * Onset: `onset_blocks` of the last `window_blocks` are voiced; speech started with the first of them.
 * Offset: `offset_blocks` unvoiced in a row; speech ended with the last voiced one.
 */
#ifndef VE_ACTIVITY_H
#define VE_ACTIVITY_H

#include <stdbool.h>
#include <stdint.h>

/* cffi: tests begin */
enum ve_activity_change { VE_UNCHANGED, VE_STARTED, VE_ENDED };
/* cffi: tests end */

struct ve_activity {
    uint32_t window_blocks, onset_blocks, offset_blocks;
    uint32_t history; /* voiced blocks as bits, the newest lowest */
    uint32_t quiet;   /* unvoiced blocks in a row */
    bool speaking;
};

/* cffi: tests begin */
/** 0, or -EINVAL: needs 1 ≤ onset ≤ window ≤ 32 and offset ≥ 1. */
int ve_activity_open(struct ve_activity *activity, uint32_t onset_blocks, uint32_t window_blocks, uint32_t offset_blocks);

/** Take one block. On a change `*blocks_ago` is the distance from the block's end back to where speech started or ended. */
enum ve_activity_change ve_activity_step(struct ve_activity *activity, bool voiced, uint32_t *blocks_ago);
/* cffi: tests end */

#endif
