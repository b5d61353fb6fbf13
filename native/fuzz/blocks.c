/** @file blocks.c  Blocks by themselves under any settings and any sound: whole or chopped, they find the same. */
#include <stdbool.h>
#include <string.h>

#include "bytes.h"
#include "check.h"
#include "ve_dc.h"
#include "ve_dtmf.h"
#include "ve_echo.h"
#include "ve_gain.h"
#include "ve_level.h"
#include "ve_resample.h"
#include "ve_tones.h"

#define LONGEST 24000
#define MOST    2048

static int16_t heard[LONGEST], whole[2 * LONGEST], chopped[2 * LONGEST];

/* One input: which rate, how the sound is chopped, and what is left of the bytes. */
struct input {
    struct bytes bytes;
    uint32_t rate;
    size_t pieces[4], turn;
    size_t count; /* samples heard */
};

static void hear(struct input *input)
{
    while (input->bytes.left > 0 && input->count < LONGEST)
        input->count += sound(&input->bytes, heard + input->count,
                              LONGEST - input->count < 8000 ? LONGEST - input->count : 8000, input->rate);
}

/* How long the piece that begins at `at` is. */
static size_t piece(struct input *input, size_t at)
{
    const size_t wanted = input->pieces[input->turn++ % 4], left = input->count - at;
    return wanted < left ? wanted : left;
}

static void fuzz_dtmf(struct input *input)
{
    static struct ve_dtmf once, often;
    static struct ve_key_change all[MOST], parts[MOST];
    const struct ve_dtmf_settings settings = {.minimum_dbov = amount(&input->bytes, -60, 0),
                                              .twist_db = amount(&input->bytes, 0, 12),
                                              .reverse_twist_db = amount(&input->bytes, 0, 12)};
    if (ve_dtmf_open(&once, input->rate, &settings) || ve_dtmf_open(&often, input->rate, &settings))
        return;
    hear(input);
    const size_t found = ve_dtmf_put(&once, heard, input->count, all, MOST);
    size_t together = 0;
    for (size_t at = 0, size; at < input->count; at += size) {
        size = piece(input, at);
        together += ve_dtmf_put(&often, heard + at, size, parts + together, MOST - together);
    }
    CHECK(found == together && found <= 2 + input->count / (input->rate / 50));
    for (size_t i = 0; i < found; i++) {
        CHECK(all[i].key == parts[i].key && all[i].down == parts[i].down && all[i].began == parts[i].began);
        CHECK(all[i].down == (i % 2 == 0) && all[i].began <= input->count && strchr("0123456789*#ABCD", all[i].key));
        CHECK(all[i].down || (all[i].ended >= all[i].began && all[i].ended <= input->count));
    }
}

static struct ve_tone_segment any_segment(struct bytes *bytes)
{
    return (struct ve_tone_segment){.kind = choice(bytes, 5),
                                    .hz = {amount(bytes, 250, 1500), amount(bytes, 400, 2150)},
                                    .tolerance_hz = amount(bytes, 0, 50),
                                    .min_ms = choice(bytes, 1000),
                                    .max_ms = choice(bytes, 8000)};
}

static void fuzz_tones(struct input *input)
{
    static struct ve_tones once, often;
    static struct ve_tone_change all[MOST], parts[MOST];
    struct ve_tone tones[2] = {{0}};
    struct ve_tone_plan *plan = NULL;
    for (size_t i = 0; i < 2; i++) {
        tones[i].count = choice(&input->bytes, 10);
        tones[i].needed = choice(&input->bytes, 10);
        tones[i].sure_ms = choice(&input->bytes, 2000);
        for (size_t k = 0; k < 8; k++)
            tones[i].segments[k] = any_segment(&input->bytes);
    }
    if (ve_tone_plan_open(&plan, tones, choice(&input->bytes, 4) % 3))
        return;
    if (!ve_tones_open(&once, input->rate, plan) && !ve_tones_open(&often, input->rate, plan)) {
        hear(input);
        const size_t found = ve_tones_put(&once, heard, input->count, all, MOST);
        size_t together = 0;
        for (size_t at = 0, size; at < input->count; at += size) {
            size = piece(input, at);
            together += ve_tones_put(&often, heard + at, size, parts + together, MOST - together);
        }
        CHECK(found == together);
        for (size_t i = 0; i < found; i++) {
            CHECK(all[i].tone == parts[i].tone && all[i].tone < 2 && all[i].begun == parts[i].begun);
            CHECK(all[i].began_at == parts[i].began_at && all[i].ended_at == parts[i].ended_at);
            CHECK(all[i].began_at <= input->count && all[i].ended_at <= input->count);
        }
    }
    ve_tone_plan_free(plan);
}

static void fuzz_level(struct input *input)
{
    struct ve_level once, often;
    static struct ve_level_report all[MOST], parts[MOST];
    const struct ve_level_settings settings = {.report_ms = choice(&input->bytes, 65536)};
    if (ve_level_open(&once, input->rate, &settings) || ve_level_open(&often, input->rate, &settings))
        return;
    hear(input);
    const size_t found = ve_level_put(&once, heard, input->count, all, MOST);
    size_t together = 0;
    for (size_t at = 0, size; at < input->count; at += size) {
        size = piece(input, at);
        together += ve_level_put(&often, heard + at, size, parts + together, MOST - together);
    }
    CHECK(found == together && memcmp(all, parts, found * sizeof *all) == 0);
    for (size_t i = 0; i < found; i++)
        CHECK(all[i].level_dbov >= -100 && all[i].level_dbov <= 0.01F && all[i].peak >= 0 && all[i].peak <= 32768);
}

static void fuzz_gain(struct input *input)
{
    struct ve_gain once, often;
    const bool voiced = choice(&input->bytes, 2);
    const struct ve_gain_settings settings = {.target_dbov = amount(&input->bytes, -40, -10),
                                              .most_db = amount(&input->bytes, 0, 30),
                                              .rise_db_per_s = amount(&input->bytes, 0.1F, 100),
                                              .fall_db_per_s = amount(&input->bytes, 0.1F, 100)};
    if (ve_gain_open(&once, input->rate, &settings) || ve_gain_open(&often, input->rate, &settings))
        return;
    hear(input);
    ve_gain_put(&once, heard, whole, input->count, voiced);
    for (size_t at = 0, size; at < input->count; at += size) {
        size = piece(input, at);
        ve_gain_put(&often, heard + at, chopped + at, size, voiced);
    }
    CHECK(memcmp(whole, chopped, input->count * sizeof *whole) == 0);
    CHECK(ve_gain_db(&once) == ve_gain_db(&often) && ve_gain_db(&once) <= settings.most_db + 0.01);
}

static void fuzz_dc(struct input *input)
{
    struct ve_dc once, often;
    ve_dc_open(&once);
    ve_dc_open(&often);
    hear(input);
    ve_dc_put(&once, heard, whole, input->count);
    for (size_t at = 0, size; at < input->count; at += size) {
        size = piece(input, at);
        ve_dc_put(&often, heard + at, chopped + at, size);
    }
    CHECK(memcmp(whole, chopped, input->count * sizeof *whole) == 0);
}

/* What comes back is what was sent, later and softer, and what else is heard. */
static void fuzz_echo(struct input *input)
{
    static struct ve_echo once, often;
    static int16_t sent[LONGEST];
    struct ve_echo_report report;
    const size_t delay = choice(&input->bytes, 3000);
    const int loss = 1 + (int)choice(&input->bytes, 50);
    const struct ve_echo_settings settings = {.tail_ms = choice(&input->bytes, 70),
                                              .longest_delay_ms = choice(&input->bytes, 400),
                                              .suppression = choice(&input->bytes, 2)};
    if (ve_echo_open(&once, input->rate, &settings) || ve_echo_open(&often, input->rate, &settings))
        return;
    hear(input);
    memcpy(sent, heard, sizeof sent);
    for (size_t i = input->count; i-- > delay;)
        heard[i] = clipped((float)(heard[i] / 8 + sent[i - delay] / loss));
    ve_echo_put(&once, sent, heard, whole, whole, input->count);
    for (size_t at = 0, size; at < input->count; at += size) {
        size = piece(input, at);
        ve_echo_put(&often, sent + at, heard + at, chopped + at, chopped + at, size);
    }
    CHECK(memcmp(whole, chopped, input->count * sizeof *whole) == 0);
    ve_echo_report(&once, &report);
    CHECK(report.delay_ms >= -1 && report.delay_ms <= (int32_t)settings.longest_delay_ms + 64);
}

static void fuzz_resampling(struct input *input)
{
    struct ve_resampler up_once, up_often;
    struct ve_decimator down_once, down_often;
    size_t raised = 0, lowered = 0;
    ve_resampler_open(&up_once);
    ve_resampler_open(&up_often);
    ve_decimator_open(&down_once);
    ve_decimator_open(&down_often);
    hear(input);
    const size_t up = ve_resample(&up_once, heard, input->count, whole);
    for (size_t at = 0, size; at < input->count; at += size) {
        size = piece(input, at);
        raised += ve_resample(&up_often, heard + at, size, chopped + raised);
    }
    CHECK(up == raised && up <= 2 * input->count && memcmp(whole, chopped, up * sizeof *whole) == 0);
    const size_t down = ve_decimate(&down_once, heard, input->count, whole);
    for (size_t at = 0, size; at < input->count; at += size) {
        size = piece(input, at);
        lowered += ve_decimate(&down_often, heard + at, size, chopped + lowered);
    }
    CHECK(down == lowered && memcmp(whole, chopped, down * sizeof *whole) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const blocks[])(struct input *) = {fuzz_dtmf, fuzz_tones, fuzz_level,
                                                     fuzz_gain, fuzz_dc,    fuzz_echo, fuzz_resampling};
    struct input input = {.bytes = {data, size}};
    const uint32_t block = choice(&input.bytes, sizeof blocks / sizeof *blocks);
    input.rate = choice(&input.bytes, 2) ? 16000 : 8000;
    for (int i = 0; i < 4; i++)
        input.pieces[i] = 1 + choice(&input.bytes, 1000);
    blocks[block](&input);
    return 0;
}
