#include "ve_ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ve_fetch.h"

int ve_ring_open(struct ve_ring *ring, size_t capacity)
{
    if (capacity == 0 || (capacity & (capacity - 1)) != 0)
        return -EINVAL;
    ring->samples = malloc(capacity * sizeof *ring->samples);
    if (!ring->samples)
        return -ENOMEM;
    memset((void *)ring->samples, 0, capacity * sizeof *ring->samples);
    ring->capacity = capacity;
    atomic_init(&ring->reserved, 0);
    atomic_init(&ring->head, 0);
    return 0;
}

void ve_ring_close(struct ve_ring *ring)
{
    free((void *)ring->samples);
    ring->samples = NULL;
}

void ve_ring_write(struct ve_ring *ring, const int16_t *samples, size_t count)
{
    const uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    const size_t mask = ring->capacity - 1;
    atomic_store_explicit(&ring->reserved, head + count, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    for (size_t i = 0; i < count; i++)
        atomic_store_explicit(&ring->samples[(head + i) & mask], samples[i], memory_order_relaxed);
    atomic_store_explicit(&ring->head, head + count, memory_order_release);
}

void ve_ring_fetch(const struct ve_ring *ring, size_t count)
{
    const size_t at = atomic_load_explicit(&ring->head, memory_order_relaxed) & (ring->capacity - 1);
    ve_fetch((const void *)(ring->samples + at), count * sizeof *ring->samples); /* beyond the end it does no harm */
}

uint64_t ve_ring_head(const struct ve_ring *ring)
{
    return atomic_load_explicit(&ring->head, memory_order_acquire);
}

static uint64_t oldest(uint64_t end, size_t capacity)
{
    return end > capacity ? end - capacity : 0;
}

size_t ve_ring_read(const struct ve_ring *ring, uint64_t *position, int16_t *out, size_t limit)
{
    const size_t mask = ring->capacity - 1;
    const uint64_t head = ve_ring_head(ring);
    uint64_t from = *position;
    if (from < oldest(head, ring->capacity))
        from = oldest(head, ring->capacity);
    if (from >= head)
        return 0;
    size_t count = head - from < limit ? (size_t)(head - from) : limit;
    for (size_t i = 0; i < count; i++)
        out[i] = atomic_load_explicit(&ring->samples[(from + i) & mask], memory_order_relaxed);

    atomic_thread_fence(memory_order_acquire);
    const uint64_t intact = oldest(atomic_load_explicit(&ring->reserved, memory_order_relaxed), ring->capacity);
    if (intact > from) { /* the writer came round while we copied */
        const size_t spoilt = intact - from < count ? (size_t)(intact - from) : count;
        count -= spoilt;
        memmove(out, out + spoilt, count * sizeof *out);
        from = intact;
    }
    *position = from;
    return count;
}
