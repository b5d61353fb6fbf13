/**
 * @file ve_activity.h  Speaking or not, from one answer a block: onset detection, hangover and end-pointing as a state
 * machine.
 *
 *                                           onset: `onset_ms` heard within `window_ms`, and confirmed
 *   ┌─────────┐  heard   ┌────────┐    onset    ┌────────┐  not voiced   ┌──────────┐  for hangover_ms  ┌─────────┐
 *   │  QUIET  │ ───────▶ │ RISING │ ──STARTED─▶ │ SPEECH │ ────────────▶ │ HANGOVER │ ────────────────▶ │ FALLING │
 *   └─────────┘ ◀─────── └────────┘             └────────┘ ◀──────────── └──────────┘                   └─────────┘
 *        ▲     not heard                             ▲         voiced                                     │     │
 *        │     for window_ms                         └─────────────────────── onset ──────────────────────┘     │
 *        └───────────────────────────ENDED: not voiced for offset_ms in all─────────────────────────────────────┘
 *
 * Two ears answer for each block. The gate is quick and easily pleased: it *hears* something. The judge is slower and
 * *confirms* that it is a voice; where there is no judge, everything heard is confirmed. A block is *voiced* when both
 * say so. The gate's evidence is gathered while the judge still listens, so that its word completes an onset at once.
 *
 * A word has gaps (the closure of a plosive, a breath): in HANGOVER a single voiced block goes on with it. Later, in
 * FALLING, a click must not keep a turn open: going on then takes the evidence of an onset.
 */
#ifndef VE_ACTIVITY_H
#define VE_ACTIVITY_H

#include <stdbool.h>
#include <stdint.h>

/* cffi: begin */
struct ve_activity_settings {
    uint32_t onset_ms;    /* this much heard … */
    uint32_t window_ms;   /* … within this is an onset; at most 32 blocks */
    uint32_t hangover_ms; /* a gap up to this is part of a word */
    uint32_t offset_ms;   /* a gap this long is the end; more than hangover_ms */
};
/* cffi: end */

/* cffi: tests begin */
enum ve_activity_state { VE_QUIET, VE_RISING, VE_SPEECH, VE_HANGOVER, VE_FALLING };
enum ve_activity_change { VE_UNCHANGED, VE_STARTED, VE_ENDED };
/* cffi: tests end */

struct ve_activity {
    uint32_t onset_blocks, window_blocks, hangover_blocks, offset_blocks;
    uint32_t history; /* whether the last blocks were heard, the newest in bit 0 */
    uint32_t unvoiced; /* blocks since the last voiced one */
    enum ve_activity_state state;
};

/* cffi: tests begin */
/** 0, or -EINVAL. Times are rounded up to whole blocks. */
int ve_activity_open(struct ve_activity *activity, uint32_t block_ms, const struct ve_activity_settings *settings);

/** Take one block. With a change, `*blocks_ago` is how many blocks before this one's end speech began or ended. */
enum ve_activity_change ve_activity_step(struct ve_activity *activity, bool heard, bool confirmed,
                                         uint32_t *blocks_ago);

enum ve_activity_state ve_activity_state(const struct ve_activity *activity);
/* cffi: tests end */

/** Between STARTED and ENDED. */
static inline bool ve_activity_speaking(const struct ve_activity *activity)
{
    return activity->state >= VE_SPEECH;
}

#endif
