/** @file player.c  Streams, backgrounds and the player at their limits: settings, memory, full rings, full scale. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "check.h"
#include "ve_player.h"

static struct ve_queue events;
static struct ve_player player;
static const struct ve_player_settings usual = {.fade_ms = 20, .duck_ms = 150};

static void settings_out_of_range_are_refused(void)
{
    static const struct ve_player_settings wrong[] = {{9, 150}, {31, 150}, {20, 19}, {20, 1001}};
    static const struct ve_stream_settings unfit[] = {{19, 0}, {60001, 0}, {100, 101}};
    struct ve_stream *stream = NULL;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK(ve_player_open(&player, 8000, &wrong[i], &events) == -EINVAL);
    for (size_t i = 0; i < sizeof unfit / sizeof *unfit; i++)
        CHECK(ve_stream_open(&stream, 8000, &unfit[i]) == -EINVAL && !stream);
    CHECK(ve_stream_open(&stream, 44100, &(struct ve_stream_settings){100, 0}) == -EINVAL && !stream);
}

static void a_stream_needs_memory_and_says_so(void)
{
    struct ve_stream *stream = NULL;
    allocations = 0;
    failing_allocation = 1;
    CHECK(ve_stream_open(&stream, 8000, &(struct ve_stream_settings){100, 0}) == -ENOMEM && !stream);
    failing_allocation = 0;
}

static void a_full_stream_takes_no_more_until_some_was_played(void)
{
    static int16_t pcm[5000], out[5000];
    struct ve_stream *stream;
    CHECK(ve_player_open(&player, 8000, &usual, &events) == 0);
    CHECK(ve_stream_open(&stream, 8000, &(struct ve_stream_settings){100, 0}) == 0);
    CHECK(ve_player_stream(&player, stream) == 1);
    CHECK(ve_stream_room(stream) == 800 && ve_stream_write(stream, pcm, 5000) == 800);
    CHECK(ve_stream_room(stream) == 0 && ve_stream_write(stream, pcm, 5000) == 0);
    CHECK(ve_player_render(&player, out, 1, 1) && ve_stream_room(stream) == 1);
    ve_player_stop(&player);
    CHECK(ve_player_render(&player, out, 161, 1));
    CHECK(ve_player_done(&player) == 1 && ve_stream_room(stream) == -EPIPE && ve_stream_write(stream, pcm, 1) == -EPIPE);
    ve_stream_free(stream);
}

static void backgrounds_are_refused_out_of_range_and_when_too_many_wait(void)
{
    static const int16_t pcm[3] = {1, 2, 3};
    static int16_t out[1300];
    CHECK(ve_player_open(&player, 8000, &usual, &events) == 0);
    CHECK(ve_player_background(&player, pcm, 0, 0, 0) == -EINVAL);
    CHECK(ve_player_background(&player, pcm, 3, 1, 0) == -EINVAL);
    CHECK(ve_player_background(&player, pcm, 3, -6, -5) == -EINVAL);
    CHECK(ve_player_background(&player, pcm, 3, NAN, NAN) == -EINVAL);
    for (uint32_t i = 1; i < VE_BACKGROUND_LOOPS; i++)
        CHECK(ve_player_background(&player, i % 2 ? pcm : NULL, 3, 0, -HUGE_VAL) == (int64_t)i);
    CHECK(ve_player_background(&player, pcm, 3, 0, 0) == -ENOBUFS);
    CHECK(ve_player_render(&player, out, 1300, 1)); /* the last one wins */
    CHECK(ve_player_background_done(&player) == VE_BACKGROUND_LOOPS - 2);
    CHECK(out[1298] > 0 && out[1298] <= 3);
    CHECK(ve_player_background(&player, NULL, 0, 0, 0) > 0);
    ve_player_render(&player, out, 1300, 1);
    CHECK(!ve_player_render(&player, out, 1300, 1));
    CHECK(ve_player_background_done(&player) == VE_BACKGROUND_LOOPS - 1);
}

static void two_signals_at_full_scale_do_not_wrap(void)
{
    static int16_t loud[2000], out[2000];
    for (int sign = -1; sign <= 1; sign += 2) {
        for (int i = 0; i < 2000; i++)
            loud[i] = sign < 0 ? INT16_MIN : INT16_MAX;
        CHECK(ve_player_open(&player, 8000, &usual, &events) == 0);
        CHECK(ve_player_background(&player, loud, 2000, 0, 0) > 0 && ve_player_queue(&player, loud, 2000) > 0);
        CHECK(ve_player_render(&player, out, 2000, 1));
        for (int i = 1; i < 2000; i++) {
            CHECK(sign * out[i] >= sign * out[i - 1]); /* the background comes in */
            CHECK(sign * out[i] > 28000);
        }
    }
}

int main(void)
{
    settings_out_of_range_are_refused();
    a_stream_needs_memory_and_says_so();
    a_full_stream_takes_no_more_until_some_was_played();
    backgrounds_are_refused_out_of_range_and_when_too_many_wait();
    two_signals_at_full_scale_do_not_wrap();
    return 0;
}
