/**
 * @file ve_player.h  Plays queued PCM and streams without gaps; pauses, resumes and stops with fades; music beneath.
 *
 *      pause          resume              stop             underrun        refilled
 *   ─────┐╲              ╱┌─────────────────┐╲               ────┐╲             ╱┌────
 *        │  ╲          ╱  │                 │  ╲                 │  ╲         ╱  │
 *   ─────┴────╲──────╱────┴─────────────────┴────╲────       ────┴────╲─────╱────┴────
 *        p   p+fade   p   p+fade                                 p   mirrored    p
 *
 * What a pause has faded out is said again, faded in: nothing is lost. Nor is it in an underrun, where a stream has
 * less than the frame needs: its last samples are given backwards and fading, which has no step at the seam, and it
 * goes on where it was, fading in, once its pre-buffer is full again.
 *
 * Items are referenced, not copied: memory and stream must stay until `ve_player_done` has reached the item's id. Ids
 * count from 1 in order of queueing, so the queue needs no more state than two counters; the control side writes
 * `queued`, the media thread `done`.
 *
 * Commands are one word, { stop through this id | armed | paused }. The media thread reads it once a frame and never
 * sees half a command, and a barge-in is a compare-and-swap on what it has read: a stop or a disarming that came
 * between makes it fail, so no barge-in outlives either.
 */
#ifndef VE_PLAYER_H
#define VE_PLAYER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ve_background.h"
#include "ve_events.h"
#include "ve_stream.h"

#define VE_PLAYER_ITEMS 128u

/* cffi: begin */
struct ve_player_settings {
    uint32_t fade_ms; /* 10 … 30: how long a pause, a stop, a resume and an underrun take to be silence or sound */
    uint32_t duck_ms; /* 20 … 1000: from silence to its level the background takes this long; to make way, less */
};

struct ve_player;
/* cffi: end */

struct ve_item {
    const int16_t *pcm;
    uint64_t length;          /* samples */
    struct ve_stream *stream; /* or this */
};

enum ve_stream_phase { VE_FILLING, VE_FLOWING, VE_CONCEALING };

struct ve_player {
    /* from the control side */
    struct ve_item items[VE_PLAYER_ITEMS]; /* slot: id modulo VE_PLAYER_ITEMS */
    _Atomic uint64_t queued;               /* id of the last item queued */
    _Atomic uint64_t command;              /* barge-in writes it, too, from the media thread */
    /* from the media thread */
    _Atomic uint64_t done;      /* id of the last item played or dropped */
    _Atomic uint64_t place;     /* the current item or 0, above 32 bits of its position: one consistent pair */
    _Atomic uint64_t played;    /* samples, of all items; a faded tail that will be said again does not count */
    _Atomic uint64_t silent_ns; /* when a pause or stop last became silence */
    _Atomic uint64_t short_frames, underruns;
    struct ve_queue *events;
    uint64_t now_ns;            /* of the frame being rendered */
    uint64_t position;          /* in the current item */
    enum ve_stream_phase phase; /* of the current item, if it is a stream */
    uint32_t mirrored;          /* samples of concealment given */
    uint32_t gain, full;        /* samples of fade that are left of `full` */
    uint32_t faded;             /* samples of the current item said since it last was at full level: to be said again */
    bool sounding;              /* the last sample given out was not silence of our making */
    struct ve_background background;
};

/* cffi: tests begin */
/** 0, or -EINVAL (settings). */
int ve_player_open(struct ve_player *player, uint32_t rate, const struct ve_player_settings *settings,
                   struct ve_queue *events);
/* cffi: tests end */

/* cffi: begin */
/** Queue an item; its id, or -ENOBUFS when VE_PLAYER_ITEMS are waiting, -EINVAL when it is empty or endless. */
int64_t ve_player_queue(struct ve_player *player, const int16_t *pcm, uint64_t length);
/** Queue a stream, once; its id, or -ENOBUFS. */
int64_t ve_player_stream(struct ve_player *player, struct ve_stream *stream);
void ve_player_pause(struct ve_player *player);
void ve_player_resume(struct ve_player *player);
/** Drop everything queued so far; what is queued afterwards plays, also when the player was paused. */
void ve_player_stop(struct ve_player *player);
/** Let `ve_player_barge_in` pause, or not any more: it does not once this has returned. */
void ve_player_arm(struct ve_player *player, bool on);

/** Music under the items, as `ve_background_set`. */
int64_t ve_player_background(struct ve_player *player, const int16_t *pcm, uint64_t length, double gain_db,
                             double ducked_gain_db);
/** Backgrounds up to this id are not referenced any more. */
uint64_t ve_player_background_done(const struct ve_player *player);

bool ve_player_paused(const struct ve_player *player);
/** The id of the last item queued. */
uint64_t ve_player_queued(const struct ve_player *player);
/** Items up to this id are not referenced any more. */
uint64_t ve_player_done(const struct ve_player *player);
/** Samples of all items. */
uint64_t ve_player_played(const struct ve_player *player);
/** The current item's id and how many of its samples have been given out; the id is 0 when there is none. */
uint64_t ve_player_position(const struct ve_player *player, uint64_t *position);
/* cffi: end */

/* cffi: tests begin */
/**
 * Fill `out` with `count` samples and return true, or return false for silence (`out` untouched). Media thread only.
 */
bool ve_player_render(struct ve_player *player, int16_t *out, size_t count, uint64_t now_ns);

/** Pause if armed and an item is sounding; true when that was done. Media thread only. */
bool ve_player_barge_in(struct ve_player *player);
/* cffi: tests end */

#endif
