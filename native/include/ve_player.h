/**
 * @file ve_player.h  Plays queued PCM without gaps; pauses, resumes and stops with 20 ms fades.
 *
 *      pause          resume              stop
 *   ─────┐╲              ╱┌─────────────────┐╲
 *        │  ╲          ╱  │                 │  ╲
 *   ─────┴────╲──────╱────┴─────────────────┴────╲────
 *        p    p+20   p    p+20
 *
 * What a pause has faded out is said again, faded in: nothing is lost. Items are referenced, not copied: the memory must
 * stay until `ve_player_done` has reached the item's id. Ids count from 1 in order of queueing, so the queue needs no more
 * state than two counters; the control side writes `queued`, the media thread `done`.
 */
#ifndef VE_PLAYER_H
#define VE_PLAYER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ve_events.h"

#define VE_PLAYER_ITEMS 128u
#define VE_FADE_MS 20u

struct ve_item {
    const int16_t *pcm;
    uint64_t length; /* samples */
};

struct ve_player {
    /* from the control side */
    struct ve_item items[VE_PLAYER_ITEMS]; /* slot: id modulo VE_PLAYER_ITEMS */
    _Atomic uint64_t queued;               /* id of the last item queued */
    _Atomic uint64_t stop_through;         /* items up to this id are not wanted any more */
    atomic_bool paused;                    /* barge-in sets it from the media thread */
    atomic_bool armed;
    /* from the media thread */
    _Atomic uint64_t done;      /* id of the last item played or dropped */
    _Atomic uint64_t played;    /* samples, of all items; a faded tail that will be said again does not count */
    _Atomic uint64_t silent_ns; /* when a pause or stop last became silence */
    _Atomic uint64_t short_frames;
    struct ve_queue *events;
    uint64_t position;       /* in the current item */
    uint32_t gain, full;     /* samples of fade that are left of `full` */
    uint32_t faded;          /* samples of the current item said since it last was at full level */
    bool sounding;           /* the last sample given out was not silence of our making */
};

void ve_player_open(struct ve_player *player, uint32_t rate, struct ve_queue *events);

/** Queue an item; its id, or -ENOBUFS when VE_PLAYER_ITEMS are waiting, -EINVAL when it is empty. */
int64_t ve_player_queue(struct ve_player *player, const int16_t *pcm, uint64_t length);
void ve_player_pause(struct ve_player *player);
void ve_player_resume(struct ve_player *player);
/** Drop everything queued so far; what is queued afterwards plays, also when the player was paused. */
void ve_player_stop(struct ve_player *player);
uint64_t ve_player_done(const struct ve_player *player);

/**
 * Fill `out` with `count` samples and return true, or return false for silence (`out` untouched). Media thread only.
 */
bool ve_player_render(struct ve_player *player, int16_t *out, size_t count, uint64_t now_ns);

/** Pause if armed and sounding; true when that was done. Media thread only. */
bool ve_player_barge_in(struct ve_player *player);

#endif
