/** @file memory.c  Every allocation fails once: what was opened so far is given back, and the error says so. */
#include <errno.h>

#include "check.h"
#include "usual.h"
#include "ve_channel.h"

static const struct ve_echo_settings echo = {.tail_ms = 32, .longest_delay_ms = 300, .suppression = true};
static const struct ve_level_settings level = {.report_ms = 100};
static const struct ve_dtmf_settings keys = {.minimum_dbov = -36, .twist_db = 8, .reverse_twist_db = 4};
static const struct ve_gain_settings gain = {
    .target_dbov = -22, .most_db = 18, .rise_db_per_s = 6, .fall_db_per_s = 20};
static const struct ve_tone busy = {
    .segments = {{.kind = VE_PAIR, .hz = {480, 620}, .tolerance_hz = 12, .min_ms = 400, .max_ms = 600},
                 {.kind = VE_SILENCE, .min_ms = 400, .max_ms = 600}},
    .count = 2,
    .needed = 4,
    .sure_ms = 60};

static void a_hub_needs_memory(void)
{
    allocations = 0;
    failing_allocation = 1;
    CHECK(ve_hub_open() == NULL);
    failing_allocation = 0;
    ve_hub_close(NULL);
}

static void a_tone_plan_needs_memory(void)
{
    struct ve_tone_plan *plan = NULL;
    allocations = 0;
    failing_allocation = 1;
    CHECK(ve_tone_plan_open(&plan, &busy, 1) == -ENOMEM && !plan);
    failing_allocation = 0;
}

static void a_channel_opens_whole_or_not_at_all(void)
{
    struct ve_hub *hub = ve_hub_open();
    struct ve_channel *channel = NULL;
    struct ve_tone_plan *plan = NULL;
    unsigned long nth = 0;
    int status;
    CHECK(ve_tone_plan_open(&plan, &busy, 1) == 0);
    struct ve_settings everything = usual;
    everything.rate = 16000;
    everything.remove_offset = true;
    everything.echo = &echo;
    everything.level = &level;
    everything.keys = &keys;
    everything.tones = plan;
    everything.gain = &gain;
    do {
        allocations = 0;
        failing_allocation = ++nth;
        status = ve_channel_open(&channel, &everything, &loud_api, hub);
        CHECK(status == 0 || (status == -ENOMEM && channel == NULL));
    } while (status != 0 && nth < 100);
    CHECK(status == 0 && nth == allocations + 1 && nth > 3); /* structure, ring, detector at least */

    int16_t frame[320] = {0};
    failing_allocation = allocations + 1; /* from now on nothing may be allocated any more */
    const unsigned long opened = allocations;
    for (int i = 0; i < 200; i++) {
        for (int k = 0; k < 320; k++)
            frame[k] = (int16_t)(i / 50 % 2 ? (k * 331 + i * 77) % 20000 : 0);
        ve_channel_put(channel, frame, 320);
        ve_channel_get(channel, frame, 320);
        if (i == 20)
            CHECK(ve_player_queue(&channel->player, frame, 320) > 0);
    }
    CHECK(allocations == opened);
    failing_allocation = 0;
    CHECK(ve_channel_free(channel) == 0);
    ve_tone_plan_free(plan);
    ve_hub_close(hub);
}

int main(void)
{
    a_hub_needs_memory();
    a_tone_plan_needs_memory();
    a_channel_opens_whole_or_not_at_all();
    return 0;
}
