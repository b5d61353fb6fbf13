/** @file tones.c  Call-progress tones in C alone: a plan's bounds, busy in pieces, a beep, and samples of no kind. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "check.h"
#include "ve_tones.h"

static const struct ve_tone plan_tones[] = {
    {.segments = {{.kind = VE_PAIR, .hz = {480, 620}, .tolerance_hz = 12, .min_ms = 380, .max_ms = 620},
                  {.kind = VE_SILENCE, .min_ms = 380, .max_ms = 620}},
     .count = 2,
     .needed = 4,
     .sure_ms = 60},
    {.segments = {{.kind = VE_SINE, .hz = {2100}, .tolerance_hz = 25, .min_ms = 400, .max_ms = UINT32_MAX}},
     .count = 1,
     .needed = 1,
     .sure_ms = 400},
    {.segments = {{.kind = VE_STEADY, .hz = {300, 2000}, .min_ms = 100, .max_ms = 1500},
                  {.kind = VE_SILENCE, .max_ms = UINT32_MAX}},
     .count = 2,
     .needed = 2,
     .sure_ms = 150},
};
enum { BUSY, ANSWER, BEEP, TONES };

static struct ve_tone_plan *opened_plan(void)
{
    struct ve_tone_plan *plan = NULL;
    CHECK(ve_tone_plan_open(&plan, plan_tones, TONES) == 0 && plan);
    return plan;
}

static void add(int16_t *pcm, size_t count, double hz, double peak)
{
    for (size_t i = 0; i < count; i++)
        pcm[i] = (int16_t)(pcm[i] + peak * sin(2 * M_PI * hz * (double)i / 8000));
}

static void a_plan_is_bounded(void)
{
    struct ve_tone many[VE_TONES + 1];
    struct ve_tone_plan *plan = NULL;
    for (size_t i = 0; i <= VE_TONES; i++)
        many[i] = plan_tones[ANSWER];
    CHECK(ve_tone_plan_open(&plan, many, 0) == -EINVAL && !plan);
    CHECK(ve_tone_plan_open(&plan, many, VE_TONES + 1) == -EINVAL && !plan);
    CHECK(ve_tone_plan_open(&plan, many, VE_TONES) == 0 && plan);
    ve_tone_plan_free(plan);
    for (size_t i = 0; i < VE_TONES; i++) { /* each pair wants two filters of its own: three fit */
        many[i] = plan_tones[BUSY];
        many[i].segments[0].hz[0] += 10.0F * (float)i;
        many[i].segments[0].hz[1] += 200.0F + 10.0F * (float)i;
    }
    CHECK(ve_tone_plan_open(&plan, many, 3) == 0 && plan);
    ve_tone_plan_free(plan);
    CHECK(ve_tone_plan_open(&plan, many, 4) == -EINVAL && !plan);
    ve_tone_plan_free(NULL);
}

static size_t hear(const int16_t *pcm, size_t count, size_t piece, struct ve_tone_change *changes, size_t limit)
{
    static struct ve_tones tones;
    struct ve_tone_plan *plan = opened_plan();
    size_t found = 0;
    CHECK(ve_tones_open(&tones, 11025, plan) == -EINVAL);
    CHECK(ve_tones_open(&tones, 8000, plan) == 0);
    for (size_t at = 0; at < count; at += piece)
        found += ve_tones_put(&tones, pcm + at, at + piece < count ? piece : count - at, changes + found, limit - found);
    ve_tone_plan_free(plan);
    return found;
}

static void busy_is_heard_in_pieces_of_any_length(void)
{
    static int16_t pcm[32000];
    static const size_t pieces[] = {1, 7, 80, 160, 333, 32000};
    memset(pcm, 0, sizeof pcm);
    for (size_t burst = 4000; burst < 20000; burst += 8000) {
        add(pcm + burst, 4000, 480, 4000);
        add(pcm + burst, 4000, 620, 4000);
    }
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct ve_tone_change changes[4];
        CHECK(hear(pcm, 32000, pieces[i], changes, 4) == 2);
        CHECK(changes[0].tone == BUSY && changes[0].begun && changes[0].ended_at == 0);
        CHECK(changes[1].tone == BUSY && !changes[1].begun);
        CHECK(changes[0].began_at == 4000 && changes[1].began_at == 4000 && changes[1].ended_at == 16000);
        CHECK(fabsf(changes[1].level_dbov + 18.3F) < 0.5F);
        CHECK(hear(pcm, 32000, pieces[i], changes, 1) == 1 && changes[0].begun);
        CHECK(hear(pcm, 32000, pieces[i], changes, 0) == 0);
    }
}

static void a_beep_is_told_when_it_is_over(void)
{
    static int16_t pcm[16000];
    struct ve_tone_change changes[2];
    memset(pcm, 0, sizeof pcm);
    add(pcm + 4000, 4000, 850, 6000);
    CHECK(hear(pcm, 16000, 160, changes, 2) == 1);
    CHECK(changes[0].tone == BEEP && !changes[0].begun);
    CHECK(changes[0].began_at == 4000 && changes[0].ended_at == 8000);
}

static void an_answering_tone_is_told_as_soon_as_it_is_sure(void)
{
    static int16_t pcm[8000];
    struct ve_tone_change changes[2];
    memset(pcm, 0, sizeof pcm);
    add(pcm, 8000, 2100, 6000);
    CHECK(hear(pcm, 8000, 160, changes, 2) == 1);
    CHECK(changes[0].tone == ANSWER && changes[0].begun);
}

static void anything_may_be_heard(void)
{
    static int16_t pcm[80000];
    struct ve_tone_change changes[64];
    uint32_t state = 12345;
    for (size_t i = 0; i < 80000; i++) {
        state = state * 1664525u + 1013904223u;
        const size_t kind = i / 10000;
        pcm[i] = kind < 4 ? (int16_t)(state >> 16) : kind < 6 ? INT16_MIN : i % 2 ? INT16_MAX : INT16_MIN;
    }
    CHECK(hear(pcm, 80000, 999, changes, 64) == 0);
}

int main(void)
{
    a_plan_is_bounded();
    busy_is_heard_in_pieces_of_any_length();
    a_beep_is_told_when_it_is_over();
    an_answering_tone_is_told_as_soon_as_it_is_sure();
    anything_may_be_heard();
    return 0;
}
