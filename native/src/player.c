#include "ve_player.h"

#include <errno.h>
#include <string.h>

/* The command word. */
#define PAUSED 1u
#define ARMED 2u
#define STOP_SHIFT 2

_Static_assert(VE_STREAM_KEEP >= 2 * 30 * 16, "a stream keeps the longest fade there and back");

int ve_player_open(struct ve_player *player, uint32_t rate, const struct ve_player_settings *settings,
                   struct ve_queue *events)
{
    if (settings->fade_ms < 10 || settings->fade_ms > 30)
        return -EINVAL;
    memset(player, 0, sizeof *player);
    player->full = player->gain = rate / 1000 * settings->fade_ms;
    player->events = events;
    return ve_background_open(&player->background, rate, settings->duck_ms);
}

static int64_t enqueue(struct ve_player *player, struct ve_item item)
{
    const uint64_t queued = atomic_load_explicit(&player->queued, memory_order_relaxed);
    if (queued - ve_player_done(player) >= VE_PLAYER_ITEMS)
        return -ENOBUFS;
    player->items[(queued + 1) % VE_PLAYER_ITEMS] = item;
    atomic_store_explicit(&player->queued, queued + 1, memory_order_release);
    return (int64_t)(queued + 1);
}

int64_t ve_player_queue(struct ve_player *player, const int16_t *pcm, uint64_t length)
{
    if (!pcm || length == 0 || length > UINT32_MAX)
        return -EINVAL;
    return enqueue(player, (struct ve_item){.pcm = pcm, .length = length});
}

int64_t ve_player_stream(struct ve_player *player, struct ve_stream *stream)
{
    return enqueue(player, (struct ve_item){.stream = stream});
}

void ve_player_pause(struct ve_player *player)
{
    atomic_fetch_or_explicit(&player->command, PAUSED, memory_order_release);
}

void ve_player_resume(struct ve_player *player)
{
    atomic_fetch_and_explicit(&player->command, ~(uint64_t)PAUSED, memory_order_release);
}

void ve_player_arm(struct ve_player *player, bool on)
{
    if (on)
        atomic_fetch_or_explicit(&player->command, ARMED, memory_order_release);
    else
        atomic_fetch_and_explicit(&player->command, ~(uint64_t)ARMED, memory_order_release);
}

void ve_player_stop(struct ve_player *player)
{
    const uint64_t queued = atomic_load_explicit(&player->queued, memory_order_relaxed);
    uint64_t command = atomic_load_explicit(&player->command, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&player->command, &command, queued << STOP_SHIFT | (command & ARMED),
                                                  memory_order_release, memory_order_relaxed))
        ; /* a barge-in came between: the stop undoes it */
}

int64_t ve_player_background(struct ve_player *player, const int16_t *pcm, uint64_t length, double gain_db,
                             double ducked_gain_db)
{
    return ve_background_set(&player->background, pcm, length, gain_db, ducked_gain_db);
}

uint64_t ve_player_background_done(const struct ve_player *player)
{
    return ve_background_done(&player->background);
}

bool ve_player_paused(const struct ve_player *player)
{
    return atomic_load_explicit(&player->command, memory_order_acquire) & PAUSED;
}

uint64_t ve_player_queued(const struct ve_player *player)
{
    return atomic_load_explicit(&player->queued, memory_order_acquire);
}

uint64_t ve_player_done(const struct ve_player *player)
{
    return atomic_load_explicit(&player->done, memory_order_acquire);
}

uint64_t ve_player_played(const struct ve_player *player)
{
    return atomic_load_explicit(&player->played, memory_order_relaxed);
}

uint64_t ve_player_position(const struct ve_player *player, uint64_t *position)
{
    const uint64_t place = atomic_load_explicit(&player->place, memory_order_acquire);
    *position = place & UINT32_MAX;
    return place >> 32;
}

/* The rest is the media thread's. */

/* Only this thread writes: no locked instruction is needed. */
static void count_up(_Atomic uint64_t *counter, uint64_t by)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by, memory_order_relaxed);
}

static uint64_t next_id(const struct ve_player *player)
{
    return atomic_load_explicit(&player->done, memory_order_relaxed) + 1;
}

bool ve_player_barge_in(struct ve_player *player)
{
    uint64_t command = atomic_load_explicit(&player->command, memory_order_acquire);
    const bool stopping = next_id(player) <= command >> STOP_SHIFT;
    if (!player->sounding || stopping || !(command & ARMED) || (command & PAUSED))
        return false;
    return atomic_compare_exchange_strong_explicit(&player->command, &command, command | PAUSED, memory_order_acq_rel,
                                                   memory_order_relaxed);
}

static void tell(struct ve_player *player, enum ve_event_kind kind, uint64_t id, bool flag)
{
    ve_queue_push(player->events, (struct ve_event){.kind = kind,
                                                    .flag = flag,
                                                    .item = id,
                                                    .position = player->position,
                                                    .at_ns = player->now_ns});
}

static void finish(struct ve_player *player, const struct ve_item *item, uint64_t id, bool complete)
{
    tell(player, VE_PLAYED, id, complete);
    player->position = 0;
    player->faded = 0;
    player->phase = VE_FILLING;
    if (!player->sounding)
        player->gain = player->full; /* what comes next begins as any item does */
    if (item->stream)
        ve_stream_hang_up(item->stream);
    atomic_store_explicit(&player->done, id, memory_order_release); /* last: the item may be gone now */
}

static void fall_silent(struct ve_player *player)
{
    player->sounding = false;
    player->position -= player->faded;
    count_up(&player->played, -(uint64_t)player->faded);
    player->faded = 0;
    atomic_store_explicit(&player->silent_ns, player->now_ns, memory_order_release);
}

/* There is nothing to say. What sounded until now has ended by itself, perhaps `within_fade`. */
static void rest(struct ve_player *player, bool within_fade)
{
    if (!player->sounding)
        return;
    if (within_fade)
        fall_silent(player);
    player->sounding = false;
    player->gain = player->full;
}

/* Give out at most `count` of the `left` samples at `pcm` at one direction of the gain; returns how many. */
static size_t emit(struct ve_player *player, const int16_t *pcm, uint64_t left, bool falling, int16_t *out, size_t count)
{
    const uint32_t fade = falling ? player->gain : player->full - player->gain;
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
    if (player->faded > 2 * player->full) /* paused and resumed again and again within the fade: no further back than this */
        player->faded = 2 * player->full;
    player->position += count;
    player->sounding = true;
    count_up(&player->played, count);
    return count;
}

/* Give out the last samples of a stream backwards and fading; then it has to fill again. */
static size_t conceal(struct ve_player *player, const struct ve_stream *stream, bool falling, int16_t *out, size_t count)
{
    size_t made = 0;
    while (made < count && player->gain > 0) {
        const uint64_t back = 2 + player->mirrored++; /* the very last has just been heard */
        const uint64_t at = player->position > back ? player->position - back : 0;
        player->gain--;
        out[made++] = (int16_t)(ve_stream_kept(stream, at) * (int32_t)player->gain / (int32_t)player->full);
    }
    if (player->gain > 0)
        return made;
    player->phase = VE_FILLING;
    if (!falling) { /* else it falls silent as any fade does */
        player->sounding = false;
        player->faded = 0;
    }
    return made;
}

/* As `emit`, from the stream that is the current item; 0: it is over, or waits for its writer. */
static size_t emit_stream(struct ve_player *player, struct ve_stream *stream, uint64_t id, bool falling, int16_t *out,
                          size_t count)
{
    const int16_t *pcm = NULL;
    if (player->phase == VE_FILLING && ve_stream_ready(stream, player->position))
        player->phase = VE_FLOWING;
    const size_t waiting = player->phase == VE_FLOWING ? ve_stream_peek(stream, player->position, &pcm) : 0;
    if (waiting > 0) {
        count = emit(player, pcm, waiting, falling, out, count);
        ve_stream_pass(stream, player->position);
        return count;
    }
    if (player->phase == VE_FLOWING && !ve_stream_over(stream, player->position)) {
        player->phase = VE_CONCEALING;
        player->mirrored = 0;
        if (!falling) {
            count_up(&player->underruns, 1);
            tell(player, VE_UNDERRUN, id, false);
        }
    }
    return player->phase == VE_CONCEALING ? conceal(player, stream, falling, out, count) : 0;
}

static size_t emit_item(struct ve_player *player, const struct ve_item *item, uint64_t id, bool falling, int16_t *out,
                        size_t count)
{
    if (item->stream)
        return emit_stream(player, item->stream, id, falling, out, count);
    return emit(player, item->pcm + player->position, item->length - player->position, falling, out, count);
}

static bool is_over(const struct ve_player *player, const struct ve_item *item)
{
    if (item->stream)
        return player->phase != VE_CONCEALING && ve_stream_over(item->stream, player->position);
    return player->position == item->length;
}

/* Give out what there is to say; returns how many samples. After them the frame is silent. */
static size_t say(struct ve_player *player, int16_t *out, size_t count)
{
    const uint64_t command = atomic_load_explicit(&player->command, memory_order_acquire); /* before `queued`: see stop */
    const uint64_t queued = atomic_load_explicit(&player->queued, memory_order_acquire);
    const uint64_t stop_through = command >> STOP_SHIFT;
    const bool paused = command & PAUSED;
    size_t made = 0;
    uint64_t id;

    while (id = next_id(player), made < count) {
        const struct ve_item *item = id <= queued ? &player->items[id % VE_PLAYER_ITEMS] : NULL;
        const bool stopping = id <= stop_through;
        const bool falling = stopping || paused;
        const bool silent = !item || (falling && !player->sounding);
        const size_t given = silent ? 0 : emit_item(player, item, id, falling, out + made, count - made);
        made += given;
        if (falling && player->sounding && player->gain == 0)
            fall_silent(player);
        if (item && (is_over(player, item) || (silent && stopping))) {
            finish(player, item, id, !stopping);
        } else if (given == 0) {
            rest(player, paused || id <= stop_through + 1);
            if (!item || !stopping)
                break; /* nothing queued, paused, or waiting for a writer */
        }
    }
    atomic_store_explicit(&player->place, id > queued ? 0 : id << 32 | (player->position & UINT32_MAX), memory_order_release);
    return made;
}

bool ve_player_render(struct ve_player *player, int16_t *out, size_t count, uint64_t now_ns)
{
    player->now_ns = now_ns;
    const size_t made = say(player, out, count);
    const bool music = !ve_background_idle(&player->background);
    if (made == 0 && !music)
        return false;
    if (made > 0 && made < count)
        count_up(&player->short_frames, 1);
    memset(out + made, 0, (count - made) * sizeof *out);
    if (music) {
        ve_background_mix(&player->background, out, made, true);
        ve_background_mix(&player->background, out + made, count - made, false);
    }
    return true;
}
