/** @file echo.c  The echo canceller and its parts at their edges: extremes of samples, settings and frame sizes, for the sanitizers. */
#include "ve_echo.h"

#include "check.h"

#include <math.h>
#include <string.h>

#define RATE 8000u
#define SECONDS 6u
#define COUNT (RATE * SECONDS)
#define DELAY 700u

static struct ve_echo echo;
static int16_t far[2 * COUNT], near[2 * COUNT], out[2 * COUNT];
static uint32_t seed = 1;

static int32_t noise(int32_t amplitude)
{
    seed = seed * 1664525u + 1013904223u;
    return (int32_t)(seed >> 16) % (2 * amplitude + 1) - amplitude;
}

static void open_canceller(uint32_t rate, uint32_t tail_ms, uint32_t longest_delay_ms)
{
    const struct ve_echo_settings settings = {tail_ms, longest_delay_ms, true};
    CHECK(ve_echo_open(&echo, rate, &settings) == 0);
}

static double energy(const int16_t *samples, size_t from, size_t to)
{
    double sum = 0;
    for (size_t i = from; i < to; i++)
        sum += (double)samples[i] * samples[i];
    return sum;
}

static void an_echo_is_cancelled_in_frames_of_any_size(void)
{
    for (size_t i = 0; i < COUNT; i++) {
        far[i] = (int16_t)noise(8000);
        near[i] = (int16_t)(i < DELAY ? 0 : far[i - DELAY] / 3);
    }
    open_canceller(RATE, 32, 300);
    for (size_t at = 0, frame = 1; at < COUNT; at += frame) {
        frame = 1 + (size_t)(noise(300) + 300);
        if (frame > COUNT - at)
            frame = COUNT - at;
        ve_echo_put(&echo, far + at, near + at, near + at, near + at, frame); /* in place */
    }
    CHECK(energy(near, COUNT / 2, COUNT) * 1000 < energy(far, COUNT / 2, COUNT) / 9);
    struct ve_echo_report report;
    ve_echo_report(&echo, &report);
    CHECK(report.delay_ms > 60 && report.delay_ms < 90 && !report.searching);
}

/** Full-scale squares, an echo louder than what was sent, sudden silence: nothing overflows, at any tail and delay. */
static void extremes_overflow_nothing(void)
{
    static const struct {
        uint32_t rate, tail_ms, longest_delay_ms;
    } cases[] = {{8000, 8, 0}, {8000, 32, 300}, {8000, 64, 368}, {16000, 32, 368}, {16000, 8, 0}, {16000, 30, 17}};
    for (size_t which = 0; which < sizeof cases / sizeof *cases; which++) {
        open_canceller(cases[which].rate, cases[which].tail_ms, cases[which].longest_delay_ms);
        for (size_t i = 0; i < 2 * COUNT; i++) {
            const int16_t loud = noise(1) > 0 ? INT16_MAX : INT16_MIN;
            const bool silent = i / COUNT > 0 && i / 4000 % 3 == 0;
            far[i] = (int16_t)(silent ? 0 : i / 3000 % 2 ? loud : (int16_t)noise(300));
            near[i] = (int16_t)(i < 64 ? 0 : i / 5000 % 5 == 0 ? loud : far[i - 64]);
        }
        ve_echo_put(&echo, far, near, out, out, 2 * COUNT);
    }
}

/** A subnormal number costs a processor a hundred times as much as any other. */
static bool is_subnormal(float number)
{
    return fpclassify(number) == FP_SUBNORMAL;
}

/** Weights that all shrink alike, for the far end is constant, end at zero and not on the way there. */
static void nothing_becomes_subnormal_before_a_silent_line(void)
{
    enum { TAPS = 256, HOP = 32 };
    static struct ve_nlms nlms;
    static float constant[TAPS + HOP], heard[HOP], error[HOP];
    struct ve_suppressor suppressor;
    for (size_t i = 0; i < TAPS + HOP; i++)
        constant[i] = 4000;
    for (size_t i = 0; i < HOP; i++)
        heard[i] = 1000;
    ve_nlms_open(&nlms, RATE, TAPS);
    ve_nlms_adapt(&nlms, constant, heard, error, HOP, 1);
    ve_suppressor_open(&suppressor, HOP);
    ve_suppressor_decide(&suppressor, &(struct ve_suppressor_hop){.far = 1e6f, .far_peak = 1e6f, .share = 0.25f, .echo = 1e6f, .trusted = true});
    memset(heard, 0, sizeof heard);
    for (size_t hop = 0; hop < RATE / HOP * 20; hop++) {
        ve_nlms_adapt(&nlms, constant, heard, error, HOP, 1);
        ve_suppressor_decide(&suppressor, &(struct ve_suppressor_hop){.far = 1e6f, .far_peak = 1e6f, .share = 0.25f, .trusted = true});
        for (size_t i = 0; i < TAPS; i++)
            CHECK(!is_subnormal(nlms.weights[i]));
        CHECK(!is_subnormal(nlms.error) && !is_subnormal(nlms.expected) && !is_subnormal(nlms.p));
        CHECK(!is_subnormal(suppressor.echo) && !is_subnormal(suppressor.leak));
    }
}

static void settings_out_of_range_are_refused(void)
{
    static const struct ve_echo_settings wrong[] = {{0, 300, true}, {6, 300, true}, {31, 300, true}, {66, 300, true}, {32, 369, true},
                                                    {(1u << 29) + 32, 300, true}, {32, UINT32_MAX, true}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK(ve_echo_open(&echo, RATE, &wrong[i]) < 0);
    CHECK(ve_echo_open(&echo, 44100, &(struct ve_echo_settings){32, 300, true}) < 0);
    CHECK(ve_echo_open(&echo, 16000, &(struct ve_echo_settings){34, 300, true}) < 0);
    CHECK(ve_echo_open(&echo, UINT32_MAX, &(struct ve_echo_settings){32, 300, true}) < 0);
}

int main(void)
{
    an_echo_is_cancelled_in_frames_of_any_size();
    extremes_overflow_nothing();
    nothing_becomes_subnormal_before_a_silent_line();
    settings_out_of_range_are_refused();
    return 0;
}
