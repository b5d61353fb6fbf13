#include "ve_activity.h"

#include <errno.h>

int ve_activity_open(struct ve_activity *activity, uint32_t onset_blocks, uint32_t window_blocks, uint32_t offset_blocks)
{
    if (onset_blocks < 1 || onset_blocks > window_blocks || window_blocks > 32 || offset_blocks < 1)
        return -EINVAL;
    *activity = (struct ve_activity){
        .window_blocks = window_blocks, .onset_blocks = onset_blocks, .offset_blocks = offset_blocks};
    return 0;
}

enum ve_activity_change ve_activity_step(struct ve_activity *activity, bool voiced, uint32_t *blocks_ago)
{
    const uint32_t window = UINT32_MAX >> (32 - activity->window_blocks);
    activity->history = ((activity->history << 1) | (voiced ? 1u : 0u)) & window;
    activity->quiet = voiced ? 0 : activity->quiet + 1;

    if (!activity->speaking && (uint32_t)__builtin_popcount(activity->history) >= activity->onset_blocks) {
        activity->speaking = true;
        *blocks_ago = 32 - (uint32_t)__builtin_clz(activity->history);
        return VE_STARTED;
    }
    if (activity->speaking && activity->quiet >= activity->offset_blocks) {
        activity->speaking = false;
        activity->history = 0;
        *blocks_ago = activity->quiet;
        return VE_ENDED;
    }
    return VE_UNCHANGED;
}
