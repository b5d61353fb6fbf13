/**
 * @file ve_events.h  Events from the media thread: a lock-free queue a channel, and one eventfd that says "look".
 *
 * Queue: one producer (the media thread), one consumer (who drains the pipeline). A full queue drops the new event and
 * counts it. Hub: written at most once between two drains, however many channels have something to say.
 */
#ifndef VE_EVENTS_H
#define VE_EVENTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define VE_QUEUE_EVENTS 256u /* a power of two */

/* cffi: begin */
enum ve_event_kind {
    VE_ONSET = 1,       /* position: where to read from (speech start less pre-roll); flag: paused the player */
    VE_OFFSET = 2,      /* position: end of speech */
    VE_PLAYED = 3,      /* item: its id; position: samples of it played, at the channel's rate; flag: played to its end */
    VE_CLOSED = 4,      /* the bridge has let go of the port */
    VE_UNDERRUN = 5,    /* item: a stream that ran dry; position: its sample at which it did */
    VE_KEY_DOWN = 6,    /* code: the key as a character; position and at_ns: where and when its tone began */
    VE_KEY_UP = 7,      /* the same; position and at_ns: where and when its tone ended; duration_ms, level_dbov, twist_db */
    VE_TONE_BEGUN = 8,  /* code: index in the tone plan; position: where it began */
    VE_TONE_ENDED = 9,  /* the same, and duration_ms */
    VE_LEVEL = 10,      /* level_dbov, peak and offset of the last report_ms; code: samples of it that were clipped;
                           echo_delay_ms (-1: none found), echo_loss_db */
};

struct ve_event {
    uint32_t kind; /* enum ve_event_kind */
    uint32_t code;
    bool flag;
    uint32_t duration_ms;
    float level_dbov, twist_db, offset, echo_loss_db;
    int32_t peak, echo_delay_ms;
    uint64_t position; /* 16 kHz samples since the channel was opened, where nothing else is said */
    uint64_t item;
    uint64_t at_ns; /* CLOCK_MONOTONIC */
};
/* cffi: end */

struct ve_queue {
    struct ve_event events[VE_QUEUE_EVENTS];
    _Atomic uint32_t written, read;
    _Atomic uint64_t dropped;
};

/* cffi: tests begin */
/** False when the queue was full. Media thread only. */
bool ve_queue_push(struct ve_queue *queue, struct ve_event event);
/** False when it is empty. Consumer only. */
bool ve_queue_pop(struct ve_queue *queue, struct ve_event *event);
/* cffi: tests end */

struct ve_hub {
    int fd; /* eventfd, non-blocking */
    atomic_bool awake;
};

/* cffi: begin */
struct ve_hub;

/** A hub, or NULL. */
struct ve_hub *ve_hub_open(void);
void ve_hub_close(struct ve_hub *hub);
int ve_hub_fd(const struct ve_hub *hub);

/** Make the fd readable unless it already is. Any thread. */
void ve_hub_wake(struct ve_hub *hub);
/** Make the fd unreadable; call it before draining the queues, so that nothing posted meanwhile is slept through. */
void ve_hub_rest(struct ve_hub *hub);
/* cffi: end */

#endif
