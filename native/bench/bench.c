/** @file bench.c  Nanoseconds of this thread's CPU that a 20 ms frame at 8 kHz costs; a library that bench.py calls. */
#include <stdlib.h>
#include <time.h>

#include "ve_channel.h"

#define FRAME 160u

static double cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/**
 * `frames` of speech, over and over, through `channels` whole channels that also play it, with an echo of it; the cost of
 * one frame, or -1.
 */
double bench_channels(const struct ve_settings *settings, const struct ve_vad_api *api, const int16_t *speech,
                      size_t length, size_t channels, size_t frames)
{
    struct ve_hub *hub = ve_hub_open();
    struct ve_channel **channel = calloc(channels, sizeof *channel);
    struct ve_event event;
    int16_t out[FRAME];
    double cost = -1;
    size_t opened = 0;
    if (!hub || !channel)
        goto done;
    for (; opened < channels; opened++)
        if (ve_channel_open(&channel[opened], settings, api, hub) != 0)
            goto done;
    cost = 0;
    for (size_t frame = 0; frame < frames; frame++) {
        const int16_t *said = speech + frame * FRAME % (length - FRAME);
        const double before = cpu_ns();
        for (size_t i = 0; i < channels; i++) {
            ve_channel_get(channel[i], out, FRAME);
            ve_channel_put(channel[i], said, FRAME);
        }
        cost += cpu_ns() - before;
        for (size_t i = 0; i < channels; i++) {
            while (ve_channel_next_event(channel[i], &event))
                ;
            if (ve_player_done(&channel[i]->player) == ve_player_queued(&channel[i]->player))
                ve_player_queue(&channel[i]->player, speech, length);
        }
        ve_hub_rest(hub);
    }
    cost /= (double)(frames * channels);
done:
    while (opened > 0)
        ve_channel_free(channel[--opened]);
    free(channel);
    ve_hub_close(hub);
    return cost;
}

/* Each block alone: `open` once, then `work` on every frame, which is `said`; `bytes` keeps what the work leaves. */
#define BENCH(name, open, work)                                                              \
    double bench_##name(const struct ve_settings *settings, const struct ve_vad_api *api,    \
                        const int16_t *speech, size_t length, size_t frames)                 \
    {                                                                                        \
        (void)settings, (void)api, (void)speech;                                                         \
        open;                                                                                \
        const double before = cpu_ns();                                                      \
        for (size_t frame = 0; frame < frames; frame++) {                                    \
            const int16_t *said = speech + frame * FRAME % (length - 2 * FRAME);             \
            (void)said;                                                                      \
            work;                                                                            \
        }                                                                                    \
        return (cpu_ns() - before) / (double)frames;                                         \
    }

static int16_t out[2 * FRAME];

BENCH(vad, void *vad = ve_vad_open(api, settings->vad_mode), api->process(vad, 8000, said, FRAME))
BENCH(offset, struct ve_dc dc; ve_dc_open(&dc), ve_dc_put(&dc, said, out, out, FRAME))
BENCH(level, struct ve_level level; struct ve_level_report report; ve_level_open(&level, 8000, settings->level),
      ve_level_put(&level, said, FRAME, &report, 1))
BENCH(keys, struct ve_dtmf dtmf; struct ve_key_change changes[2]; ve_dtmf_open(&dtmf, 8000, settings->keys),
      ve_dtmf_put(&dtmf, said, FRAME, changes, 2))
BENCH(tones, struct ve_tones tones; struct ve_tone_change changes[VE_TONES_CHANGES];
      ve_tones_open(&tones, 8000, settings->tones), ve_tones_put(&tones, said, FRAME, changes, VE_TONES_CHANGES))
BENCH(echo, static struct ve_echo echo; ve_echo_open(&echo, 8000, settings->echo),
      ve_echo_put(&echo, speech + (frame * FRAME + 800) % (length - 2 * FRAME), said, out, out, FRAME))
BENCH(gain, struct ve_gain gain; ve_gain_open(&gain, 8000, settings->gain), ve_gain_put(&gain, said, out, FRAME, true))
BENCH(resampler, struct ve_resampler resampler; ve_resampler_open(&resampler), ve_resample(&resampler, said, FRAME, out))
BENCH(ring, static struct ve_ring ring; if (!ring.samples) ve_ring_open(&ring, VE_RING_SAMPLES),
      ve_ring_write(&ring, said, 2 * FRAME))
BENCH(player, static struct ve_queue events; static struct ve_player player; struct ve_event event;
      ve_player_open(&player, 8000, &settings->player, &events),
      if (!ve_player_render(&player, out, FRAME, frame)) {
          while (ve_queue_pop(&events, &event))
              ;
          ve_player_queue(&player, speech, length);
      })
