/** @file player_race.c  Control, writer and media thread at full speed on streams and players: for the thread sanitizer. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "check.h"
#include "ve_player.h"

#define FRAME 40

static struct ve_queue events;
static struct ve_player player;
static atomic_bool finished;
static _Atomic uint64_t barge_ins;

/* The media thread of a call whose caller never stops talking; it takes the events, too. */
static void *render(void *unused)
{
    int16_t out[FRAME];
    struct ve_event event;
    while (!atomic_load(&finished)) {
        ve_player_render(&player, out, FRAME, 1);
        if (ve_player_barge_in(&player))
            atomic_fetch_add(&barge_ins, 1);
        while (ve_queue_pop(&events, &event))
            CHECK(event.kind == VE_PLAYED || event.kind == VE_UNDERRUN);
    }
    return unused;
}

static pthread_t start(void)
{
    static const struct ve_player_settings settings = {.fade_ms = 10, .duck_ms = 20};
    pthread_t media;
    CHECK(ve_player_open(&player, 8000, &settings, &events) == 0);
    atomic_store(&finished, false);
    atomic_store(&barge_ins, 0);
    CHECK(pthread_create(&media, NULL, render, NULL) == 0);
    return media;
}

static void finish(pthread_t media)
{
    atomic_store(&finished, true);
    pthread_join(media, NULL);
}

static void no_barge_in_outlives_a_disarming_or_the_stop_after_it(void)
{
    static const int16_t pcm[4 * FRAME];
    const pthread_t media = start();
    for (uint32_t round = 0; round < 20000 || atomic_load(&barge_ins) < 10; round++) { /* else nothing was raced against */
        ve_player_arm(&player, true);
        while (ve_player_queue(&player, pcm, 4 * FRAME) < 0)
            ;
        for (uint32_t wait = round % 64; wait > 0 && !ve_player_paused(&player); wait--)
            ;
        ve_player_arm(&player, false);
        const bool paused = ve_player_paused(&player);
        for (int look = 0; look < 10; look++)
            CHECK(ve_player_paused(&player) == paused);
        ve_player_stop(&player);
        for (int look = 0; look < 10; look++)
            CHECK(!ve_player_paused(&player));
    }
    finish(media);
}

/* Counts upwards: whoever reads can tell from a sample alone where it belongs. */
static void *write_stream(void *stream)
{
    int16_t samples[100];
    uint16_t next = 0;
    while (next < 50000) {
        for (uint16_t i = 0; i < 100; i++)
            samples[i] = (int16_t)(uint16_t)(next + i);
        const int64_t taken = ve_stream_write(stream, samples, 100);
        if (taken == -EPIPE)
            return NULL;
        CHECK(taken >= 0 && taken <= 100);
        next = (uint16_t)(next + taken);
    }
    ve_stream_end(stream);
    return NULL;
}

static void a_stream_hands_over_every_sample_in_order_and_keeps_the_last_ones(void)
{
    static const struct ve_stream_settings settings = {.room_ms = 20, .pre_buffer_ms = 5};
    struct ve_stream *stream;
    const int16_t *pcm;
    pthread_t writer;
    uint64_t position = 0;
    CHECK(ve_stream_open(&stream, 8000, &settings) == 0);
    CHECK(pthread_create(&writer, NULL, write_stream, stream) == 0);
    while (!ve_stream_over(stream, position)) {
        const size_t count = ve_stream_ready(stream, position) ? ve_stream_peek(stream, position, &pcm) : 0;
        for (size_t i = 0; i < count; i++)
            CHECK((uint16_t)pcm[i] == (uint16_t)(position + i));
        position += count;
        for (uint64_t back = 1; back <= VE_STREAM_KEEP && back <= position; back += 73)
            CHECK((uint16_t)ve_stream_kept(stream, position - back) == (uint16_t)(position - back));
        ve_stream_pass(stream, position);
    }
    pthread_join(writer, NULL);
    CHECK(position >= 50000);
    ve_stream_free(stream);
}

/* What the player has done with is given back at once and scribbled over: a sanitizer would see it look again. */
static void memory_may_go_as_soon_as_it_is_done_with(void)
{
    static const struct ve_stream_settings settings = {.room_ms = 20, .pre_buffer_ms = 5};
    struct ve_stream *stream;
    int16_t *loops[VE_BACKGROUND_LOOPS] = {NULL};
    int64_t loop = 0;
    uint64_t position = 0, heard = 0;
    pthread_t writer;
    const pthread_t media = start();
    for (uint32_t round = 0; round < 200; round++) {
        int16_t *pcm = calloc(300, sizeof *pcm);
        CHECK(pcm && ve_stream_open(&stream, 8000, &settings) == 0);
        const int64_t item = ve_player_queue(&player, pcm, 300), streamed = ve_player_stream(&player, stream);
        CHECK(item > 0 && streamed == item + 1);
        CHECK(pthread_create(&writer, NULL, write_stream, stream) == 0);

        int16_t *music = round % 4 ? calloc(50, sizeof *music) : NULL;
        const int64_t set = ve_player_background(&player, music, 50, -6, -20);
        if (set > 0) {
            loops[set % VE_BACKGROUND_LOOPS] = music;
            CHECK(set == ++loop);
        } else {
            CHECK(set == -ENOBUFS);
            free(music);
        }
        for (uint32_t wait = 0; wait < 100; wait++) {
            const uint64_t id = ve_player_position(&player, &position);
            CHECK(id == 0 || id <= (uint64_t)streamed);
            CHECK(id == 0 || id % 2 == 0 || position <= 300);
            heard += id > 0;
            if (wait % 30 == 10)
                ve_player_pause(&player);
            else if (wait % 30 == 20)
                ve_player_resume(&player);
        }
        ve_player_stop(&player);
        pthread_join(writer, NULL); /* learns that nobody listens */
        while (ve_player_done(&player) < (uint64_t)streamed)
            ;
        free(pcm);
        ve_stream_free(stream);
        for (int64_t id = loop - (int64_t)VE_BACKGROUND_LOOPS + 1; id <= (int64_t)ve_player_background_done(&player); id++)
            if (id > 0) {
                free(loops[id % VE_BACKGROUND_LOOPS]);
                loops[id % VE_BACKGROUND_LOOPS] = NULL;
            }
    }
    finish(media);
    for (uint32_t i = 0; i < VE_BACKGROUND_LOOPS; i++)
        free(loops[i]);
    CHECK(heard > 0);
}

int main(void)
{
    no_barge_in_outlives_a_disarming_or_the_stop_after_it();
    a_stream_hands_over_every_sample_in_order_and_keeps_the_last_ones();
    memory_may_go_as_soon_as_it_is_done_with();
    return 0;
}
