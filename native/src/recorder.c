#include "ve_recorder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ve_clock.h"

#define LONGEST_BLOCK (VE_RECORDER_BLOCK_MS * 16)

typedef int16_t frame[2];

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static frame *block_at(struct ve_recorder *recorder, uint64_t number)
{
    return (frame *)recorder->frames + number % VE_RECORDER_BLOCKS * recorder->block_frames;
}

static bool failed(const struct ve_recorder *recorder)
{
    return atomic_load_explicit(&recorder->error, memory_order_relaxed) != 0;
}

/* --- media thread --- */

static uint64_t position_of(const struct ve_recorder *recorder)
{
    return atomic_load_explicit(&recorder->position, memory_order_relaxed);
}

/* Hand the open block to the writer, however full it is. */
static void publish(struct ve_recorder *recorder)
{
    const uint64_t head = atomic_load_explicit(&recorder->head, memory_order_relaxed);
    if (recorder->fill == 0)
        return;
    recorder->counts[head % VE_RECORDER_BLOCKS] = recorder->fill;
    recorder->fill = 0;
    atomic_store_explicit(&recorder->head, head + 1, memory_order_release);
}

/* Where the next frames go, and in `*count` how many of them; NULL where the ring is full. */
static frame *room(struct ve_recorder *recorder, size_t *count)
{
    const uint64_t head = atomic_load_explicit(&recorder->head, memory_order_relaxed);
    if (recorder->fill == 0) {
        if (head - atomic_load_explicit(&recorder->tail, memory_order_acquire) == VE_RECORDER_BLOCKS)
            return NULL;
        recorder->starts[head % VE_RECORDER_BLOCKS] = position_of(recorder);
    }
    *count = least(*count, recorder->block_frames - recorder->fill);
    return block_at(recorder, head) + recorder->fill;
}

static void interleave(frame *out, const int16_t *caller, const int16_t *heard, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out[i][0] = caller[i];
        out[i][1] = heard[i];
    }
}

static void fade_in(struct ve_recorder *recorder, frame *frames, size_t count)
{
    for (size_t i = 0; i < count; i++, recorder->gain++)
        for (int side = 0; side < 2; side++)
            frames[i][side] = (int16_t)(frames[i][side] * (int)recorder->gain / (int)recorder->edge_frames);
}

static void fade_out(struct ve_recorder *recorder, frame *out, size_t count)
{
    for (size_t i = 0; i < count; i++, recorder->gain--)
        for (int side = 0; side < 2; side++)
            out[i][side] = (int16_t)(recorder->last[side] * (int)recorder->gain / (int)recorder->edge_frames);
}

/* Silence from the last sample on, and how much of `count` it took. */
static size_t put_quiet(struct ve_recorder *recorder, size_t count)
{
    count = least(count, recorder->quiet_until - position_of(recorder));
    if (recorder->gain == 0) {
        publish(recorder);
        return count;
    }
    count = least(count, recorder->gain);
    frame *out = room(recorder, &count);
    if (out)
        fade_out(recorder, out, count);
    else
        recorder->gain = 0;
    recorder->fill += out ? (uint32_t)count : 0;
    return count;
}

/* A part of `count` samples that meets no edge within, and how long it was. */
static size_t put_sound(struct ve_recorder *recorder, const int16_t *caller, const int16_t *heard, size_t count)
{
    if (recorder->gain < recorder->edge_frames)
        count = least(count, recorder->edge_frames - recorder->gain);
    frame *out = room(recorder, &count);
    if (!out) {
        atomic_fetch_add_explicit(&recorder->lost, count, memory_order_relaxed);
        recorder->gain = 0; /* no click where the sound comes back */
        return count;
    }
    interleave(out, caller, heard, count);
    recorder->last[0] = caller[count - 1];
    recorder->last[1] = heard[count - 1];
    if (recorder->gain < recorder->edge_frames)
        fade_in(recorder, out, count);
    recorder->fill += (uint32_t)count;
    return count;
}

static int16_t mixed_sample(int one, int other)
{
    const int sum = one + other;
    return (int16_t)(sum > INT16_MAX ? INT16_MAX : sum < INT16_MIN ? INT16_MIN : sum);
}

void ve_recorder_overhear(struct ve_recorder *recorder, const int16_t *said, size_t count)
{
    count = least(count, LONGEST_BLOCK);
    for (size_t i = 0; i < count; i++)
        recorder->others[i] = mixed_sample(said[i], i < recorder->others_count ? recorder->others[i] : 0);
    if (recorder->others_count < count)
        recorder->others_count = (uint32_t)count;
}

/* What the caller hears with whoever was overheard, in `mixed`; just `heard` where that is nobody. */
static const int16_t *with_others(struct ve_recorder *recorder, const int16_t *heard, size_t count, int16_t *mixed)
{
    const size_t others = least(recorder->others_count, count);
    recorder->others_count = 0;
    if (others == 0 || count > LONGEST_BLOCK)
        return heard;
    for (size_t i = 0; i < count; i++)
        mixed[i] = mixed_sample(heard ? heard[i] : 0, i < others ? recorder->others[i] : 0);
    return mixed;
}

void ve_recorder_put(struct ve_recorder *recorder, const int16_t *caller, const int16_t *heard, size_t count)
{
    static const int16_t silence[LONGEST_BLOCK];
    int16_t mixed[LONGEST_BLOCK];
    uint64_t position = position_of(recorder);
    if (failed(recorder))
        return;
    heard = with_others(recorder, heard, count, mixed);
    if (atomic_load(&recorder->paused))
        recorder->quiet_until = position + count + recorder->settle_frames;
    while (count > 0) {
        const size_t part = least(count, recorder->block_frames);
        const bool quiet = position < recorder->quiet_until;
        const size_t done = quiet ? put_quiet(recorder, part)
                                  : put_sound(recorder, caller ? caller : silence, heard ? heard : silence, part);
        if (recorder->fill == recorder->block_frames)
            publish(recorder);
        position += done;
        atomic_store_explicit(&recorder->position, position, memory_order_relaxed);
        caller = caller ? caller + done : NULL;
        heard = heard ? heard + done : NULL;
        count -= done;
    }
}

/* The attached recorder, held until `let_go`; NULL where there is none. */
static struct ve_recorder *hold(struct ve_recorder_slot *slot)
{
    struct ve_recorder *recorder = atomic_load(&slot->current);
    if (!recorder)
        return NULL;
    atomic_store(&slot->in_use, recorder);
    if (atomic_load(&slot->current) == recorder) /* still: from here on a detacher sees `in_use` and waits */
        return recorder;
    atomic_store_explicit(&slot->in_use, NULL, memory_order_release);
    return NULL;
}

static void let_go(struct ve_recorder_slot *slot)
{
    atomic_store_explicit(&slot->in_use, NULL, memory_order_release);
}

void ve_recorder_slot_put(struct ve_recorder_slot *slot, const int16_t *caller, const int16_t *heard, size_t count)
{
    struct ve_recorder *recorder = hold(slot);
    if (!recorder)
        return;
    ve_recorder_put(recorder, caller, heard, count);
    let_go(slot);
}

void ve_recorder_slot_overhear(struct ve_recorder_slot *slot, const int16_t *said, size_t count)
{
    struct ve_recorder *recorder = hold(slot);
    if (!recorder)
        return;
    ve_recorder_overhear(recorder, said, count);
    let_go(slot);
}

/* --- any thread --- */

int ve_recorder_attach(struct ve_recorder_slot *slot, struct ve_recorder *recorder)
{
    struct ve_recorder *none = NULL;
    return atomic_compare_exchange_strong(&slot->current, &none, recorder) ? 0 : -EBUSY;
}

void ve_recorder_detach(struct ve_recorder_slot *slot, struct ve_recorder *recorder)
{
    const struct timespec a_moment = {.tv_nsec = 20000};
    struct ve_recorder *ours = recorder;
    atomic_compare_exchange_strong(&slot->current, &ours, NULL);
    while (atomic_load(&slot->in_use) == recorder) /* as long as one put at most */
        nanosleep(&a_moment, NULL);
}

void ve_recorder_pause(struct ve_recorder *recorder)
{
    atomic_store(&recorder->paused, true);
}

void ve_recorder_resume(struct ve_recorder *recorder)
{
    atomic_store(&recorder->paused, false);
}

void ve_recorder_stats(const struct ve_recorder *recorder, struct ve_recorder_stats *stats)
{
    *stats = (struct ve_recorder_stats){
        .frames = position_of(recorder),
        .written = atomic_load_explicit(&recorder->written, memory_order_relaxed),
        .lost = atomic_load_explicit(&recorder->lost, memory_order_relaxed),
        .error = atomic_load_explicit(&recorder->error, memory_order_relaxed),
    };
}

/* --- writer: the file, in either format --- */

static int write_frames(struct ve_recorder *recorder, uint64_t position, const int16_t *frames, size_t count)
{
    return recorder->opus ? ve_opus_write(recorder->opus, position, frames, count)
                          : ve_wav_write(&recorder->wav, position, frames, count);
}

static int promise(struct ve_recorder *recorder)
{
    return recorder->opus ? ve_opus_promise(recorder->opus) : ve_wav_promise(&recorder->wav);
}

static uint64_t promised(const struct ve_recorder *recorder)
{
    return recorder->opus ? ve_opus_frames(recorder->opus) : recorder->wav.promised;
}

static int sync_file(const struct ve_recorder *recorder)
{
    return recorder->opus ? ve_opus_sync(recorder->opus) : ve_wav_sync(&recorder->wav);
}

static int close_whole(struct ve_recorder *recorder)
{
    const uint64_t frames = position_of(recorder);
    return recorder->opus ? ve_opus_close(recorder->opus, frames) : ve_wav_close(&recorder->wav, frames);
}

/* After an error: what was promised is there, and nothing else is. */
static void close_as_it_is(struct ve_recorder *recorder)
{
    if (recorder->opus)
        ve_opus_abandon(recorder->opus);
    else
        ve_wav_close(&recorder->wav, 0);
}

/* --- writer --- */

int ve_recorder_open(struct ve_recorder **out, const char *path, const struct ve_recorder_settings *settings)
{
    if ((settings->rate != 8000 && settings->rate != 16000) || settings->settle_ms > 5000 ||
        (settings->opus && (settings->bits_per_s < 24000 || settings->bits_per_s > 200000)))
        return -EINVAL;
    const uint32_t per_ms = settings->rate / 1000;
    const size_t ring = (size_t)VE_RECORDER_BLOCKS * VE_RECORDER_BLOCK_MS * per_ms * sizeof(frame);
    struct ve_recorder *recorder = malloc(sizeof *recorder + ring);
    if (!recorder)
        return -ENOMEM;
    memset(recorder, 0, sizeof *recorder + ring); /* touches every page, so that the media thread never faults */
    recorder->settings = *settings;
    recorder->block_frames = VE_RECORDER_BLOCK_MS * per_ms;
    recorder->settle_frames = settings->settle_ms * per_ms;
    recorder->gain = recorder->edge_frames = VE_RECORDER_EDGE_MS * per_ms;
    recorder->synced_ns = ve_now_ns();
    const int status = settings->opus ? ve_opus_create(&recorder->opus, path, settings->rate, settings->bits_per_s,
                                                       settings->opus)
                                      : ve_wav_create(&recorder->wav, path, settings->rate);
    if (status)
        free(recorder);
    else
        *out = recorder;
    return status;
}

/* How many blocks from `tail` on lie side by side both in memory and in time, and in `*frames` how long they are. */
static uint64_t run_of(const struct ve_recorder *recorder, uint64_t tail, uint64_t head, size_t *frames)
{
    const uint64_t start = recorder->starts[tail % VE_RECORDER_BLOCKS];
    uint64_t next = tail;
    *frames = 0;
    do
        *frames += recorder->counts[next++ % VE_RECORDER_BLOCKS];
    while (next < head && next % VE_RECORDER_BLOCKS != 0 && *frames == (next - tail) * recorder->block_frames &&
           recorder->starts[next % VE_RECORDER_BLOCKS] == start + *frames);
    return next - tail;
}

static int write_blocks(struct ve_recorder *recorder)
{
    const uint64_t head = atomic_load_explicit(&recorder->head, memory_order_acquire);
    uint64_t tail = atomic_load_explicit(&recorder->tail, memory_order_relaxed);
    while (tail < head) {
        size_t frames;
        const uint64_t blocks = run_of(recorder, tail, head, &frames);
        const uint64_t start = recorder->starts[tail % VE_RECORDER_BLOCKS];
        const int status = write_frames(recorder, start, *block_at(recorder, tail), frames);
        if (status)
            return status;
        tail += blocks;
        atomic_store_explicit(&recorder->tail, tail, memory_order_release);
    }
    return 0;
}

static int sync_if_due(struct ve_recorder *recorder)
{
    const uint64_t now_ns = ve_now_ns();
    if (recorder->settings.sync_ms == 0 || recorder->synced_frames == promised(recorder) ||
        now_ns - recorder->synced_ns < recorder->settings.sync_ms * UINT64_C(1000000))
        return 0;
    recorder->synced_ns = now_ns;
    recorder->synced_frames = promised(recorder);
    return sync_file(recorder);
}

int ve_recorder_flush(struct ve_recorder *recorder)
{
    if (failed(recorder))
        return 0;
    const int written = write_blocks(recorder);
    const int kept = promise(recorder); /* what was written, also when the rest was not */
    int status = written ? written : kept;
    if (!status)
        status = sync_if_due(recorder);
    atomic_store_explicit(&recorder->written, promised(recorder), memory_order_relaxed);
    atomic_store_explicit(&recorder->error, -status, memory_order_relaxed);
    return status;
}

int ve_recorder_close(struct ve_recorder *recorder)
{
    publish(recorder);
    int status = ve_recorder_flush(recorder);
    if (failed(recorder))
        close_as_it_is(recorder);
    else
        status = close_whole(recorder);
    free(recorder);
    return status;
}
