/** @file race.c  Two threads at full speed on a ring, a queue, a player and a channel: for the thread sanitizer. */
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "check.h"
#include "ve_channel.h"

#define FRAMES 20000
#define FRAME 320

static atomic_bool finished;

/* Counts upwards for ever: a reader can tell from a sample alone where it belongs. */
static void *write_ring(void *argument)
{
    int16_t samples[100];
    uint16_t next = 0;
    for (int i = 0; i < 5 * FRAMES; i++) {
        for (int k = 0; k < 100; k++)
            samples[k] = (int16_t)next++;
        ve_ring_write(argument, samples, 100);
    }
    atomic_store(&finished, true);
    return NULL;
}

static void a_reader_overtaken_while_it_copies_sees_no_spoilt_sample(void)
{
    struct ve_ring ring;
    int16_t out[256];
    uint64_t position = 0;
    pthread_t writer;
    CHECK(ve_ring_open(&ring, 256) == 0);
    atomic_store(&finished, false);
    CHECK(pthread_create(&writer, NULL, write_ring, &ring) == 0);
    while (!atomic_load(&finished)) {
        const size_t count = ve_ring_read(&ring, &position, out, 256);
        for (size_t i = 0; i < count; i++)
            CHECK((uint16_t)out[i] == (uint16_t)(position + i));
        position += count;
    }
    pthread_join(writer, NULL);
    ve_ring_close(&ring);
}

static void *push_events(void *argument)
{
    for (uint64_t i = 0; i < FRAMES;)
        i += ve_queue_push(argument, (struct ve_event){.kind = VE_OFFSET, .position = i, .item = ~i});
    return NULL;
}

static void a_queue_hands_over_whole_events_in_order(void)
{
    static struct ve_queue queue;
    struct ve_event event;
    pthread_t writer;
    CHECK(pthread_create(&writer, NULL, push_events, &queue) == 0);
    for (uint64_t i = 0; i < FRAMES;)
        if (ve_queue_pop(&queue, &event)) {
            CHECK(event.position == i && event.item == ~i);
            i++;
        }
    pthread_join(writer, NULL);
}

static void *render(void *argument)
{
    int16_t out[64];
    while (ve_player_done(argument) < FRAMES)
        if (ve_player_render(argument, out, 64, 1))
            for (int i = 1; i < 64; i++)
                CHECK(out[i] == 0 || out[i - 1] <= out[i] || out[i] == 1);
    return NULL;
}

static void a_player_sees_whole_items_however_fast_its_slots_are_reused(void)
{
    static struct ve_queue events;
    static struct ve_player player;
    static const int16_t pcm[5] = {1, 2, 3, 4, 5};
    pthread_t media;
    CHECK(ve_player_open(&player, 8000, &(struct ve_player_settings){.fade_ms = 20, .duck_ms = 150}, &events) == 0);
    CHECK(pthread_create(&media, NULL, render, &player) == 0);
    for (uint64_t i = 0; i < FRAMES;)
        i += ve_player_queue(&player, pcm, 1 + i % 5) > 0;
    pthread_join(media, NULL);
}

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

static void a_channel_stands_everything_at_once(void)
{
    static int16_t out[1 << 16], pcm[500];
    const struct ve_settings settings = {.rate = 16000, .frame_ms = 20, .vad_mode = 2, .threshold_dbov = -60,
                                         .onset_ms = 20, .window_ms = 20, .offset_ms = 20, .pre_roll_ms = 0,
                                         .player = {.fade_ms = 20, .duck_ms = 150}};
    struct ve_hub *hub = ve_hub_open();
    struct ve_channel *channel = NULL;
    struct ve_event event;
    struct ve_stats stats;
    pthread_t thread;
    uint64_t position = 0, seen = 0, played = 0;
    atomic_store(&finished, false);
    CHECK(hub && ve_channel_open(&channel, &settings, &loud_api, hub) == 0);
    CHECK(pthread_create(&thread, NULL, media, channel) == 0);

    for (uint64_t round = 0; !atomic_load(&finished); round++) {
        ve_player_queue(&channel->player, pcm, 500);
        ve_player_arm(&channel->player, round % 2);
        if (round % 3 == 0)
            ve_player_resume(&channel->player);
        if (round % 50 == 0)
            ve_player_stop(&channel->player);
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
    CHECK(stats.events_dropped > 0 || played == ve_player_done(&channel->player));
    CHECK(ve_channel_free(channel) == 0);
    ve_hub_close(hub);
}

int main(void)
{
    a_reader_overtaken_while_it_copies_sees_no_spoilt_sample();
    a_queue_hands_over_whole_events_in_order();
    a_player_sees_whole_items_however_fast_its_slots_are_reused();
    a_channel_stands_everything_at_once();
    return 0;
}
