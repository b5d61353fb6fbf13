/** @file race.c  A media thread and a control thread on one channel at full speed: for the thread sanitizer to look at. */
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "check.h"
#include "ve_channel.h"

#define FRAMES 40000
#define FRAME 320

static atomic_bool finished;

/* Counts upwards for ever: a reader can tell from a sample alone where it belongs. */
static void *media(void *argument)
{
    struct ve_channel *channel = argument;
    int16_t frame[FRAME], out[FRAME];
    uint16_t next = 0;
    for (int i = 0; i < FRAMES; i++) {
        for (int k = 0; k < FRAME; k++)
            frame[k] = (int16_t)next++;
        ve_channel_put(channel, frame, FRAME);
        ve_channel_get(channel, out, FRAME);
    }
    atomic_store(&finished, true);
    ve_hub_wake(channel->hub);
    return NULL;
}

int main(void)
{
    static int16_t out[1 << 16], pcm[500];
    const struct ve_settings settings = {.rate = 16000, .frame_ms = 20, .vad_mode = 2, .threshold_dbov = -60,
                                         .onset_ms = 20, .window_ms = 20, .offset_ms = 20, .pre_roll_ms = 0};
    struct ve_hub *hub = ve_hub_open();
    struct ve_channel *channel = NULL;
    struct ve_event event;
    struct ve_stats stats;
    pthread_t thread;
    uint64_t position = 0, seen = 0, played = 0;
    CHECK(hub && ve_channel_open(&channel, &settings, &loud_api, hub) == 0);
    CHECK(pthread_create(&thread, NULL, media, channel) == 0);

    for (uint64_t round = 0; !atomic_load(&finished); round++) {
        ve_channel_play(channel, pcm, 500);
        ve_channel_arm_barge_in(channel, round % 2);
        if (round % 3 == 0)
            ve_channel_resume(channel);
        if (round % 50 == 0)
            ve_channel_stop(channel);
        const size_t count = ve_channel_read(channel, &position, out, sizeof out / sizeof *out);
        for (size_t i = 0; i < count; i++)
            CHECK((uint16_t)out[i] == (uint16_t)(position + i));
        position += count;
        seen += count;
        struct pollfd wait = {.fd = ve_hub_fd(hub), .events = POLLIN};
        CHECK(poll(&wait, 1, 20000) >= 0);
        ve_hub_rest(hub);
        while (ve_channel_next_event(channel, &event))
            played += event.kind == VE_PLAYED;
        ve_channel_stats(channel, &stats);
    }
    pthread_join(thread, NULL);
    while (ve_channel_next_event(channel, &event))
        played += event.kind == VE_PLAYED;
    ve_channel_stats(channel, &stats);
    CHECK(stats.frames_in == FRAMES && stats.frames_out == FRAMES);
    CHECK(seen > 0 && seen <= (uint64_t)FRAMES * FRAME);
    CHECK(stats.events_dropped > 0 || played == ve_channel_done(channel));
    CHECK(ve_channel_free(channel) == 0);
    ve_hub_close(hub);
    return 0;
}
