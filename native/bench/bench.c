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

/** `frames` of speech, over and over, through `channels` whole channels that also play a prompt; the cost of one frame. */
double bench_channels(const struct ve_vad_api *api, const int16_t *speech, size_t length, size_t channels, size_t frames)
{
    const struct ve_settings settings = {.rate = 8000, .frame_ms = 20, .vad_mode = 2, .threshold_dbov = -50,
                                         .onset_ms = 60, .window_ms = 100, .offset_ms = 500, .pre_roll_ms = 300,
                                         .player = {.fade_ms = 20, .duck_ms = 150}};
    struct ve_hub *hub = ve_hub_open();
    struct ve_channel **channel = calloc(channels, sizeof *channel);
    struct ve_event event;
    int16_t out[FRAME];
    double cost = -1;
    size_t opened = 0;
    if (!hub || !channel)
        goto done;
    for (; opened < channels; opened++)
        if (ve_channel_open(&channel[opened], &settings, api, hub) != 0)
            goto done;
    cost = 0;
    for (size_t frame = 0; frame < frames; frame++) {
        const int16_t *said = speech + frame * FRAME % (length - FRAME);
        const double before = cpu_ns();
        for (size_t i = 0; i < channels; i++) {
            ve_channel_put(channel[i], said, FRAME);
            ve_channel_get(channel[i], out, FRAME);
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

double bench_vad(const struct ve_vad_api *api, const int16_t *speech, size_t length, size_t frames)
{
    void *vad = ve_vad_open(api, 2);
    const double before = cpu_ns();
    for (size_t frame = 0; frame < frames; frame++)
        api->process(vad, 8000, speech + frame * FRAME % (length - FRAME), FRAME);
    const double cost = cpu_ns() - before;
    api->destroy(vad);
    return cost / (double)frames;
}

double bench_resampler(const int16_t *speech, size_t length, size_t frames)
{
    struct ve_resampler resampler;
    int16_t out[2 * VE_RESAMPLE_MAX];
    ve_resampler_open(&resampler);
    const double before = cpu_ns();
    for (size_t frame = 0; frame < frames; frame++)
        ve_resample(&resampler, speech + frame * FRAME % (length - FRAME), FRAME, out);
    return (cpu_ns() - before) / (double)frames;
}

double bench_ring(const int16_t *speech, size_t length, size_t frames)
{
    struct ve_ring ring;
    if (ve_ring_open(&ring, VE_RING_SAMPLES) != 0)
        return -1;
    const double before = cpu_ns();
    for (size_t frame = 0; frame < frames; frame++)
        ve_ring_write(&ring, speech + frame * 2 * FRAME % (length - 2 * FRAME), 2 * FRAME);
    const double cost = cpu_ns() - before;
    ve_ring_close(&ring);
    return cost / (double)frames;
}

double bench_player(const int16_t *speech, size_t length, size_t frames)
{
    static struct ve_queue events;
    static struct ve_player player;
    struct ve_event event;
    int16_t out[FRAME];
    const struct ve_player_settings settings = {.fade_ms = 20, .duck_ms = 150};
    ve_player_open(&player, 8000, &settings, &events);
    const double before = cpu_ns();
    for (size_t frame = 0; frame < frames; frame++)
        if (!ve_player_render(&player, out, FRAME, frame)) {
            while (ve_queue_pop(&events, &event))
                ;
            ve_player_queue(&player, speech, length);
        }
    return (cpu_ns() - before) / (double)frames;
}
