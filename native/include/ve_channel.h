/**
 * @file ve_channel.h  One call leg: what the caller says comes in as frames, what the caller hears goes out.
 *
 *                     ┌─ level                   ┌─ keys, tones ─▶ events
 *   frame in ─▶ block ┼─▶ offset ─▶ echo ────────┼─ suppressor ─▶ gate ─▶ activity ─▶ onset, offset, barge-in
 *                     └─ recorder   canceller    └─ gain ─▶ 8 → 16 kHz ─▶ ring ─▶ recognisers, judge
 *                              ▲      ▲ what is heard at the same time
 *   frame out ◀── player ──────┴──────┘
 *
 * Frames have any length; blocks have 20 ms, and every part of the chain sees whole blocks only. What is not set is not
 * run. Samples between the parts are 16-bit integers at the call's rate.
 *
 * Threads: `ve_channel_put` and `ve_channel_get` belong to one thread, the media thread: no allocation, no lock, no system
 * call but the hub's wake-up. One reader thread for events and audio, one thread at a time for everything else.
 */
#ifndef VE_CHANNEL_H
#define VE_CHANNEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ve_activity.h"
#include "ve_dc.h"
#include "ve_dtmf.h"
#include "ve_echo.h"
#include "ve_events.h"
#include "ve_gain.h"
#include "ve_judge.h"
#include "ve_level.h"
#include "ve_player.h"
#include "ve_recorder.h"
#include "ve_reference.h"
#include "ve_resample.h"
#include "ve_ring.h"
#include "ve_tones.h"
#include "ve_vad.h"

#define VE_BLOCK_MS 20u
#define VE_RING_SAMPLES (1u << 18) /* 16.4 s at 16 kHz */

/* cffi: begin */
struct ve_settings {
    uint32_t rate;         /* 8000 or 16000 Hz */
    uint32_t frame_ms;     /* 10 … 60 */
    int vad_mode;          /* 0 (lenient) … 3 (strict) */
    double threshold_dbov; /* a block below this level is never voiced */
    uint32_t onset_ms;     /* this much voiced … */
    uint32_t window_ms;    /* … within this is an onset; at most 640 */
    uint32_t hangover_ms;  /* see ve_activity.h */
    uint32_t offset_ms;    /* this long unvoiced is an offset */
    uint32_t pre_roll_ms;  /* how far before the start of speech an onset points */
    struct ve_player_settings player;
    bool remove_offset;
    /* NULL: not done. All but the plan, which must outlive the channel, are read by ve_channel_open only. */
    const struct ve_echo_settings *echo;
    const struct ve_level_settings *level;
    const struct ve_dtmf_settings *keys;
    const struct ve_tone_plan *tones;
    const struct ve_gain_settings *gain;
    const struct ve_judge_settings *judge; /* NULL: the gate decides alone */
};

struct ve_stats {
    uint64_t frames_in, frames_out;
    uint64_t silence_in, silence_out; /* of these, how many were silence */
    uint64_t short_frames;            /* frames in which the queue ran dry, the end of a prompt included */
    uint64_t underruns;               /* times a stream ran dry */
    uint64_t events_dropped;
    uint64_t longest_gap_ns; /* between two frames in */
    uint64_t silent_ns;      /* CLOCK_MONOTONIC when a pause or stop last became silence; 0: never */
};
/* cffi: end */

struct ve_channel {
    /* What every block works on, side by side, for it is fetched at once: from here … */
    const struct ve_vad_api *vad_api;
    void *vad;
    size_t block_samples, block_fill;
    uint64_t block_energy; /* the sum of squares a block must reach to be voiced */
    uint64_t blocks;
    uint64_t last_in_ns;
    _Atomic uint64_t frames_in, frames_out, silence_in, silence_out, longest_gap_ns;
    atomic_bool speaking;
    bool has_echo, has_level, has_keys, has_tones, has_gain, has_judge;
    struct ve_settings settings;
    struct ve_hub *hub;
    struct ve_recorder_slot recorder, overheard_by;
    struct ve_level level;
    struct ve_dc dc;
    struct ve_dtmf keys;
    struct ve_tones tones;
    struct ve_gain gain;
    struct ve_resampler resampler;
    struct ve_ring ring;
    struct ve_activity activity;
    int16_t block[VE_BLOCK_MS * 16]; /* gathers frames of any length into blocks */
    struct ve_reference reference;   /* … to its first samples */
    struct ve_echo echo;
    struct ve_judge judge;
    struct ve_player player;
    struct ve_queue events;

    size_t frame_samples;
    void *port; /* the bridge's side of us, owned by ve_bridge.c */
    void *pool;
    int slot;
    void (*release_pool)(void *pool);
    atomic_bool attached; /* the bridge may still call us */
};

/* cffi: begin */
struct ve_channel;

/** A channel in `*channel` and 0, or -EINVAL (settings), -ENOMEM. `vad_api` and `hub` must outlive it. */
int ve_channel_open(struct ve_channel **channel, const struct ve_settings *settings, const struct ve_vad_api *vad_api,
                    struct ve_hub *hub);
/** 0, or -EBUSY while the bridge holds it. */
int ve_channel_free(struct ve_channel *channel);

/** Take one frame of any length; NULL is `count` samples of silence. */
void ve_channel_put(struct ve_channel *channel, const int16_t *samples, size_t count);
/** Fill a frame and return true, or return false for silence. */
bool ve_channel_get(struct ve_channel *channel, int16_t *out, size_t count);

bool ve_channel_next_event(struct ve_channel *channel, struct ve_event *event);
size_t ve_channel_read(const struct ve_channel *channel, uint64_t *position, int16_t *out, size_t limit);
uint64_t ve_channel_head(const struct ve_channel *channel);
bool ve_channel_speaking(const struct ve_channel *channel);

struct ve_player *ve_channel_player(struct ve_channel *channel);
/** NULL where it has none. */
struct ve_judge *ve_channel_judge(struct ve_channel *channel);

/** Where a recorder of the channel's rate may be attached. */
struct ve_recorder_slot *ve_channel_recorder(struct ve_channel *channel);
/** Where the recorder of another channel may be attached, whose caller hears what is said here. */
struct ve_recorder_slot *ve_channel_overheard_by(struct ve_channel *channel);

void ve_channel_stats(const struct ve_channel *channel, struct ve_stats *stats);
/* cffi: end */

#endif
