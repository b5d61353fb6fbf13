/** @file blocks.c  Each block alone: ring, resampler, activity, queue, player. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "ve_activity.h"
#include "ve_events.h"
#include "ve_player.h"
#include "ve_resample.h"
#include "ve_ring.h"

static void ring_keeps_the_newest_and_says_what_is_gone(void)
{
    struct ve_ring ring;
    int16_t samples[16], out[16];
    CHECK(ve_ring_open(&ring, 12) == -EINVAL);
    CHECK(ve_ring_open(&ring, 0) == -EINVAL);
    CHECK(ve_ring_open(&ring, 16) == 0);
    for (int16_t i = 0; i < 40; i = (int16_t)(i + 8)) {
        for (int16_t k = 0; k < 8; k++)
            samples[k] = (int16_t)(i + k);
        ve_ring_write(&ring, samples, 8);
    }
    uint64_t position = 3;
    CHECK(ve_ring_head(&ring) == 40);
    CHECK(ve_ring_read(&ring, &position, out, 16) == 16 && position == 24 && out[0] == 24 && out[15] == 39);
    position = 38;
    CHECK(ve_ring_read(&ring, &position, out, 16) == 2 && position == 38 && out[1] == 39);
    position = 40;
    CHECK(ve_ring_read(&ring, &position, out, 16) == 0 && position == 40);
    position = UINT64_MAX;
    CHECK(ve_ring_read(&ring, &position, out, 16) == 0);
    ve_ring_close(&ring);
}

static void resampler_saturates_and_keeps_the_samples_it_was_given(void)
{
    struct ve_resampler resampler;
    int16_t in[160], out[320];
    for (int i = 0; i < 160; i++)
        in[i] = i % 7 < 3 ? INT16_MAX : INT16_MIN;
    ve_resampler_open(&resampler);
    const size_t made = ve_resample(&resampler, in, 160, out);
    CHECK(made == 2 * (160 - VE_RESAMPLE_TAPS / 2));
    for (size_t i = 0; i < made / 2; i++)
        CHECK(out[2 * i] == in[i]);
    CHECK(ve_resample(&resampler, in, 0, out) == 0);
}

static void activity_starts_with_the_first_voiced_block_and_ends_with_the_last(void)
{
    static const char heard[] = "..V.VVV.V...V....V.....";
    struct ve_activity activity;
    uint32_t ago = 0;
    int started = -1, ended = -1, start = -1, end = -1;
    CHECK(ve_activity_open(&activity, 20, &(struct ve_activity_settings){60, 660, 0, 100}) == -EINVAL);
    CHECK(ve_activity_open(&activity, 20, &(struct ve_activity_settings){UINT32_MAX, UINT32_MAX, 0, 100}) == -EINVAL);
    CHECK(ve_activity_open(&activity, 20, &(struct ve_activity_settings){640, 640, 0, 20}) == 0);
    CHECK(ve_activity_open(&activity, 20, &(struct ve_activity_settings){60, 100, 80, 100}) == 0);
    for (int i = 0; heard[i]; i++) {
        const enum ve_activity_change change = ve_activity_step(&activity, heard[i] == 'V', true, &ago);
        if (change == VE_STARTED) {
            started = i;
            start = i + 1 - (int)ago;
        } else if (change == VE_ENDED) {
            ended = i;
            end = i + 1 - (int)ago;
        }
    }
    CHECK(started == 5 && start == 2);
    CHECK(ended == 22 && end == 18);
}

static void queue_drops_the_new_and_counts_when_full(void)
{
    static struct ve_queue queue;
    struct ve_event event = {.kind = VE_ONSET};
    for (event.position = 0; event.position < VE_QUEUE_EVENTS; event.position++)
        CHECK(ve_queue_push(&queue, event));
    CHECK(!ve_queue_push(&queue, event) && queue.dropped == 1);
    for (uint64_t i = 0; i < VE_QUEUE_EVENTS; i++)
        CHECK(ve_queue_pop(&queue, &event) && event.position == i);
    CHECK(!ve_queue_pop(&queue, &event));
}

static void hub_is_readable_once_for_many_wakes(void)
{
    struct ve_hub *hub = ve_hub_open();
    uint64_t count = 0;
    CHECK(hub);
    ve_hub_wake(hub);
    ve_hub_wake(hub);
    CHECK(read(ve_hub_fd(hub), &count, sizeof count) == sizeof count && count == 1);
    CHECK(read(ve_hub_fd(hub), &count, sizeof count) < 0 && errno == EAGAIN);
    ve_hub_rest(hub);
    ve_hub_wake(hub);
    CHECK(read(ve_hub_fd(hub), &count, sizeof count) == sizeof count);
    ve_hub_close(hub);
}

static void player_takes_items_until_full_and_gives_each_back(void)
{
    static struct ve_queue events;
    static struct ve_player player;
    static const int16_t pcm[3] = {1, 2, 3};
    int16_t out[7];
    struct ve_event event;
    CHECK(ve_player_open(&player, 8000, &(struct ve_player_settings){.fade_ms = 20, .duck_ms = 150}, &events) == 0);
    CHECK(ve_player_queue(&player, pcm, 0) == -EINVAL && ve_player_queue(&player, NULL, 3) == -EINVAL);
    for (uint32_t i = 1; i <= VE_PLAYER_ITEMS; i++)
        CHECK(ve_player_queue(&player, pcm, 3) == (int64_t)i);
    CHECK(ve_player_queue(&player, pcm, 3) == -ENOBUFS);
    int sum = 0;
    while (ve_player_render(&player, out, 7, 5))
        for (int i = 0; i < 7; i++)
            sum += out[i];
    CHECK(sum == 6 * (int)VE_PLAYER_ITEMS && ve_player_done(&player) == VE_PLAYER_ITEMS);
    for (uint32_t i = 1; i <= VE_PLAYER_ITEMS; i++)
        CHECK(ve_queue_pop(&events, &event) && event.item == i && event.flag && event.position == 3 && event.at_ns == 5);
}

int main(void)
{
    ring_keeps_the_newest_and_says_what_is_gone();
    resampler_saturates_and_keeps_the_samples_it_was_given();
    activity_starts_with_the_first_voiced_block_and_ends_with_the_last();
    queue_drops_the_new_and_counts_when_full();
    hub_is_readable_once_for_many_wakes();
    player_takes_items_until_full_and_gives_each_back();
    return 0;
}
