/** @file level.c  Meter, DC removal and automatic gain: any chopping, the ends of the scale, settings. */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "ve_dc.h"
#include "ve_gain.h"
#include "ve_level.h"

#define LENGTH 4000

static int16_t in[LENGTH], whole[LENGTH], chopped[LENGTH];

/* Noise at full scale, with plateaus at the ends of the scale. */
static void make_noise(void)
{
    uint32_t state = 1;
    for (size_t i = 0; i < LENGTH; i++) {
        state = state * 1664525 + 1013904223;
        in[i] = i % 100 < 90 ? (int16_t)(state >> 16) : i % 200 < 100 ? INT16_MIN : INT16_MAX;
    }
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void a_meter_says_the_same_however_it_is_fed(void)
{
    const struct ve_level_settings settings = {.report_ms = 100};
    struct ve_level_report once[5], often[5];
    struct ve_level level;
    CHECK(ve_level_open(&level, 44100, &settings) == -EINVAL);
    CHECK(ve_level_open(&level, 8000, &(struct ve_level_settings){.report_ms = 10}) == -EINVAL);
    CHECK(ve_level_open(&level, 8000, &settings) == 0);
    CHECK(ve_level_put(&level, in, LENGTH, once, 5) == 5);
    CHECK(once[0].peak == 32768 && once[0].clipped >= 70 && once[0].level_dbov > -6);
    for (size_t step = 1; step < 900; step += 7) {
        size_t made = 0;
        CHECK(ve_level_open(&level, 8000, &settings) == 0);
        for (size_t at = 0; at < LENGTH; at += step)
            made += ve_level_put(&level, in + at, least(step, LENGTH - at), often + made, 5 - made);
        CHECK(made == 5 && memcmp(once, often, sizeof once) == 0);
    }
}

static void a_minute_at_the_end_of_the_scale_overflows_nothing(void)
{
    static int16_t minute[60 * 16000];
    struct ve_level level;
    struct ve_level_report report;
    for (size_t i = 0; i < sizeof minute / sizeof *minute; i++)
        minute[i] = INT16_MIN;
    CHECK(ve_level_open(&level, 16000, &(struct ve_level_settings){.report_ms = 60000}) == 0);
    CHECK(ve_level_put(&level, minute, sizeof minute / sizeof *minute, &report, 1) == 1);
    CHECK(report.offset == -32768 && report.peak == 32768 && report.level_dbov == -100);
}

static void energy_and_level_are_each_other_s_inverse(void)
{
    int16_t square[160];
    for (int i = 0; i < 160; i++)
        square[i] = i % 2 ? INT16_MIN : INT16_MAX;
    const double dbov = ve_dbov((double)ve_energy(square, 160), 160);
    CHECK(dbov > -0.001 && dbov <= 0);
    CHECK(ve_dbov(0, 160) == -100);
    for (int level = -90; level <= 0; level += 10) {
        const double again = ve_dbov((double)ve_energy_at(level, 160), 160);
        CHECK(again > level - 0.1 && again < level + 0.1);
    }
}

static void an_offset_goes_in_place_and_however_it_is_fed(void)
{
    struct ve_dc dc;
    ve_dc_open(&dc);
    ve_dc_put(&dc, in, whole, LENGTH);
    for (size_t step = 1; step < 900; step += 7) {
        memcpy(chopped, in, sizeof in);
        ve_dc_open(&dc);
        for (size_t at = 0; at < LENGTH; at += step)
            ve_dc_put(&dc, chopped + at, chopped + at, least(step, LENGTH - at));
        CHECK(memcmp(whole, chopped, sizeof whole) == 0);
    }
    for (int sign = -1; sign <= 1; sign += 2) {
        for (size_t i = 0; i < LENGTH; i++)
            chopped[i] = sign < 0 ? INT16_MIN : INT16_MAX;
        ve_dc_open(&dc);
        ve_dc_put(&dc, chopped, chopped, LENGTH);
        CHECK(chopped[LENGTH - 1] == 0);
    }
}

static void gain_stays_within_the_scale_however_it_is_fed(void)
{
    const struct ve_gain_settings settings = {.target_dbov = -10, .most_db = 30, .rise_db_per_s = 100, .fall_db_per_s = 100};
    struct ve_gain gain;
    int16_t quiet[LENGTH];
    CHECK(ve_gain_open(&gain, 44100, &settings) == -EINVAL);
    CHECK(ve_gain_open(&gain, 8000, &(struct ve_gain_settings){.target_dbov = -22, .most_db = 18}) == -EINVAL);
    for (size_t i = 0; i < LENGTH; i++)
        quiet[i] = in[i] / 256;
    for (size_t step = 1; step < 900; step += 7) {
        int16_t *const out = step == 1 ? whole : chopped;
        CHECK(ve_gain_open(&gain, 8000, &settings) == 0);
        for (size_t at = 0; at < LENGTH; at += step)
            ve_gain_put(&gain, quiet + at, out + at, least(step, LENGTH - at), true);
        CHECK(ve_gain_db(&gain) > 29);
        for (size_t at = 0; at < LENGTH; at += step)
            ve_gain_put(&gain, in + at, out + at, least(step, LENGTH - at), true);
        CHECK(ve_gain_db(&gain) < 1);
        CHECK(memcmp(whole, out, sizeof whole) == 0);
    }
    for (size_t i = 0; i < LENGTH; i++)
        CHECK((whole[i] >= 0) == (in[i] >= 0) && abs(whole[i]) >= abs(in[i]));
}

int main(void)
{
    make_noise();
    a_meter_says_the_same_however_it_is_fed();
    a_minute_at_the_end_of_the_scale_overflows_nothing();
    energy_and_level_are_each_other_s_inverse();
    an_offset_goes_in_place_and_however_it_is_fed();
    gain_stays_within_the_scale_however_it_is_fed();
    return 0;
}
