/** @file dtmf.c  Keys in band: pieces of any length, too little room, and samples at full scale. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "check.h"
#include "ve_dtmf.h"

#define RATE  8000
#define PRESS (RATE / 10)

static const struct ve_dtmf_settings usual = {.minimum_dbov = -45, .twist_db = 8, .reverse_twist_db = 8};

/* 100 ms of 5, 100 ms of 0, each followed by 100 ms of nothing. */
static void dial(int16_t samples[4 * PRESS])
{
    memset(samples, 0, 4 * PRESS * sizeof *samples);
    for (int i = 0; i < PRESS; i++) {
        const double t = 6.283185307179586 * i / RATE;
        samples[i] = (int16_t)(8000 * sin(770 * t) + 8000 * sin(1336 * t));
        samples[2 * PRESS + i] = (int16_t)(8000 * sin(941 * t) + 8000 * sin(1336 * t));
    }
}

static void pieces_of_any_length_give_the_same_changes(void)
{
    int16_t samples[4 * PRESS];
    dial(samples);
    for (size_t piece = 1; piece <= 4 * PRESS; piece += piece < 200 ? 1 : 97) {
        struct ve_dtmf dtmf;
        struct ve_key_change changes[8];
        size_t count = 0;
        CHECK(ve_dtmf_open(&dtmf, RATE, &usual) == 0);
        for (size_t at = 0; at < 4 * PRESS; at += piece) {
            const size_t rest = 4 * PRESS - at;
            count += ve_dtmf_put(&dtmf, samples + at, rest < piece ? rest : piece, changes + count, 8 - count);
        }
        CHECK(count == 4);
        CHECK(changes[0].key == '5' && changes[0].down && changes[0].began < 20);
        CHECK(changes[1].key == '5' && !changes[1].down && changes[1].ended > PRESS - 20 && changes[1].ended < PRESS + 20);
        CHECK(changes[2].key == '0' && changes[2].down && changes[3].key == '0' && !changes[3].down);
        CHECK(!ve_dtmf_down(&dtmf));
    }
}

static void what_finds_no_room_is_lost_and_nothing_else(void)
{
    int16_t samples[4 * PRESS];
    struct ve_dtmf dtmf;
    struct ve_key_change changes[3];
    dial(samples);
    changes[2].key = 'x';
    CHECK(ve_dtmf_open(&dtmf, RATE, &usual) == 0);
    CHECK(ve_dtmf_put(&dtmf, samples, 4 * PRESS, NULL, 0) == 0);
    CHECK(ve_dtmf_put(&dtmf, samples, 4 * PRESS, changes, 2) == 2);
    CHECK(changes[1].key == '5' && !changes[1].down && changes[2].key == 'x');
    CHECK(ve_dtmf_put(&dtmf, samples, 0, changes, 2) == 0);
}

static void nothing_that_samples_can_be_is_too_much(void)
{
    struct ve_dtmf dtmf;
    struct ve_key_change changes[2];
    int16_t samples[1600];
    for (uint32_t rate = 8000; rate <= 16000; rate *= 2)
        for (int period = 1; period < 40; period++) {
            for (int i = 0; i < 1600; i++)
                samples[i] = i % (2 * period) < period ? INT16_MAX : INT16_MIN;
            CHECK(ve_dtmf_open(&dtmf, rate, &usual) == 0);
            CHECK(ve_dtmf_put(&dtmf, samples, 1600, changes, 2) == 0);
        }
}

static void settings_out_of_bounds_are_refused(void)
{
    struct ve_dtmf dtmf;
    struct ve_dtmf_settings settings = usual;
    CHECK(ve_dtmf_open(&dtmf, 44100, &usual) == -EINVAL);
    settings.minimum_dbov = NAN;
    CHECK(ve_dtmf_open(&dtmf, RATE, &settings) == -EINVAL);
    settings = usual;
    settings.twist_db = 12.5F;
    CHECK(ve_dtmf_open(&dtmf, RATE, &settings) == -EINVAL);
}

static void a_bank_reads_the_level_of_each_of_its_frequencies(void)
{
    const float hz[] = {350, 425, 1100, 2100, 3999};
    const float too_high[] = {350, 4000};
    struct ve_goertzel bank;
    float block[400], real[VE_GOERTZEL_LANES], imaginary[VE_GOERTZEL_LANES];
    CHECK(ve_goertzel_open(&bank, RATE, hz, 0) == -EINVAL);
    CHECK(ve_goertzel_open(&bank, RATE, too_high, 2) == -EINVAL);
    CHECK(ve_goertzel_open(&bank, RATE, hz, 5) == 0);
    for (int i = 0; i < 400; i++)
        block[i] = (float)(3276.8 * sin(6.283185307179586 * 1100 * i / RATE + 1));
    ve_goertzel_read(&bank, block, 400, real, imaginary);
    CHECK(fabsf(ve_goertzel_dbov(ve_goertzel_power(real[2], imaginary[2], 400)) + 23.01F) < 0.01F);
    CHECK(ve_goertzel_dbov(ve_goertzel_power(real[3], imaginary[3], 400)) < -60);
    CHECK(ve_goertzel_dbov(0) < -126);
}

int main(void)
{
    pieces_of_any_length_give_the_same_changes();
    what_finds_no_room_is_lost_and_nothing_else();
    nothing_that_samples_can_be_is_too_much();
    settings_out_of_bounds_are_refused();
    a_bank_reads_the_level_of_each_of_its_frequencies();
    return 0;
}
