#include "ve_activity.h"

#include <errno.h>

#define MOST_BLOCKS 32u

static uint32_t blocks_in(uint32_t ms, uint32_t block_ms)
{
    return ms / block_ms + (ms % block_ms != 0);
}

int ve_activity_open(struct ve_activity *activity, uint32_t block_ms, const struct ve_activity_settings *settings)
{
    *activity = (struct ve_activity){
        .onset_blocks = blocks_in(settings->onset_ms, block_ms),
        .window_blocks = blocks_in(settings->window_ms, block_ms),
        .hangover_blocks = blocks_in(settings->hangover_ms, block_ms),
        .offset_blocks = blocks_in(settings->offset_ms, block_ms),
    };
    const bool sound = activity->onset_blocks >= 1 && activity->onset_blocks <= activity->window_blocks &&
                       activity->window_blocks <= MOST_BLOCKS && activity->hangover_blocks < activity->offset_blocks;
    return sound ? 0 : -EINVAL;
}

static void remember(struct ve_activity *activity, bool heard)
{
    const uint32_t window = UINT32_MAX >> (MOST_BLOCKS - activity->window_blocks);
    activity->history = ((activity->history << 1) | (heard ? 1u : 0u)) & window;
}

static bool is_onset(const struct ve_activity *activity, bool voiced)
{
    return voiced && (uint32_t)__builtin_popcount(activity->history) >= activity->onset_blocks;
}

static enum ve_activity_change listen(struct ve_activity *activity, bool voiced, uint32_t *blocks_ago)
{
    if (is_onset(activity, voiced)) {
        activity->state = VE_SPEECH;
        *blocks_ago = MOST_BLOCKS - (uint32_t)__builtin_clz(activity->history);
        return VE_STARTED;
    }
    activity->state = activity->history ? VE_RISING : VE_QUIET;
    return VE_UNCHANGED;
}

static enum ve_activity_change follow(struct ve_activity *activity, bool voiced, uint32_t *blocks_ago)
{
    const bool goes_on = activity->state == VE_FALLING ? is_onset(activity, voiced) : voiced;
    activity->unvoiced = goes_on ? 0 : activity->unvoiced + 1;
    if (activity->unvoiced >= activity->offset_blocks) {
        *blocks_ago = activity->unvoiced;
        activity->state = VE_QUIET;
        activity->history = activity->unvoiced = 0;
        return VE_ENDED;
    }
    if (goes_on)
        activity->state = VE_SPEECH;
    else if (activity->unvoiced <= activity->hangover_blocks)
        activity->state = VE_HANGOVER;
    else if (activity->state != VE_FALLING) {
        activity->state = VE_FALLING;
        activity->history = 0; /* what was heard of the last word is no evidence for another */
    }
    return VE_UNCHANGED;
}

enum ve_activity_change ve_activity_step(struct ve_activity *activity, bool heard, bool confirmed, uint32_t *blocks_ago)
{
    const bool voiced = heard && confirmed;
    remember(activity, heard);
    return ve_activity_speaking(activity) ? follow(activity, voiced, blocks_ago) : listen(activity, voiced, blocks_ago);
}

enum ve_activity_state ve_activity_state(const struct ve_activity *activity)
{
    return activity->state;
}
