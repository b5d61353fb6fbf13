#include "ve_player.h"

#include <errno.h>
#include <string.h>

void ve_player_open(struct ve_player *player, uint32_t rate, struct ve_queue *events)
{
    memset(player, 0, sizeof *player);
    player->full = player->gain = rate * VE_FADE_MS / 1000;
    player->events = events;
}

int64_t ve_player_queue(struct ve_player *player, const int16_t *pcm, uint64_t length)
{
    const uint64_t queued = atomic_load_explicit(&player->queued, memory_order_relaxed);
    if (!pcm || length == 0)
        return -EINVAL;
    if (queued - ve_player_done(player) >= VE_PLAYER_ITEMS)
        return -ENOBUFS;
    player->items[(queued + 1) % VE_PLAYER_ITEMS] = (struct ve_item){.pcm = pcm, .length = length};
    atomic_store_explicit(&player->queued, queued + 1, memory_order_release);
    return (int64_t)(queued + 1);
}

void ve_player_pause(struct ve_player *player)
{
    atomic_store_explicit(&player->paused, true, memory_order_release);
}

void ve_player_resume(struct ve_player *player)
{
    atomic_store_explicit(&player->paused, false, memory_order_release);
}

void ve_player_stop(struct ve_player *player)
{
    const uint64_t queued = atomic_load_explicit(&player->queued, memory_order_relaxed);
    atomic_store_explicit(&player->stop_through, queued, memory_order_release);
    ve_player_resume(player); /* after stop_through: who sees the resume sees the stop */
}

uint64_t ve_player_done(const struct ve_player *player)
{
    return atomic_load_explicit(&player->done, memory_order_acquire);
}

bool ve_player_barge_in(struct ve_player *player)
{
    if (!player->sounding || !atomic_load_explicit(&player->armed, memory_order_acquire))
        return false;
    return !atomic_exchange_explicit(&player->paused, true, memory_order_acq_rel);
}

static void finish(struct ve_player *player, uint64_t id, bool complete, uint64_t now_ns)
{
    ve_queue_push(player->events, (struct ve_event){.kind = VE_PLAYED,
                                                    .flag = complete,
                                                    .item = id,
                                                    .position = player->position,
                                                    .at_ns = now_ns});
    player->position = 0;
    player->faded = 0;
    atomic_store_explicit(&player->done, id, memory_order_release);
}

static void fall_silent(struct ve_player *player, uint64_t now_ns)
{
    player->sounding = false;
    player->position -= player->faded;
    atomic_fetch_sub_explicit(&player->played, player->faded, memory_order_relaxed);
    player->faded = 0;
    atomic_store_explicit(&player->silent_ns, now_ns, memory_order_release);
}

/* Give out at most `count` samples of the current item at one direction of the gain; returns how many. */
static size_t emit(struct ve_player *player, const struct ve_item *item, bool falling, int16_t *out, size_t count)
{
    const uint64_t left = item->length - player->position;
    const uint32_t fade = falling ? player->gain : player->full - player->gain;
    const int16_t *pcm = item->pcm + player->position;
    if (count > left)
        count = (size_t)left;
    if (fade > 0 && count > fade)
        count = fade;
    if (fade == 0)
        memcpy(out, pcm, count * sizeof *out);
    for (size_t i = 0; fade > 0 && i < count; i++) {
        player->gain = falling ? player->gain - 1 : player->gain + 1;
        out[i] = (int16_t)(pcm[i] * (int32_t)player->gain / (int32_t)player->full);
    }
    player->faded = player->gain == player->full ? 0 : player->faded + (uint32_t)count;
    player->position += count;
    player->sounding = true;
    atomic_fetch_add_explicit(&player->played, count, memory_order_relaxed);
    return count;
}

bool ve_player_render(struct ve_player *player, int16_t *out, size_t count, uint64_t now_ns)
{
    const bool paused = atomic_load_explicit(&player->paused, memory_order_acquire);
    const uint64_t stop_through = atomic_load_explicit(&player->stop_through, memory_order_acquire);
    const uint64_t queued = atomic_load_explicit(&player->queued, memory_order_acquire);
    size_t made = 0;

    while (made < count) {
        const uint64_t id = atomic_load_explicit(&player->done, memory_order_relaxed) + 1;
        const struct ve_item *item = &player->items[id % VE_PLAYER_ITEMS];
        const bool stopping = id <= stop_through;
        const bool falling = stopping || paused;
        if (id > queued) {
            if (player->sounding && (paused || id <= stop_through + 1))
                fall_silent(player, now_ns); /* the last item ended within its fade */
            player->sounding = false;
            player->gain = player->full;
            break;
        }
        if (falling && !player->sounding) {
            if (!stopping)
                break;
            finish(player, id, false, now_ns);
            player->gain = player->full;
            continue;
        }
        made += emit(player, item, falling, out + made, count - made);
        if (player->position == item->length)
            finish(player, id, !stopping, now_ns);
        if (falling && player->gain == 0)
            fall_silent(player, now_ns);
    }
    if (made == 0)
        return false;
    if (made < count) {
        memset(out + made, 0, (count - made) * sizeof *out);
        atomic_fetch_add_explicit(&player->short_frames, 1, memory_order_relaxed);
    }
    return true;
}
