/**
 * @file ve_recorder.h  Both directions of a call on disk: what the caller says left, what the caller hears right.
 *
 *      media thread                                          writer: any one thread, some five times a second
 *      caller ─┐                                             ┌── the blocks, each at its place in time
 *              ├─ pause ── ring of 20 ms blocks, 5.12 s ─────┤
 *      heard ──┤           (one writes, one reads)           └── then what promises them (ve_wav.h, ve_opus.h)
 *      others ─┘ whom the caller talks with on another channel: mixed into what they hear
 *
 * The media thread never waits: where the ring is full because the disk does not answer, it counts what is lost, and
 * the file has silence there. When the disk fails for good (full, gone, 4 GB), recording ends, the file stays valid up
 * to there, the failure is told once, and the call goes on.
 *
 * A pause is silence in the file, not a cut, so that a time in the recording stays a time in the call. It is made in
 * the media thread, before the ring: of what is put after `ve_recorder_pause` has returned nothing reaches even memory.
 *
 *      put    ~~~~~~~~~~~|~~~~~~ 4000 1234 … ~~~~~~|~~ settle ~~|~~~~~~~~~~~
 *      file   ~~~~~~~~~~~|\________________________|____________|/~~~~~~~~~~
 *                     pause                     resume
 *
 * Its soft edge is made of the last sample before it alone, which fades away over 5 ms. After `ve_recorder_resume` the
 * silence goes on for `settle_ms`: what was said before is still on its way through network and jitter buffer then.
 *
 * Threads: `put` belongs to the media thread, `flush` and `close` to the writer, the rest to any.
 */
#ifndef VE_RECORDER_H
#define VE_RECORDER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ve_opus.h"
#include "ve_wav.h"

#define VE_RECORDER_BLOCKS 256u
#define VE_RECORDER_BLOCK_MS 20u
#define VE_RECORDER_EDGE_MS 5u

/* cffi: begin */
struct ve_recorder_settings {
    uint32_t rate;                  /* 8000 or 16000 Hz */
    uint32_t settle_ms;             /* how much longer than until resume a pause lasts; at most 5000 */
    uint32_t sync_ms;               /* this often the disk is made to keep what it was given; 0: at the end only */
    uint32_t bits_per_s;            /* of Opus: 24000 … 200000 */
    const struct ve_opus_api *opus; /* must outlive the recorder; NULL: a WAV file */
};

struct ve_recorder_stats {
    uint64_t frames;  /* how much was put, pauses included: a frame is a sample of each direction */
    uint64_t written; /* how much the file holds by now */
    uint64_t lost;    /* how much found the ring full, and became silence */
    int error;        /* the errno that ended the recording, or 0 */
};
/* cffi: end */

struct ve_recorder {
    struct ve_recorder_settings settings;
    uint32_t block_frames, edge_frames, settle_frames;

    /* media thread */
    uint32_t fill;        /* frames in the open block, which is number `head` */
    uint32_t gain;        /* 0 … edge_frames, the whole signal */
    int16_t last[2];      /* the frame from which a pause fades */
    uint32_t others_count; /* samples in `others` */
    int16_t others[VE_RECORDER_BLOCK_MS * 16]; /* what was said on other channels since the last put */
    uint64_t quiet_until; /* position */
    _Atomic uint64_t position, lost;

    atomic_bool paused;

    _Atomic uint64_t head, tail; /* blocks written to the ring, blocks read from it */
    uint64_t starts[VE_RECORDER_BLOCKS];
    uint32_t counts[VE_RECORDER_BLOCKS];

    /* writer */
    struct ve_wav wav;
    struct ve_opus *opus; /* instead, unless NULL */
    uint64_t synced_ns, synced_frames;
    _Atomic uint64_t written;
    atomic_int error;

    int16_t frames[]; /* VE_RECORDER_BLOCKS × block_frames × 2 */
};

/**
 * Where a channel keeps its recorder. Any thread may put one in or take it out under the hands of the media thread,
 * which says in `in_use` what it is holding (a hazard pointer, Michael 2004) and so never waits: who takes out does.
 */
struct ve_recorder_slot {
    _Atomic(struct ve_recorder *) current, in_use;
};

/* cffi: begin */
struct ve_recorder;

/** A recorder in `*recorder`, a new file at `path` and 0; or -EINVAL (settings), -ENOMEM, why there can be no file. */
int ve_recorder_open(struct ve_recorder **recorder, const char *path, const struct ve_recorder_settings *settings);

/** Write what there is. 0, or, once, the negative errno that ends the recording. */
int ve_recorder_flush(struct ve_recorder *recorder);

/** Once detached: write the rest, end the file, free the recorder. 0, or a negative errno that was not told before. */
int ve_recorder_close(struct ve_recorder *recorder);

void ve_recorder_pause(struct ve_recorder *recorder);
void ve_recorder_resume(struct ve_recorder *recorder);
void ve_recorder_stats(const struct ve_recorder *recorder, struct ve_recorder_stats *stats);
/* cffi: end */

/* cffi: begin */
struct ve_recorder_slot;

/** 0, or -EBUSY where there is one already. */
int ve_recorder_attach(struct ve_recorder_slot *slot, struct ve_recorder *recorder);
/** Once it returns, the media thread does not touch `recorder` any more: it may be closed. Harmless when repeated. */
void ve_recorder_detach(struct ve_recorder_slot *slot, struct ve_recorder *recorder);
/* cffi: end */

/* cffi: tests begin */
/** Put into whatever recorder is attached, if any. Media thread only. */
void ve_recorder_slot_put(struct ve_recorder_slot *slot, const int16_t *caller, const int16_t *heard, size_t count);
/** What is said meanwhile on another channel, whose block of the same time this is. Media thread only. */
void ve_recorder_slot_overhear(struct ve_recorder_slot *slot, const int16_t *said, size_t count);
/** The same of one recorder: mixed into what is put next as heard, a block at most. */
void ve_recorder_overhear(struct ve_recorder *recorder, const int16_t *said, size_t count);
/** Any number of samples of each direction at the same time; NULL is silence. Media thread only. */
void ve_recorder_put(struct ve_recorder *recorder, const int16_t *caller, const int16_t *heard, size_t count);
/* cffi: tests end */

#endif
