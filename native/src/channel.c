#include "ve_channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ve_clock.h"
#include "ve_fetch.h"

static bool acceptable(const struct ve_settings *settings)
{
    return (settings->rate == 8000 || settings->rate == 16000) && settings->frame_ms >= 10 && settings->frame_ms <= 60 &&
           settings->vad_mode >= 0 && settings->vad_mode <= 3 && settings->threshold_dbov >= -100 &&
           settings->threshold_dbov <= 0 && settings->offset_ms <= 60000 && settings->pre_roll_ms <= 5000;
}

/* Whatever is set is opened; 0, or the first error. */
static int open_blocks(struct ve_channel *channel, const struct ve_settings *settings)
{
    const struct ve_activity_settings activity = {.onset_ms = settings->onset_ms,
                                                  .window_ms = settings->window_ms,
                                                  .hangover_ms = settings->hangover_ms,
                                                  .offset_ms = settings->offset_ms};
    int status = ve_player_open(&channel->player, settings->rate, &settings->player, &channel->events);
    if (!status)
        status = ve_activity_open(&channel->activity, VE_BLOCK_MS, &activity);
    if (!status && (channel->has_echo = settings->echo != NULL))
        status = ve_echo_open(&channel->echo, settings->rate, settings->echo);
    if (!status && (channel->has_level = settings->level != NULL))
        status = ve_level_open(&channel->level, settings->rate, settings->level);
    if (!status && (channel->has_keys = settings->keys != NULL))
        status = ve_dtmf_open(&channel->keys, settings->rate, settings->keys);
    if (!status && (channel->has_tones = settings->tones != NULL))
        status = ve_tones_open(&channel->tones, settings->rate, settings->tones);
    if (!status && (channel->has_judge = settings->judge != NULL))
        status = ve_judge_open(&channel->judge, settings->judge, &channel->ring);
    if (!status && (channel->has_gain = settings->gain != NULL))
        status = ve_gain_open(&channel->gain, settings->rate, settings->gain);
    if (!status)
        status = ve_ring_open(&channel->ring, VE_RING_SAMPLES);
    ve_dc_open(&channel->dc);
    ve_resampler_open(&channel->resampler);
    return status;
}

int ve_channel_open(struct ve_channel **out, const struct ve_settings *settings, const struct ve_vad_api *vad_api,
                    struct ve_hub *hub)
{
    if (!acceptable(settings))
        return -EINVAL;
    struct ve_channel *channel = calloc(1, sizeof *channel);
    if (!channel)
        return -ENOMEM;
    channel->hub = hub;
    channel->settings = *settings;
    channel->slot = -1;
    channel->frame_samples = settings->rate / 1000 * settings->frame_ms;
    channel->block_samples = settings->rate / 1000 * VE_BLOCK_MS;
    channel->block_energy = ve_energy_at(settings->threshold_dbov, channel->block_samples);
    channel->vad_api = vad_api;
    int status = open_blocks(channel, settings);
    if (!status && !(channel->vad = ve_vad_open(vad_api, settings->vad_mode)))
        status = -ENOMEM;
    if (status) {
        ve_channel_free(channel);
        return status;
    }
    *out = channel;
    return 0;
}

int ve_channel_free(struct ve_channel *channel)
{
    if (atomic_load_explicit(&channel->attached, memory_order_acquire))
        return -EBUSY;
    if (channel->vad)
        channel->vad_api->destroy(channel->vad);
    ve_ring_close(&channel->ring);
    free(channel);
    return 0;
}

static void note_arrival(struct ve_channel *channel, uint64_t now_ns)
{
    const uint64_t gap_ns = now_ns - channel->last_in_ns;
    if (channel->last_in_ns && gap_ns > atomic_load_explicit(&channel->longest_gap_ns, memory_order_relaxed))
        atomic_store_explicit(&channel->longest_gap_ns, gap_ns, memory_order_relaxed);
    channel->last_in_ns = now_ns;
}

/* Where the block that was just completed ends less `blocks_ago` blocks, in 16 kHz samples. */
static uint64_t position_of(const struct ve_channel *channel, uint32_t blocks_ago)
{
    return (channel->blocks - blocks_ago) * VE_BLOCK_MS * 16;
}

static bool gate(const struct ve_channel *channel, const int16_t *block)
{
    return ve_energy(block, channel->block_samples) >= channel->block_energy &&
           channel->vad_api->process(channel->vad, (int)channel->settings.rate, block, (int)channel->block_samples) == 1;
}

/* True when there is an event to be looked at. */
static bool follow_speech(struct ve_channel *channel, bool heard, uint64_t now_ns)
{
    struct ve_event event = {.at_ns = now_ns};
    uint32_t blocks_ago = 0;
    const bool speaking = ve_activity_speaking(&channel->activity);
    const bool confirmed = !channel->has_judge || ve_judge_block(&channel->judge, heard, speaking);
    const enum ve_activity_change change = ve_activity_step(&channel->activity, heard, confirmed, &blocks_ago);
    if (change == VE_UNCHANGED)
        return false;
    event.position = position_of(channel, blocks_ago);
    if (change == VE_STARTED) {
        const uint64_t pre_roll = (uint64_t)channel->settings.pre_roll_ms * 16;
        event.kind = VE_ONSET;
        event.position -= event.position < pre_roll ? event.position : pre_roll;
        event.flag = ve_player_barge_in(&channel->player);
    } else {
        event.kind = VE_OFFSET;
    }
    atomic_store_explicit(&channel->speaking, change == VE_STARTED, memory_order_release);
    ve_queue_push(&channel->events, event);
    return true;
}

/* In 16 kHz samples. */
static uint64_t widened(const struct ve_channel *channel, uint64_t position)
{
    return position * 16000 / channel->settings.rate;
}

static bool measure(struct ve_channel *channel, const int16_t *block, uint64_t now_ns)
{
    struct ve_level_report report;
    struct ve_echo_report echo = {.delay_ms = -1};
    if (ve_level_put(&channel->level, block, channel->block_samples, &report, 1) == 0)
        return false;
    if (channel->has_echo)
        ve_echo_report(&channel->echo, &echo);
    ve_queue_push(&channel->events, (struct ve_event){.kind = VE_LEVEL,
                                                      .code = report.clipped,
                                                      .level_dbov = report.level_dbov,
                                                      .offset = report.offset,
                                                      .peak = report.peak,
                                                      .echo_delay_ms = echo.delay_ms,
                                                      .echo_loss_db = echo.loss_db,
                                                      .position = position_of(channel, 0),
                                                      .at_ns = now_ns});
    return true;
}

static bool follow_keys(struct ve_channel *channel, const int16_t *block, uint64_t now_ns)
{
    struct ve_key_change changes[2];
    const uint64_t heard = channel->blocks * channel->block_samples;
    const size_t count = ve_dtmf_put(&channel->keys, block, channel->block_samples, changes, 2);
    for (size_t i = 0; i < count; i++) {
        const struct ve_key_change *change = &changes[i];
        const uint64_t edge = change->down ? change->began : change->ended;
        struct ve_event event = {.kind = change->down ? VE_KEY_DOWN : VE_KEY_UP,
                                 .code = (uint32_t)change->key,
                                 .position = widened(channel, edge),
                                 .level_dbov = change->level_dbov,
                                 .twist_db = change->twist_db,
                                 .at_ns = now_ns - (heard - edge) * 1000000000 / channel->settings.rate};
        if (!change->down)
            event.duration_ms = (uint32_t)((change->ended - change->began) * 1000 / channel->settings.rate);
        ve_queue_push(&channel->events, event);
    }
    return count > 0;
}

static bool follow_tones(struct ve_channel *channel, const int16_t *block, uint64_t now_ns)
{
    struct ve_tone_change changes[VE_TONES_CHANGES];
    const size_t count = ve_tones_put(&channel->tones, block, channel->block_samples, changes, VE_TONES_CHANGES);
    for (size_t i = 0; i < count; i++) {
        const struct ve_tone_change *change = &changes[i];
        const uint64_t last_ms = change->begun ? 0 : (change->ended_at - change->began_at) * 1000 / channel->settings.rate;
        ve_queue_push(&channel->events, (struct ve_event){.kind = change->begun ? VE_TONE_BEGUN : VE_TONE_ENDED,
                                                          .code = change->tone,
                                                          .position = widened(channel, change->began_at),
                                                          .duration_ms = (uint32_t)last_ms,
                                                          .level_dbov = change->level_dbov,
                                                          .at_ns = now_ns});
    }
    return count > 0;
}

static void keep(struct ve_channel *channel, const int16_t *block)
{
    int16_t wide[VE_BLOCK_MS * 16];
    if (channel->settings.rate == 16000)
        ve_ring_write(&channel->ring, block, channel->block_samples);
    else
        ve_ring_write(&channel->ring, wide, ve_resample(&channel->resampler, block, channel->block_samples, wide));
}

/* What the next block works on, but for the echo canceller: it computes so long that to fetch its memory gains nothing. */
static void fetch(const struct ve_channel *channel)
{
    ve_fetch(channel, offsetof(struct ve_channel, reference.samples) + channel->block_samples * sizeof(int16_t));
    ve_ring_fetch(&channel->ring, VE_BLOCK_MS * 16);
}

/* Every block runs here, in this order. True when there is an event to be looked at. */
static bool run_block(struct ve_channel *channel, uint64_t now_ns)
{
    const size_t count = channel->block_samples;
    int16_t *block = channel->block;
    int16_t heard[VE_BLOCK_MS * 16], suppressed[VE_BLOCK_MS * 16], louder[VE_BLOCK_MS * 16];
    const int16_t *gated = block;
    bool happened = false;
    channel->blocks++;
    ve_reference_take(&channel->reference, heard, count);
    ve_recorder_slot_put(&channel->recorder, block, heard, count);
    ve_recorder_slot_overhear(&channel->overheard_by, block, count);
    if (channel->has_level)
        happened |= measure(channel, block, now_ns);
    if (channel->settings.remove_offset)
        ve_dc_put(&channel->dc, block, block, count);
    if (channel->has_echo) {
        ve_echo_put(&channel->echo, heard, block, block, suppressed, count);
        gated = suppressed; /* recognisers rather hear what is left of an echo than lose a syllable to its suppression */
    }
    if (channel->has_tones)
        happened |= follow_tones(channel, block, now_ns);
    if (channel->has_keys)
        happened |= follow_keys(channel, block, now_ns);
    const bool key_down = channel->has_keys && ve_dtmf_down(&channel->keys);
    if (key_down)
        memset(block, 0, count * sizeof *block); /* a key is no voice, and no recogniser's business */
    const bool voiced = !key_down && gate(channel, gated);
    if (channel->has_gain) {
        ve_gain_put(&channel->gain, block, louder, count, voiced && ve_channel_speaking(channel));
        block = louder;
    }
    keep(channel, block); /* before an onset is told, which may be read from at once */
    happened |= follow_speech(channel, voiced, now_ns);
    return happened;
}

void ve_channel_put(struct ve_channel *channel, const int16_t *samples, size_t count)
{
    const uint64_t now_ns = ve_now_ns();
    bool happened = false;
    if (channel->block_fill + count >= channel->block_samples)
        fetch(channel);
    note_arrival(channel, now_ns);
    atomic_fetch_add_explicit(&channel->frames_in, 1, memory_order_relaxed);
    if (!samples)
        atomic_fetch_add_explicit(&channel->silence_in, 1, memory_order_relaxed);
    while (count > 0) {
        const size_t room = channel->block_samples - channel->block_fill;
        const size_t part = count < room ? count : room;
        int16_t *const to = channel->block + channel->block_fill;
        if (samples) {
            memcpy(to, samples, part * sizeof *to);
            samples += part;
        } else {
            memset(to, 0, part * sizeof *to);
        }
        count -= part;
        channel->block_fill += part;
        if (channel->block_fill == channel->block_samples) {
            channel->block_fill = 0;
            happened |= run_block(channel, now_ns);
        }
    }
    if (happened)
        ve_hub_wake(channel->hub);
}

bool ve_channel_get(struct ve_channel *channel, int16_t *out, size_t count)
{
    const uint32_t told = atomic_load_explicit(&channel->events.written, memory_order_relaxed);
    const bool sound = ve_player_render(&channel->player, out, count, ve_now_ns());
    ve_reference_give(&channel->reference, sound ? out : NULL, count);
    atomic_fetch_add_explicit(&channel->frames_out, 1, memory_order_relaxed);
    if (!sound)
        atomic_fetch_add_explicit(&channel->silence_out, 1, memory_order_relaxed);
    if (atomic_load_explicit(&channel->events.written, memory_order_relaxed) != told)
        ve_hub_wake(channel->hub);
    return sound;
}

struct ve_player *ve_channel_player(struct ve_channel *channel)
{
    return &channel->player;
}

bool ve_channel_next_event(struct ve_channel *channel, struct ve_event *event)
{
    return ve_queue_pop(&channel->events, event);
}

size_t ve_channel_read(const struct ve_channel *channel, uint64_t *position, int16_t *out, size_t limit)
{
    return ve_ring_read(&channel->ring, position, out, limit);
}

uint64_t ve_channel_head(const struct ve_channel *channel)
{
    return ve_ring_head(&channel->ring);
}

bool ve_channel_speaking(const struct ve_channel *channel)
{
    return atomic_load_explicit(&channel->speaking, memory_order_acquire);
}

struct ve_judge *ve_channel_judge(struct ve_channel *channel)
{
    return channel->has_judge ? &channel->judge : NULL;
}

struct ve_recorder_slot *ve_channel_recorder(struct ve_channel *channel)
{
    return &channel->recorder;
}

struct ve_recorder_slot *ve_channel_overheard_by(struct ve_channel *channel)
{
    return &channel->overheard_by;
}

void ve_channel_stats(const struct ve_channel *channel, struct ve_stats *stats)
{
    *stats = (struct ve_stats){
        .frames_in = atomic_load_explicit(&channel->frames_in, memory_order_relaxed),
        .frames_out = atomic_load_explicit(&channel->frames_out, memory_order_relaxed),
        .silence_in = atomic_load_explicit(&channel->silence_in, memory_order_relaxed),
        .silence_out = atomic_load_explicit(&channel->silence_out, memory_order_relaxed),
        .short_frames = atomic_load_explicit(&channel->player.short_frames, memory_order_relaxed),
        .underruns = atomic_load_explicit(&channel->player.underruns, memory_order_relaxed),
        .events_dropped = atomic_load_explicit(&channel->events.dropped, memory_order_relaxed),
        .longest_gap_ns = atomic_load_explicit(&channel->longest_gap_ns, memory_order_relaxed),
        .silent_ns = atomic_load_explicit(&channel->player.silent_ns, memory_order_relaxed),
    };
}
