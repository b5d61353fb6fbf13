/** @file memory.c  Every allocation fails once: what was opened so far is given back, and the error says so. */
#include <errno.h>

#include "check.h"
#include "ve_channel.h"

static const struct ve_settings everything = {.rate = 16000,
                                              .frame_ms = 20,
                                              .vad_mode = 2,
                                              .threshold_dbov = -50,
                                              .onset_ms = 60,
                                              .window_ms = 100,
                                              .offset_ms = 500,
                                              .pre_roll_ms = 300};

static void a_hub_needs_memory(void)
{
    allocations = 0;
    failing_allocation = 1;
    CHECK(ve_hub_open() == NULL);
    failing_allocation = 0;
    ve_hub_close(NULL);
}

static void a_channel_opens_whole_or_not_at_all(void)
{
    struct ve_hub *hub = ve_hub_open();
    struct ve_channel *channel = NULL;
    unsigned long nth = 0;
    int status;
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
            CHECK(ve_channel_play(channel, frame, 320) > 0);
    }
    CHECK(allocations == opened);
    failing_allocation = 0;
    CHECK(ve_channel_free(channel) == 0);
    ve_hub_close(hub);
}

int main(void)
{
    a_hub_needs_memory();
    a_channel_opens_whole_or_not_at_all();
    return 0;
}
