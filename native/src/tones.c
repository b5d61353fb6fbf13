#include "ve_tones.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define LANES  VE_GOERTZEL_LANES
#define SLICES VE_TONE_SLICES
#define FIRST  2u /* the four slices in the middle */
#define LAST   5u
#define MIDDLE 4.0F

#define TURN             6.2831853F
#define NEARLY_HALF_TURN (0.45F * TURN)
#define FULL_SQUARE      (VE_FULL_SCALE * VE_FULL_SCALE)

#define FAINTEST       8e-5F   /* -41 dBov: softer is no tone … */
#define SILENT         2.5e-5F /* … and below -46 dBov is silence */
#define UNFILTERED     1e-5F   /* -50 dBov: below is not worth the work */
#define QUIETER        0.2F    /* -7 dB: noise so far below the sound before it is silence */
#define SINE_SHARE     0.8F    /* of the energy; at a signal-to-noise ratio of 10 dB it is 0.91 */
#define PAIR_SHARE     0.7F    /* 1 % beside its frequencies the window costs it 0.4 dB */
#define TWIST          6.3F    /* 8 dB between the two of a pair */
#define STEADY_HZ      4.0F    /* how far a sine may stray from where it began: voices and strings do */
#define STEADY_POWER   1.6F    /* and a pair or a beep from its loudness: 2 dB */
#define SETTLED_HOPS   5u      /* answers alike that make a change … */
#define SCATTERED_HOPS 10u     /* … or so many that agree in nothing but that the sound is gone */

/* The Hann window's squares at the middle of each slice; they sum to 3, the window to 4. */
static const float hann_squares[SLICES] = {0.0014486F, 0.0952700F, 0.4779533F, 0.9253282F,
                                           0.9253282F, 0.4779533F, 0.0952700F, 0.0014486F};
#define HANN_SUM     4.0F
#define HANN_SQUARES 3.0F

struct told { /* in one call of ve_tones_put */
    struct ve_tone_change *changes;
    size_t count, limit;
};

/* --- from samples to phasors --- */

static float filter(struct ve_tones *tones, const int16_t *samples, struct ve_phasors *slice)
{
    float in[VE_TONE_SLICE_MS * 16], sums[4] = {0.0F};
    for (uint32_t i = 0; i < tones->slice_samples; i++)
        in[i] = (float)samples[i];
    for (uint32_t i = 0; i < tones->slice_samples; i += 4)
        for (uint32_t k = 0; k < 4; k++)
            sums[k] += in[i + k] * in[i + k];
    const float energy = sums[0] + sums[1] + sums[2] + sums[3];
    if (energy < UNFILTERED * FULL_SQUARE * (float)tones->slice_samples) {
        memset(slice, 0, sizeof *slice);
        return energy;
    }
    ve_goertzel_read(&tones->bank, in, tones->slice_samples, slice->real, slice->imaginary);
    return energy;
}

static void take_slices(struct ve_tones *tones)
{
    const size_t kept = SLICES - VE_TONE_HOP_SLICES;
    memmove(tones->slices, tones->slices + VE_TONE_HOP_SLICES, kept * sizeof *tones->slices);
    memmove(tones->energy, tones->energy + VE_TONE_HOP_SLICES, kept * sizeof *tones->energy);
    for (size_t i = 0; i < VE_TONE_HOP_SLICES; i++)
        tones->energy[kept + i] = filter(tones, tones->gathered + i * tones->slice_samples, &tones->slices[kept + i]);
}

/* --- pairs: a window over eight slices --- */

static void window_pairs(struct ve_tones *tones)
{
    const struct ve_tone_plan *plan = tones->plan;
    struct ve_phasors sum = {0};
    for (uint32_t slice = 0; slice < SLICES; slice++) {
        const struct ve_phasors *in = &tones->slices[slice];
        const float *cosine = plan->weight_real[slice], *sine = plan->weight_imaginary[slice];
        for (uint32_t lane = 0; lane < LANES; lane++) {
            sum.real[lane] += in->real[lane] * cosine[lane] - in->imaginary[lane] * sine[lane];
            sum.imaginary[lane] += in->real[lane] * sine[lane] + in->imaginary[lane] * cosine[lane];
        }
    }
    tones->pairs[2] = tones->pairs[1];
    tones->pairs[1] = tones->pairs[0];
    tones->pairs[0] = sum;
}

static float windowed_power(const struct ve_tones *tones)
{
    float sum = 0.0F;
    for (uint32_t slice = 0; slice < SLICES; slice++)
        sum += hann_squares[slice] * tones->energy[slice];
    return sum / (HANN_SQUARES * FULL_SQUARE * (float)tones->slice_samples);
}

/** How far from a filter's frequency its sine is, from what its phasor turned too much within two hops. */
static float offset_hz(const struct ve_tones *tones, uint32_t lane)
{
    const struct ve_phasors *now = &tones->pairs[0], *then = &tones->pairs[2];
    const float real = now->real[lane] * then->real[lane] + now->imaginary[lane] * then->imaginary[lane];
    const float imaginary = now->imaginary[lane] * then->real[lane] - now->real[lane] * then->imaginary[lane];
    const float c = tones->plan->turn_real[lane], s = tones->plan->turn_imaginary[lane];
    return atan2f(real * s + imaginary * c, real * c - imaginary * s) * (500.0F / VE_TONE_HOP_MS / TURN);
}

/** The power of a pair, or 0 if it is none. */
static float pair_power(const struct ve_tones *tones, const struct ve_sound *sound, float all_power)
{
    float power[2];
    for (uint32_t i = 0; i < 2; i++)
        power[i] = ve_goertzel_power(tones->pairs[0].real[sound->lanes[i]], tones->pairs[0].imaginary[sound->lanes[i]],
                                     HANN_SUM * (float)tones->slice_samples);
    if (power[0] + power[1] < PAIR_SHARE * all_power || power[0] > TWIST * power[1] || power[1] > TWIST * power[0] ||
        fabsf(offset_hz(tones, sound->lanes[0])) > sound->tolerance_hz ||
        fabsf(offset_hz(tones, sound->lanes[1])) > sound->tolerance_hz)
        return 0.0F;
    return power[0] + power[1];
}

/* --- any sine: four slices, added up as the frequency that their phasors' turning tells --- */

static uint32_t strongest(const struct ve_tones *tones, float *power)
{
    for (uint32_t lane = 0; lane < LANES; lane++) {
        power[lane] = 0.0F;
        for (uint32_t slice = FIRST; slice <= LAST; slice++) {
            const struct ve_phasors *in = &tones->slices[slice];
            power[lane] += in->real[lane] * in->real[lane] + in->imaginary[lane] * in->imaginary[lane];
        }
    }
    uint32_t best = 0;
    for (uint32_t lane = 1; lane < VE_TONE_SINES; lane++)
        best = power[lane] > power[best] ? lane : best;
    return best;
}

/** What a sine's phasor turns in a slice beyond the filter's own frequency. */
static float turning(const struct ve_tones *tones, uint32_t lane, const float *power)
{
    float real = 0.0F, imaginary = 0.0F;
    for (uint32_t slice = FIRST + 1; slice <= LAST; slice++) {
        const struct ve_phasors *now = &tones->slices[slice], *then = now - 1;
        real += now->real[lane] * then->real[lane] + now->imaginary[lane] * then->imaginary[lane];
        imaginary += now->imaginary[lane] * then->real[lane] - now->real[lane] * then->imaginary[lane];
    }
    /* The filters' own frequencies all turn one eighth short of a whole number of turns. */
    const float angle = atan2f(real + imaginary, real - imaginary);
    /* Half way between two filters the angle is half a turn, one way or the other: the stronger neighbour tells which. */
    const float below = lane > 0 ? power[lane - 1] : 0.0F;
    const float above = lane + 1 < VE_TONE_SINES ? power[lane + 1] : 0.0F;
    if (angle < -NEARLY_HALF_TURN && above > below)
        return angle + TURN;
    if (angle > NEARLY_HALF_TURN && below > above)
        return angle - TURN;
    return angle;
}

/** The power of a sine whose phasor turns by `angle` in a slice, made good for being beside the filter's frequency. */
static float tuned_power(const struct ve_tones *tones, uint32_t lane, float angle)
{
    const float cosine = cosf(angle - TURN / 8), sine = sinf(angle - TURN / 8);
    float real = 0.0F, imaginary = 0.0F;
    for (uint32_t slice = LAST + 1; slice-- > FIRST;) {
        const float turned = real * cosine + imaginary * sine;
        imaginary = imaginary * cosine - real * sine + tones->slices[slice].imaginary[lane];
        real = turned + tones->slices[slice].real[lane];
    }
    const float droop = fabsf(angle) < 0.1F ? 1.0F : sinf(angle / 2) / (angle / 2);
    return ve_goertzel_power(real, imaginary, MIDDLE * droop * (float)tones->slice_samples);
}

static void find_sine(struct ve_tones *tones)
{
    float power[LANES];
    struct ve_heard *heard = &tones->heard;
    const uint32_t lane = strongest(tones, power);
    const float samples = (float)tones->slice_samples;
    /* Half way between two filters a sine loses 3.9 dB. */
    if (power[lane] < 0.4F * SINE_SHARE * heard->power * FULL_SQUARE * samples * samples * MIDDLE / 2)
        return;
    const float angle = turning(tones, lane, power);
    heard->sine_hz = tones->plan->lanes_hz[lane] + angle * (1000.0F / VE_TONE_SLICE_MS / TURN);
    heard->sine_power = tuned_power(tones, lane, angle);
}

/* --- what is heard --- */

static bool is_sine(const struct ve_heard *heard, float low_hz, float high_hz)
{
    return heard->sine_hz >= low_hz && heard->sine_hz <= high_hz && heard->sine_power >= SINE_SHARE * heard->power &&
           SINE_SHARE * heard->sine_power <= heard->power; /* more than all there is: it is no sine */
}

/** Whether what may be `sound` goes on as it began, in pitch and in loudness. */
static bool keeps(struct ve_tone_run *run, uint32_t sound, float hz, float power)
{
    const bool settling = run->heard != sound; /* its first answers see the edge of it, too */
    if (settling && (run->instead != sound || run->times == 0)) {
        run->first_hz = hz;
        run->first_power = power;
    }
    const bool kept = fabsf(hz - run->first_hz) <= STEADY_HZ && power <= STEADY_POWER * run->first_power &&
                      run->first_power <= STEADY_POWER * power;
    if (settling && kept) {
        run->first_hz += (hz - run->first_hz) / 2;
        run->first_power += (power - run->first_power) / 2;
    }
    return kept;
}

static uint32_t silence_or(const struct ve_tone_run *run, float power)
{
    return power < SILENT || power < QUIETER * run->power ? VE_NOTHING : VE_SOMETHING;
}

static uint32_t sound_heard(struct ve_tones *tones)
{
    const struct ve_tone_plan *plan = tones->plan;
    const float power = tones->heard.power, pairs_power = windowed_power(tones);
    for (uint32_t i = 0; i < plan->sound_count && power >= FAINTEST; i++) {
        const struct ve_sound *sound = &plan->sounds[i];
        if (sound->kind != VE_PAIR)
            continue;
        const float pair = pair_power(tones, sound, pairs_power);
        if (pair > 0.0F && keeps(&tones->sounds, VE_FIRST_SOUND + i, 0.0F, pair))
            return VE_FIRST_SOUND + i;
    }
    for (uint32_t i = 0; i < plan->sound_count && power >= FAINTEST; i++) {
        const struct ve_sound *sound = &plan->sounds[i];
        const float low_hz = sound->hz[0] - sound->tolerance_hz, high_hz = sound->hz[0] + sound->tolerance_hz;
        if (sound->kind == VE_SINE && is_sine(&tones->heard, low_hz, high_hz) &&
            keeps(&tones->sounds, VE_FIRST_SOUND + i, tones->heard.sine_hz, 0.0F))
            return VE_FIRST_SOUND + i;
    }
    return silence_or(&tones->sounds, power);
}

static uint32_t steady_heard(struct ve_tones *tones)
{
    const struct ve_tone_plan *plan = tones->plan;
    for (uint32_t i = 0; i < plan->sound_count && tones->heard.power >= FAINTEST; i++) {
        const struct ve_sound *sound = &plan->sounds[i];
        if (sound->kind == VE_STEADY && is_sine(&tones->heard, sound->hz[0], sound->hz[1]) &&
            keeps(&tones->sines, VE_FIRST_SOUND + i, tones->heard.sine_hz, tones->heard.sine_power))
            return VE_FIRST_SOUND + i;
    }
    return silence_or(&tones->sines, tones->heard.power);
}

/** Take an answer. True when the sound has changed: `*over` is what was before. */
static bool take(struct ve_tone_run *run, uint32_t heard, float power, uint32_t now, struct ve_tone_run *over)
{
    if (heard == run->heard) {
        run->last = now;
        run->times -= run->times > 0;
        if (heard >= VE_FIRST_SOUND)
            run->power += (power - run->power) / 8;
        return false;
    }
    if (heard == run->instead && run->times > 0) {
        run->times++;
    } else if (run->times > 1) {
        run->times--;
    } else {
        run->instead = heard;
        run->times = 1;
        run->left = run->last;
    }
    const bool scattered = run->heard != VE_SOMETHING && now - run->last >= SCATTERED_HOPS;
    if (run->times < SETTLED_HOPS && !scattered)
        return false;
    *over = *run;
    over->last = run->left;
    run->heard = run->times < SETTLED_HOPS ? VE_SOMETHING : run->instead;
    run->since = run->left;
    run->last = now;
    run->times = 0;
    if (run->heard != VE_NOTHING)
        run->power = run->heard >= VE_FIRST_SOUND ? power : 0.0F;
    return true;
}

/* --- the tones that it makes --- */

static void tell(const struct ve_tones *tones, struct told *told, uint32_t i, bool begun, uint32_t ended, float power)
{
    const uint64_t hop_samples = tones->slice_samples * VE_TONE_HOP_SLICES;
    const uint32_t now = (uint32_t)tones->hops;
    if (told->count == told->limit)
        return;
    told->changes[told->count++] = (struct ve_tone_change){
        .tone = i,
        .begun = begun,
        .began_at = (tones->hops - (now - tones->matches[i].since)) * hop_samples,
        .ended_at = begun ? 0 : (tones->hops - (now - ended)) * hop_samples,
        .level_dbov = ve_goertzel_dbov(power),
    };
}

/** No longer followed. What a tone was told of accounts for its sounds: they are no part of another one. */
static void give_up(struct ve_tones *tones, struct told *told, uint32_t i, uint32_t ended, float power)
{
    tones->matches[i].following = false;
    if (!tones->matches[i].begun)
        return;
    tell(tones, told, i, false, ended, power);
    for (uint32_t other = 0; other < tones->plan->tone_count; other++)
        if (!tones->matches[other].begun && tones->matches[other].since < ended)
            tones->matches[other].following = false;
}

static bool is_right(const struct ve_tone *tone, const struct ve_tone_match *match, const struct ve_tone_run *over)
{
    const uint32_t ms = (over->last - over->since) * VE_TONE_HOP_MS;
    const struct ve_tone_segment *segment = &tone->segments[match->at];
    const bool cut = match->right == 0 && tone->needed > 2; /* the first of several may have been heard in part */
    return ms <= segment->max_ms && (ms >= segment->min_ms || cut);
}

/** The sound has changed: does it still make the tone, or may it from now on? */
static void follow(struct ve_tones *tones, struct told *told, uint32_t i, const struct ve_tone_run *run,
                   const struct ve_tone_run *over)
{
    const struct ve_tone *tone = &tones->plan->tones[i];
    const uint32_t *expected = tones->plan->heard_in[i];
    struct ve_tone_match *match = &tones->matches[i];
    if (match->following) {
        const bool right = is_right(tone, match, over);
        match->at = (match->at + 1) % tone->count;
        match->right++;
        if (right && run->heard == expected[match->at])
            return;
        give_up(tones, told, i, over->heard == VE_NOTHING ? over->since : over->last, over->power);
    }
    if (run->heard == expected[0])
        *match = (struct ve_tone_match){.following = true, .since = run->since};
}

/** Whether some tone has been followed past its first sound: it accounts for what was heard. */
static bool is_accounted_for(const struct ve_tones *tones)
{
    for (uint32_t i = 0; i < tones->plan->tone_count; i++) {
        const struct ve_tone_match *match = &tones->matches[i];
        if (match->following && (match->begun || match->right > 0) &&
            tones->plan->tones[i].segments[0].kind != VE_STEADY)
            return true;
    }
    return false;
}

/** The sound goes on: long enough to be sure, or too long? */
static void wait(struct ve_tones *tones, struct told *told, uint32_t i, const struct ve_tone_run *run)
{
    const struct ve_tone *tone = &tones->plan->tones[i];
    struct ve_tone_match *match = &tones->matches[i];
    const uint32_t ms = (run->last - run->since) * VE_TONE_HOP_MS;
    if (ms > tone->segments[match->at].max_ms) {
        give_up(tones, told, i, run->since, run->power);
    } else if (!match->begun && match->right + 1 >= tone->needed && ms >= tone->sure_ms) {
        if (tone->segments[0].kind == VE_STEADY) {
            if (!is_accounted_for(tones))
                tell(tones, told, i, false, run->since, run->power);
            match->following = false;
            return;
        }
        match->begun = true;
        tell(tones, told, i, true, 0, run->power);
    }
}

/** What 20 ms in the middle of the window hold. */
static void listen(struct ve_tones *tones)
{
    float energy = 0.0F;
    for (uint32_t slice = FIRST; slice <= LAST; slice++)
        energy += tones->energy[slice];
    tones->heard = (struct ve_heard){.power = energy / (MIDDLE * FULL_SQUARE * (float)tones->slice_samples)};
    if (tones->heard.power >= FAINTEST)
        find_sine(tones);
    tones->heard.sound = sound_heard(tones);
}

static void hop(struct ve_tones *tones, struct told *told)
{
    take_slices(tones);
    window_pairs(tones);
    listen(tones);
    struct ve_tone_run over_sound, over_sine;
    const uint32_t now = (uint32_t)tones->hops;
    const bool sound = take(&tones->sounds, tones->heard.sound, tones->heard.power, now, &over_sound);
    const bool sine = take(&tones->sines, steady_heard(tones), tones->heard.power, now, &over_sine);
    for (uint32_t i = 0; i < tones->plan->tone_count; i++) {
        const bool steady = tones->plan->tones[i].segments[0].kind == VE_STEADY;
        const struct ve_tone_run *run = steady ? &tones->sines : &tones->sounds;
        if (steady ? sine : sound)
            follow(tones, told, i, run, steady ? &over_sine : &over_sound);
        if (tones->matches[i].following)
            wait(tones, told, i, run);
    }
    tones->hops++;
}

/* --- the door --- */

int ve_tones_open(struct ve_tones *tones, uint32_t rate, const struct ve_tone_plan *plan)
{
    memset(tones, 0, sizeof *tones);
    if (rate != 8000 && rate != 16000)
        return -EINVAL;
    tones->plan = plan;
    tones->slice_samples = rate * VE_TONE_SLICE_MS / 1000;
    return ve_goertzel_open(&tones->bank, rate, plan->lanes_hz, plan->lane_count);
}

size_t ve_tones_put(struct ve_tones *tones, const int16_t *samples, size_t count, struct ve_tone_change *changes,
                    size_t limit)
{
    const size_t hop_samples = tones->slice_samples * VE_TONE_HOP_SLICES;
    struct told told = {changes, 0, limit};
    while (count > 0) {
        const size_t wanted = hop_samples - tones->fill, taken = count < wanted ? count : wanted;
        memcpy(tones->gathered + tones->fill, samples, taken * sizeof *samples);
        tones->fill += (uint32_t)taken;
        samples += taken;
        count -= taken;
        if (tones->fill == hop_samples) {
            tones->fill = 0;
            hop(tones, &told);
        }
    }
    return told.count;
}

struct ve_heard ve_tones_heard(const struct ve_tones *tones)
{
    return tones->heard;
}
