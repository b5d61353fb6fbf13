/** @file bench.c  Nanoseconds of this thread's CPU that a 20 ms frame at 8 kHz costs; a library that bench.py calls. */
#include <stdlib.h>
#include <time.h>

#include "ve_channel.h"

#define FRAME 160u
#define TURN  25u /* frames after which what is no work of the media thread is done, off the clock */

/** What is said and played on a line, `length` samples (a multiple of FRAME) over and over; a frame more may be read. */
struct bench_line {
    const struct ve_settings *settings;
    const struct ve_vad_api *vad;
    const int16_t *said, *prompt;
    size_t length;
    const char *recording; /* a file that does not exist yet */
};

static double cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void drain(struct ve_queue *events)
{
    struct ve_event event;
    while (ve_queue_pop(events, &event))
        ;
}

/* The prompt from sample `start` on, and once more before it ends, without a gap. */
static void keep_playing(struct ve_player *player, const struct bench_line *line, size_t start)
{
    if (ve_player_queued(player) == 0)
        ve_player_queue(player, line->prompt + start, line->length - start);
    while (ve_player_queued(player) < ve_player_done(player) + 2)
        ve_player_queue(player, line->prompt, line->length);
}

/* Each channel begins at another sample of the line, so that many for a moment are like one for long. */
static size_t start_of(size_t channel, const struct bench_line *line)
{
    return channel * 61 * FRAME % line->length;
}

static void serve(struct ve_channel *const *channels, size_t count, const struct bench_line *line)
{
    for (size_t i = 0; i < count; i++) {
        drain(&channels[i]->events);
        keep_playing(&channels[i]->player, line, start_of(i, line));
    }
}

/* All channels, frame by frame from the `from`-th on, as the bridge's clock would have it. */
static double run(struct ve_channel *const *channels, size_t count, const struct bench_line *line, size_t from)
{
    int16_t out[FRAME];
    const double before = cpu_ns();
    for (size_t frame = from; frame < from + TURN; frame++)
        for (size_t i = 0; i < count; i++) {
            ve_channel_get(channels[i], out, FRAME);
            ve_channel_put(channels[i], line->said + (start_of(i, line) + frame * FRAME) % line->length, FRAME);
        }
    return cpu_ns() - before;
}

/** The cost of a frame of `count` whole channels in `frames` (a multiple of TURN) after `skipped`, or -1. */
double bench_channels(const struct bench_line *line, size_t count, size_t skipped, size_t frames)
{
    struct ve_hub *hub = ve_hub_open();
    struct ve_channel **channels = calloc(count, sizeof *channels);
    double cost = -1;
    size_t opened = 0;
    if (!hub || !channels)
        goto done;
    for (; opened < count; opened++)
        if (ve_channel_open(&channels[opened], line->settings, line->vad, hub) != 0)
            goto done;
    cost = 0;
    for (size_t frame = 0; frame < skipped + frames; frame += TURN) {
        serve(channels, count, line);
        const double turn = run(channels, count, line, frame);
        cost += frame < skipped ? 0 : turn;
        ve_hub_rest(hub);
    }
    cost /= (double)(frames * count);
done:
    while (opened > 0)
        ve_channel_free(channels[--opened]);
    free(channels);
    ve_hub_close(hub);
    return cost;
}

size_t bench_channel_bytes(void)
{
    return sizeof(struct ve_channel);
}

/* A block alone: `open` once, then `work` on every frame, which is `said`; `rest` once a TURN, off the clock. */
#define BENCH(name, open, work, rest)                                              \
    double bench_##name(const struct bench_line *line, size_t frames)              \
    {                                                                              \
        const struct ve_settings *const settings = line->settings;                 \
        double cost = 0;                                                           \
        (void)settings;                                                            \
        open;                                                                      \
        for (size_t start = 0; start < frames; start += TURN) {                    \
            rest;                                                                  \
            const double before = cpu_ns();                                        \
            for (size_t frame = start; frame < start + TURN; frame++) {            \
                const int16_t *said = line->said + frame * FRAME % line->length;   \
                (void)said;                                                        \
                work;                                                              \
            }                                                                      \
            cost += cpu_ns() - before;                                             \
        }                                                                          \
        return cost / (double)frames;                                              \
    }

static int16_t out[2 * FRAME];

BENCH(vad, void *vad = ve_vad_open(line->vad, settings->vad_mode), line->vad->process(vad, 8000, said, FRAME), )
BENCH(offset, struct ve_dc dc; ve_dc_open(&dc), ve_dc_put(&dc, said, out, FRAME), )
BENCH(level, struct ve_level level; struct ve_level_report report; ve_level_open(&level, 8000, settings->level),
      ve_level_put(&level, said, FRAME, &report, 1), )
BENCH(keys, struct ve_dtmf dtmf; struct ve_key_change changes[2]; ve_dtmf_open(&dtmf, 8000, settings->keys),
      ve_dtmf_put(&dtmf, said, FRAME, changes, 2), )
BENCH(tones, struct ve_tones tones; struct ve_tone_change changes[VE_TONES_CHANGES];
      ve_tones_open(&tones, 8000, settings->tones), ve_tones_put(&tones, said, FRAME, changes, VE_TONES_CHANGES), )
BENCH(echo, static struct ve_echo echo; ve_echo_open(&echo, 8000, settings->echo),
      ve_echo_put(&echo, line->prompt + (said - line->said), said, out, out, FRAME), )
BENCH(gain, struct ve_gain gain; ve_gain_open(&gain, 8000, settings->gain), ve_gain_put(&gain, said, out, FRAME, true), )
BENCH(resampler, struct ve_resampler resampler; ve_resampler_open(&resampler),
      ve_resample(&resampler, said, FRAME, out), )
BENCH(decimator, struct ve_decimator decimator; ve_decimator_open(&decimator),
      ve_decimate(&decimator, said, 2 * FRAME, out), )

/* Opened once, or anew in each round. */
static struct ve_ring ring;
static struct ve_queue events;
static struct ve_player player;
static struct ve_stream *stream;
static struct ve_recorder *recorder;

BENCH(ring, if (!ring.samples) ve_ring_open(&ring, VE_RING_SAMPLES), ve_ring_write(&ring, said, 2 * FRAME), )
BENCH(judge, struct ve_judge judge; if (!ring.samples) ve_ring_open(&ring, VE_RING_SAMPLES);
      ve_judge_open(&judge, settings->judge, &ring), ve_judge_block(&judge, true, false), )
BENCH(player, ve_player_open(&player, 8000, &settings->player, &events), ve_player_render(&player, out, FRAME, frame),
      drain(&events); keep_playing(&player, line, 0))
BENCH(background, ve_player_open(&player, 8000, &settings->player, &events);
      ve_player_background(&player, line->said, line->length, -6, -20), ve_player_render(&player, out, FRAME, frame),
      drain(&events); keep_playing(&player, line, 0))
BENCH(stream, const struct ve_stream_settings room = {.room_ms = 1000}; ve_stream_free(stream);
      ve_stream_open(&stream, 8000, &room); ve_player_open(&player, 8000, &settings->player, &events);
      ve_player_stream(&player, stream), ve_player_render(&player, out, FRAME, frame),
      ve_stream_write(stream, line->prompt, (size_t)ve_stream_room(stream)))
BENCH(recorder, const struct ve_recorder_settings wav = {.rate = 8000}; struct ve_recorder_slot slot = {.in_use = NULL};
      if (!recorder) ve_recorder_open(&recorder, line->recording, &wav); ve_recorder_attach(&slot, recorder),
      ve_recorder_slot_put(&slot, said, line->prompt, FRAME), ve_recorder_flush(recorder))
