/** @file judge_race.c  A media thread that never waits and a judge that now and then sleeps, on one mailbox: for the thread sanitizer. */
#include <pthread.h>
#include <string.h>

#include "check.h"
#include "ve_judge.h"

#define BLOCKS 20000
#define BLOCK 320

static atomic_bool finished;

struct leg {
    struct ve_ring ring;
    struct ve_judge judge;
};

/* Sounds and pauses of many lengths; whatever is confirmed counts as speech for a while. */
static void *hear(void *argument)
{
    struct leg *leg = argument;
    int16_t samples[BLOCK];
    unsigned speech = 0;
    for (unsigned i = 0; i < BLOCKS; i++) {
        const bool heard = i % 700 < 300 && i % 7 > 0;
        for (int k = 0; k < BLOCK; k++)
            samples[k] = (int16_t)(i + (unsigned)k);
        ve_ring_write(&leg->ring, samples, BLOCK);
        if (ve_judge_block(&leg->judge, heard, speech > 0))
            speech = 20;
        else if (speech > 0)
            speech--;
    }
    atomic_store(&finished, true);
    return NULL;
}

static void the_judge_gets_whole_rows_and_never_goes_back(struct ve_hub *hub)
{
    static struct leg leg;
    const struct ve_judge_settings settings = {.hub = hub, .onset_probability = 0.5, .speech_probability = 0.25};
    struct ve_judge *const judges[] = {&leg.judge};
    struct ve_judge_row row;
    float samples[VE_JUDGE_ROW];
    unsigned long frames = 0, spans = 0;
    uint64_t through = 0;
    pthread_t media;
    CHECK(ve_ring_open(&leg.ring, 1u << 15) == 0);
    CHECK(ve_judge_open(&leg.judge, &settings, &leg.ring) == 0);
    CHECK(pthread_create(&media, NULL, hear, &leg) == 0);
    while (!atomic_load(&finished)) {
        ve_hub_rest(hub);
        while (ve_judges_gather(judges, 1, samples, &row)) {
            const float probability = frames % 3 ? 0.9f : 0.1f;
            for (int i = 0; i < VE_JUDGE_ROW; i++)
                CHECK(samples[i] >= -1.01f && samples[i] <= 1.01f);
            CHECK(row.judge == 0);
            CHECK(row.anew || leg.judge.through > through);
            through = leg.judge.through;
            frames++;
            spans += row.anew && row.keep;
            ve_judges_publish(judges, &row, 1, &probability);
        }
    }
    pthread_join(media, NULL);
    CHECK(frames > 0 && spans > 0);
    ve_ring_close(&leg.ring);
}

int main(void)
{
    struct ve_hub *hub = ve_hub_open();
    CHECK(hub != NULL);
    the_judge_gets_whole_rows_and_never_goes_back(hub);
    ve_hub_close(hub);
    return 0;
}
