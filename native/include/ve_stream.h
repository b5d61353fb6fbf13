/**
 * @file ve_stream.h  Samples on their way from a synthesiser to the player, which may be playing them already.
 *
 *                        played            written         played + room
 *   ────────┤▒▒▒▒ kept ▒▒▒▒├████ waiting ████┤                 ├────────
 *                        media thread      writer
 *
 * A ring with one writer (any thread but the media thread) and one reader (the media thread). Neither waits for the
 * other: a full ring takes nothing more and says so, an empty one is the player's to conceal. A position is the number
 * of samples since the beginning. The last VE_STREAM_KEEP samples played stay where they are: a pause says its fade
 * again, and an underrun is concealed by what came before it.
 */
#ifndef VE_STREAM_H
#define VE_STREAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VE_STREAM_KEEP 1024u /* more than the player's longest fade there and back, 2 × 30 ms at 16 kHz */

/* cffi: begin */
struct ve_stream_settings {
    uint32_t room_ms;       /* how far the writer may be ahead of the player: 20 … 60000 */
    uint32_t pre_buffer_ms; /* this much must wait before it plays, and again after an underrun; at most room_ms */
};

struct ve_stream;

/** A stream in `*stream` and 0, or -EINVAL (settings), -ENOMEM. */
int ve_stream_open(struct ve_stream **stream, uint32_t rate, const struct ve_stream_settings *settings);
void ve_stream_free(struct ve_stream *stream);

/** Append as much as there is room for; how many samples that was, or -EPIPE when nobody will play them any more. */
int64_t ve_stream_write(struct ve_stream *stream, const int16_t *pcm, size_t count);
/** How many samples `ve_stream_write` would take now, or -EPIPE. */
int64_t ve_stream_room(const struct ve_stream *stream);
/** Nothing more will be written. */
void ve_stream_end(struct ve_stream *stream);
/**
 * Nothing more will be played: lets the writer know. Any thread; the player does it when it has done with the stream.
 */
void ve_stream_hang_up(struct ve_stream *stream);
/* cffi: end */

struct ve_stream {
    size_t capacity; /* a power of two, at least room + VE_STREAM_KEEP */
    size_t room, pre_buffer;
    _Atomic uint64_t written; /* from the writer */
    atomic_bool ended;
    _Atomic uint64_t played; /* from the media thread: how far at most */
    atomic_bool gone;
    int16_t samples[];
};

/* The rest is the media thread's. */

/** Enough is waiting at `position` to begin there, or more will never come. */
bool ve_stream_ready(const struct ve_stream *stream, uint64_t position);
/** What waits at `position`, as far as it lies in one piece. */
size_t ve_stream_peek(const struct ve_stream *stream, uint64_t position, const int16_t **pcm);
/** One of the last VE_STREAM_KEEP samples played. */
int16_t ve_stream_kept(const struct ve_stream *stream, uint64_t position);
/** `position` is the end, and nothing more will be written. */
bool ve_stream_over(const struct ve_stream *stream, uint64_t position);
/** Everything before `position` has been played. */
void ve_stream_pass(struct ve_stream *stream, uint64_t position);

#endif
