/** @file leg.c  A whole channel under random frames and random commands: for the sanitizers to look at. */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "dice.h"
#include "usual.h"
#include "ve_channel.h"

static void bad_settings_are_refused(struct ve_hub *hub)
{
    struct ve_channel *channel = NULL;
    struct ve_settings wrong[9];
    for (int i = 0; i < 9; i++)
        wrong[i] = usual;
    wrong[0].rate = 44100;
    wrong[1].frame_ms = 9;
    wrong[2].frame_ms = 61;
    wrong[3].vad_mode = 4;
    wrong[4].threshold_dbov = 1;
    wrong[5].onset_ms = 0;
    wrong[6].window_ms = 660;
    wrong[7].offset_ms = 0;
    wrong[8].onset_ms = UINT32_MAX;
    for (int i = 0; i < 9; i++)
        CHECK(ve_channel_open(&channel, &wrong[i], &loud_api, hub) == -EINVAL && !channel);
}

static void anything_may_happen_in_any_order(struct ve_hub *hub, uint32_t rate)
{
    static int16_t pcm[4000], frame[2000], out[4000];
    struct ve_settings settings = usual;
    struct ve_channel *channel = NULL;
    struct ve_event event;
    uint64_t position = 0, onsets = 0, offsets = 0, played = 0, queued = 0;
    settings.rate = rate;
    for (int i = 0; i < 4000; i++)
        pcm[i] = (int16_t)(dice(65536) - 32768);
    CHECK(ve_channel_open(&channel, &settings, &loud_api, hub) == 0);
    for (int round = 0; round < 20000; round++) {
        const size_t count = dice(2000);
        const bool loud = round / 200 % 2;
        for (size_t i = 0; i < count; i++)
            frame[i] = (int16_t)(loud ? pcm[i] : 0);
        switch (dice(8)) {
        case 0: queued += ve_player_queue(&channel->player, pcm, 1 + dice(3999)) > 0; break;
        case 1: ve_player_pause(&channel->player); break;
        case 2: ve_player_resume(&channel->player); break;
        case 3: if (!dice(4)) ve_player_stop(&channel->player); break;
        case 4: ve_player_arm(&channel->player, dice(2)); break;
        case 5: position += ve_channel_read(channel, &position, out, dice(4000)); break;
        case 6: ve_channel_put(channel, NULL, count); break;
        default: ve_channel_put(channel, frame, count); break;
        }
        ve_channel_get(channel, out, dice(2000));
        while (ve_channel_next_event(channel, &event)) {
            onsets += event.kind == VE_ONSET;
            offsets += event.kind == VE_OFFSET;
            played += event.kind == VE_PLAYED;
            CHECK(event.kind == VE_PLAYED || event.position <= ve_channel_head(channel));
        }
    }
    CHECK(onsets > 10 && (onsets == offsets || onsets == offsets + 1));
    CHECK(played == ve_player_done(&channel->player) && queued == ve_player_queued(&channel->player));
    CHECK(ve_channel_free(channel) == 0);
}

int main(void)
{
    struct ve_hub *hub = ve_hub_open();
    CHECK(hub);
    bad_settings_are_refused(hub);
    anything_may_happen_in_any_order(hub, 8000);
    anything_may_happen_in_any_order(hub, 16000);
    ve_hub_close(hub);
    return 0;
}
