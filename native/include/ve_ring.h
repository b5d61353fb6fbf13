/**
 * @file ve_ring.h  16 kHz audio from the media thread to its readers, addressed by absolute position.
 *
 * The writer never waits: it overwrites the oldest samples. A reader may start at any position and learns how much of
 * what it wanted was gone. A position is the number of samples since the channel was opened.
 *
 *      oldest                                   head    reserved
 *        |######## may be read ##################|~ being ~|
 *                                                  written
 *
 * `reserved` moves before the samples do and `head` after them (a seqlock), so a reader can tell what was overwritten
 * under its hands. The samples themselves are relaxed atomics: plain moves to the machine, no data race to the
 * language.
 */
#ifndef VE_RING_H
#define VE_RING_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct ve_ring {
    _Atomic int16_t *samples;
    size_t capacity; /* a power of two */
    _Atomic uint64_t reserved;
    _Atomic uint64_t head;
};

/* cffi: tests begin */
/**
 * 0, or -ENOMEM; -EINVAL where `capacity` is not a power of two. Touches every page, so that the writer never faults.
 */
int ve_ring_open(struct ve_ring *ring, size_t capacity);
void ve_ring_close(struct ve_ring *ring);

/** Append `count` ≤ capacity samples. Media thread only. */
void ve_ring_write(struct ve_ring *ring, const int16_t *samples, size_t count);

/** Ask for the memory that the next `count` samples go to. */
void ve_ring_fetch(const struct ve_ring *ring, size_t count);

/** The position after the newest sample. */
uint64_t ve_ring_head(const struct ve_ring *ring);

/**
 * Copy up to `limit` samples from `*position` on and return their number. `*position` becomes the position of the first
 * sample copied; it moves only when older samples are gone.
 */
size_t ve_ring_read(const struct ve_ring *ring, uint64_t *position, int16_t *out, size_t limit);
/* cffi: tests end */

#endif
