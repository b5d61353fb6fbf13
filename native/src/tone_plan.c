#include "ve_tone_plan.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* sin²(π (j + ½) / 8): the Hann window in the middle of each slice */
static const float hann[VE_TONE_SLICES] = {0.0380602F, 0.3086583F, 0.6913417F, 0.9619398F,
                                           0.9619398F, 0.6913417F, 0.3086583F, 0.0380602F};

static bool audible(float hz)
{
    return hz >= 250.0F && hz <= 2150.0F;
}

static bool is_sane(const struct ve_tone_segment *segment)
{
    if (segment->min_ms > segment->max_ms || segment->kind > VE_STEADY)
        return false;
    if (segment->kind == VE_SILENCE)
        return true;
    if (!audible(segment->hz[0]) || !(segment->tolerance_hz >= 0.0F && segment->tolerance_hz <= 100.0F))
        return false;
    return segment->kind == VE_SINE || (audible(segment->hz[1]) && segment->hz[0] < segment->hz[1]);
}

/** The filter of one of a pair's frequencies. */
static int find_lane(struct ve_tone_plan *plan, float hz, uint32_t *lane)
{
    for (*lane = VE_TONE_SINES; *lane < plan->lane_count; (*lane)++)
        if (plan->lanes_hz[*lane] == hz)
            return 0;
    if (plan->lane_count == VE_GOERTZEL_LANES)
        return -EINVAL;
    plan->lanes_hz[plan->lane_count++] = hz;
    return 0;
}

static bool is_same(const struct ve_sound *sound, const struct ve_tone_segment *segment)
{
    return sound->kind == segment->kind && sound->hz[0] == segment->hz[0] && sound->hz[1] == segment->hz[1] &&
           sound->tolerance_hz == segment->tolerance_hz;
}

/** The number of a segment's sound, which tones may have in common. */
static int find_sound(struct ve_tone_plan *plan, const struct ve_tone_segment *segment, uint32_t *number)
{
    *number = VE_NOTHING;
    if (segment->kind == VE_SILENCE)
        return 0;
    for (*number = VE_FIRST_SOUND; *number < VE_FIRST_SOUND + plan->sound_count; (*number)++)
        if (is_same(&plan->sounds[*number - VE_FIRST_SOUND], segment))
            return 0;
    struct ve_sound *sound = &plan->sounds[plan->sound_count++];
    *sound = (struct ve_sound){
        .kind = segment->kind, .hz = {segment->hz[0], segment->hz[1]}, .tolerance_hz = segment->tolerance_hz};
    if (sound->kind != VE_PAIR)
        return 0;
    const int status = find_lane(plan, sound->hz[0], &sound->lanes[0]);
    return status ? status : find_lane(plan, sound->hz[1], &sound->lanes[1]);
}

static int add(struct ve_tone_plan *plan, const struct ve_tone *tone)
{
    if (tone->count == 0 || tone->count > VE_TONE_SEGMENTS || tone->needed == 0)
        return -EINVAL;
    if (tone->segments[0].kind == VE_SILENCE)
        return -EINVAL;
    const uint32_t number = plan->tone_count++;
    plan->tones[number] = *tone;
    for (uint32_t i = 0; i < tone->count; i++)
        if (!is_sane(&tone->segments[i]) || find_sound(plan, &tone->segments[i], &plan->heard_in[number][i]) != 0)
            return -EINVAL;
    return 0;
}

static void tune(struct ve_tone_plan *plan, uint32_t lane)
{
    const double angle = 2e-3 * M_PI * (double)plan->lanes_hz[lane] * VE_TONE_SLICE_MS;
    for (uint32_t slice = 0; slice < VE_TONE_SLICES; slice++) {
        plan->weight_real[slice][lane] = hann[slice] * (float)cos(angle * slice);
        plan->weight_imaginary[slice][lane] = -hann[slice] * (float)sin(angle * slice);
    }
    plan->turn_real[lane] = (float)cos(angle * 2 * VE_TONE_HOP_SLICES);
    plan->turn_imaginary[lane] = -(float)sin(angle * 2 * VE_TONE_HOP_SLICES);
}

int ve_tone_plan_open(struct ve_tone_plan **plan, const struct ve_tone *tones, size_t count)
{
    *plan = NULL;
    if (count == 0 || count > VE_TONES)
        return -EINVAL;
    struct ve_tone_plan *made = calloc(1, sizeof *made);
    if (!made)
        return -ENOMEM;
    for (; made->lane_count < VE_TONE_SINES; made->lane_count++)
        made->lanes_hz[made->lane_count] = VE_TONE_LOWEST_SINE_HZ + 200.0F * (float)made->lane_count;
    for (size_t i = 0; i < count; i++)
        if (add(made, &tones[i]) != 0) {
            ve_tone_plan_free(made);
            return -EINVAL;
        }
    for (uint32_t lane = VE_TONE_SINES; lane < made->lane_count; lane++)
        tune(made, lane);
    *plan = made;
    return 0;
}

void ve_tone_plan_free(struct ve_tone_plan *plan)
{
    free(plan);
}
