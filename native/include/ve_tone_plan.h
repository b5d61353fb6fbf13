/**
 * @file ve_tone_plan.h  The tones that can be told apart, as data: the plan of a country (ITU-T E.180) and the tones
 * that are the same everywhere, compiled once and shared by all channels.
 *
 * A tone is a sequence of sounds with their durations that repeats:
 *
 *      440+480 Hz  ‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾|________________________________|‾‾‾‾‾‾‾‾‾ …     ringback: two segments
 *                    800 … 1200 ms          1600 … 2400 ms
 */
#ifndef VE_TONE_PLAN_H
#define VE_TONE_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "ve_goertzel.h"

#define VE_TONES          16u
#define VE_TONE_SEGMENTS  8u
#define VE_TONE_SINES     10u /* filters 200 Hz apart to find any sine with, from … */
#define VE_TONE_LOWEST_SINE_HZ 375.0F /* … which sees the least of the negative image of 400 to 450 Hz */
#define VE_TONE_SLICES    8u  /* phasors of 5 ms each that a decision is made from */
#define VE_TONE_SLICE_MS  5u
#define VE_TONE_HOP_SLICES 2u /* from one decision to the next */
#define VE_TONE_HOP_MS (VE_TONE_SLICE_MS * VE_TONE_HOP_SLICES)

/* cffi: begin */
enum ve_sound_kind {
    VE_SILENCE = 0,
    VE_SINE = 1,  /* hz[0], give or take tolerance_hz */
    VE_PAIR = 2,  /* hz[0] and hz[1] at once, each give or take tolerance_hz */
    VE_STEADY = 3 /* any one sine from hz[0] to hz[1] that keeps its pitch and its loudness */
};

struct ve_tone_segment {
    uint32_t kind; /* enum ve_sound_kind */
    float hz[2];   /* 250 … 2150, the lower one first */
    float tolerance_hz;
    uint32_t min_ms, max_ms;
};

struct ve_tone {
    struct ve_tone_segment segments[8];
    uint32_t count;   /* of them in use; after the last comes the first again */
    uint32_t needed;  /* segments in a row that make it sure … */
    uint32_t sure_ms; /* … of which the last need only have lasted so long */
};

struct ve_tone_plan;

/** A plan of at most 16 tones in `*plan` and 0, or -EINVAL, -ENOMEM. It must outlive the channels that share it. */
int ve_tone_plan_open(struct ve_tone_plan **plan, const struct ve_tone *tones, size_t count);
void ve_tone_plan_free(struct ve_tone_plan *plan);
/* cffi: end */

/* cffi: tests begin */
/*
 * What is heard is a number: one of these, or VE_FIRST_SOUND and up, the plan's sounds in the order of their first use.
 */
enum { VE_NOTHING, VE_SOMETHING, VE_FIRST_SOUND };
/* cffi: tests end */

struct ve_sound {
    uint32_t kind;
    float hz[2], tolerance_hz;
    uint32_t lanes[2]; /* a pair's filters */
};

struct ve_tone_plan {
    struct ve_tone tones[VE_TONES];
    uint32_t heard_in[VE_TONES][VE_TONE_SEGMENTS]; /* the number of each segment's sound */
    uint32_t tone_count;
    struct ve_sound sounds[VE_TONES * VE_TONE_SEGMENTS];
    uint32_t sound_count;
    float lanes_hz[VE_GOERTZEL_LANES]; /* first filters for any sine, then one for each frequency of a pair */
    uint32_t lane_count;

    /* Weighting a slice by the window and turning its phasor back by what its frequency has turned since the first. */
    float weight_real[VE_TONE_SLICES][VE_GOERTZEL_LANES], weight_imaginary[VE_TONE_SLICES][VE_GOERTZEL_LANES];
    float turn_real[VE_GOERTZEL_LANES], turn_imaginary[VE_GOERTZEL_LANES]; /* the same for two hops */
};

#endif
