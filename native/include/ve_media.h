/**
 * @file ve_media.h  The media thread of a worker: takes in what packets have come, and lets the conference bridge go on.
 *
 * PJSIP by itself wakes a thread for each packet, and another one every 20 ms for its bridge. One thread for both wakes
 * once a frame, however many calls there are, holds no lock of Python's, and sleeps without a call:
 *
 *   packets   ·  ·  ··   · ·  ··  ·  ·    ·    stay in their sockets until …
 *   thread    ────╷┃───────╷┃───────╷··┃──╷    … here: all are read ╷, then the bridge reads, mixes and sends ┃
 *                            key ────╯ ╰────── the prompt is silent already
 *
 * A key (RFC 4733) is put in a queue and the SIP pump woken; the frame in which it is read waits 8 ms for what will be
 * done about it. The frames of all workers are due at the same moments: one after the other, they find code in the cache.
 *
 * Threads: `ve_media_run` to `ve_media_close` belong to the SIP pump, which has called libCreate and libInit.
 */
#ifndef VE_MEDIA_H
#define VE_MEDIA_H

#include <stdbool.h>
#include <stdint.h>

/* cffi: begin */
struct ve_media;

/** A packet of a key that is pressed (RFC 4733), as PJSIP tells it. */
struct ve_told_key {
    uint32_t call;      /* as given to ve_media_watch_keys */
    uint32_t key;       /* a character */
    uint32_t timestamp; /* of the press, in RTP's clock */
    uint32_t duration_ms, flags;
    uint64_t at_ns; /* CLOCK_MONOTONIC, when it was read */
};

/**
 * `path` is the loaded `_pjsua2` module; datagrams to `waker`, a connected socket, end the pump's sleep. The thread is
 * there from now on, and sleeps; PJSIP's own, which it starts for packets even when told not to, ends. In `*media`; NULL,
 * or what is wrong. PJSIP must have been told `has_ioqueue`.
 */
const char *ve_media_open(struct ve_media **media, const char *path, uint32_t rate, uint32_t frame_ms, int waker);
/** Before libDestroy. */
void ve_media_close(struct ve_media *media);

/** A call is there: packets and frames flow. Harmless when repeated. */
void ve_media_run(struct ve_media *media);
/** The last call is gone: the thread sleeps. */
void ve_media_rest(struct ve_media *media);

/** Have the keys of `stream`, a pjmedia_stream of the call in PJSIP's `slot`, put in the queue, as those of `call`. */
int ve_media_watch_keys(struct ve_media *media, uintptr_t stream, uint32_t slot, uint32_t call);
/** False when there is none. */
bool ve_media_next_key(struct ve_media *media, struct ve_told_key *key);
/* cffi: end */

#endif
