/** @file resample.c  The resampler: any chopping, full scale, and a tone there and back. */
#include <string.h>

#include "check.h"
#include "ve_resample.h"

#define LENGTH 1001

static int16_t in[LENGTH], whole[2 * LENGTH], chopped[2 * LENGTH];

static void make_full_scale_noise(void)
{
    uint32_t state = 1;
    for (size_t i = 0; i < LENGTH; i++) {
        state = state * 1664525 + 1013904223;
        in[i] = (int16_t)(state >> 16);
    }
}

static void upwards_keeps_what_it_was_given_however_it_is_chopped(void)
{
    struct ve_resampler resampler;
    ve_resampler_open(&resampler);
    const size_t made = ve_resample(&resampler, in, LENGTH, whole);
    CHECK(made == 2 * (LENGTH - VE_RESAMPLE_TAPS / 2));
    for (size_t i = 0; i < made / 2; i++)
        CHECK(whole[2 * i] == in[i]);
    for (size_t step = 1; step < 400; step += 13) {
        size_t again = 0;
        ve_resampler_open(&resampler);
        for (size_t at = 0; at < LENGTH; at += step)
            again += ve_resample(&resampler, in + at, at + step < LENGTH ? step : LENGTH - at, chopped + again);
        CHECK(again == made && memcmp(whole, chopped, made * sizeof *whole) == 0);
    }
    CHECK(ve_resample(&resampler, in, 0, chopped) == 0);
}

static void downwards_gives_half_however_it_is_chopped(void)
{
    struct ve_decimator decimator;
    ve_decimator_open(&decimator);
    const size_t made = ve_decimate(&decimator, in, LENGTH, whole);
    CHECK(made == LENGTH / 2 - VE_RESAMPLE_TAPS / 2 + 1);
    for (size_t step = 1; step < 400; step += 13) {
        size_t again = 0;
        ve_decimator_open(&decimator);
        for (size_t at = 0; at < LENGTH; at += step)
            again += ve_decimate(&decimator, in + at, at + step < LENGTH ? step : LENGTH - at, chopped + again);
        CHECK(again == made && memcmp(whole, chopped, made * sizeof *whole) == 0);
    }
    CHECK(ve_decimate(&decimator, in, 0, chopped) == 0);
}

static void full_scale_neither_wraps_nor_shrinks(void)
{
    struct ve_resampler resampler;
    struct ve_decimator decimator;
    for (size_t i = 0; i < LENGTH; i++)
        in[i] = INT16_MIN;
    ve_resampler_open(&resampler);
    ve_decimator_open(&decimator);
    const size_t wide = ve_resample(&resampler, in, LENGTH, whole);
    const size_t narrow = ve_decimate(&decimator, in, LENGTH, chopped);
    for (size_t i = 2 * VE_RESAMPLE_TAPS; i < wide; i++)
        CHECK(whole[i] == INT16_MIN);
    for (size_t i = VE_RESAMPLE_TAPS; i < narrow; i++)
        CHECK(chopped[i] == INT16_MIN);
}

int main(void)
{
    make_full_scale_noise();
    upwards_keeps_what_it_was_given_however_it_is_chopped();
    downwards_gives_half_however_it_is_chopped();
    full_scale_neither_wraps_nor_shrinks();
    return 0;
}
