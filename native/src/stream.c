#include "ve_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t power_of_two(size_t at_least)
{
    size_t power = 1;
    while (power < at_least)
        power *= 2;
    return power;
}

int ve_stream_open(struct ve_stream **out, uint32_t rate, const struct ve_stream_settings *settings)
{
    if ((rate != 8000 && rate != 16000) || settings->room_ms < 20 || settings->room_ms > 60000 ||
        settings->pre_buffer_ms > settings->room_ms)
        return -EINVAL;
    const size_t room = rate / 1000 * settings->room_ms;
    const size_t capacity = power_of_two(room + VE_STREAM_KEEP);
    struct ve_stream *stream = calloc(1, sizeof *stream + capacity * sizeof *stream->samples);
    if (!stream)
        return -ENOMEM;
    stream->capacity = capacity;
    stream->room = room;
    stream->pre_buffer = rate / 1000 * settings->pre_buffer_ms;
    *out = stream;
    return 0;
}

void ve_stream_free(struct ve_stream *stream)
{
    free(stream);
}

int64_t ve_stream_room(const struct ve_stream *stream)
{
    const uint64_t written = atomic_load_explicit(&stream->written, memory_order_relaxed);
    const uint64_t played = atomic_load_explicit(&stream->played, memory_order_acquire);
    if (atomic_load_explicit(&stream->gone, memory_order_relaxed))
        return -EPIPE;
    return (int64_t)(stream->room - (written - played));
}

int64_t ve_stream_write(struct ve_stream *stream, const int16_t *pcm, size_t count)
{
    const int64_t room = ve_stream_room(stream);
    if (room < 0)
        return room;
    if (count > (size_t)room)
        count = (size_t)room;
    const uint64_t written = atomic_load_explicit(&stream->written, memory_order_relaxed);
    const size_t at = written & (stream->capacity - 1);
    const size_t first = count < stream->capacity - at ? count : stream->capacity - at;
    memcpy(stream->samples + at, pcm, first * sizeof *pcm);
    memcpy(stream->samples, pcm + first, (count - first) * sizeof *pcm);
    atomic_store_explicit(&stream->written, written + count, memory_order_release);
    return (int64_t)count;
}

void ve_stream_end(struct ve_stream *stream)
{
    atomic_store_explicit(&stream->ended, true, memory_order_release);
}

bool ve_stream_ready(const struct ve_stream *stream, uint64_t position)
{
    const uint64_t waiting = atomic_load_explicit(&stream->written, memory_order_acquire) - position;
    return (waiting > 0 && waiting >= stream->pre_buffer) || atomic_load_explicit(&stream->ended, memory_order_acquire);
}

size_t ve_stream_peek(const struct ve_stream *stream, uint64_t position, const int16_t **pcm)
{
    const size_t at = position & (stream->capacity - 1);
    const uint64_t waiting = atomic_load_explicit(&stream->written, memory_order_acquire) - position;
    *pcm = stream->samples + at;
    return waiting < stream->capacity - at ? (size_t)waiting : stream->capacity - at;
}

int16_t ve_stream_kept(const struct ve_stream *stream, uint64_t position)
{
    return stream->samples[position & (stream->capacity - 1)];
}

bool ve_stream_over(const struct ve_stream *stream, uint64_t position)
{
    return atomic_load_explicit(&stream->ended, memory_order_acquire) && /* first: `written` is final then */
           atomic_load_explicit(&stream->written, memory_order_acquire) == position;
}

void ve_stream_pass(struct ve_stream *stream, uint64_t position)
{
    if (position > atomic_load_explicit(&stream->played, memory_order_relaxed)) /* not so while a fade is said again */
        atomic_store_explicit(&stream->played, position, memory_order_release);
}

void ve_stream_hang_up(struct ve_stream *stream)
{
    atomic_store_explicit(&stream->gone, true, memory_order_relaxed);
}
