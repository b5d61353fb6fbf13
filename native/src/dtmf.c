#include "ve_dtmf.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define HOPS_PER_S   200
#define DECIDING     6     /* phasors: 35 ms */
#define RELEASE_HOPS 6     /* a key unheard this long is up */
#define SHARE        0.86F /* of a key's tones in all there is */
#define GLANCE       0.5F  /* below this share in 10 ms it is not worth a closer look */
#define STEADY       0.32F /* the weakest of a tone's phasors to its strongest, squared: -5 dB */
#define PRESENT      0.1F  /* the same for a tone that still sounds: -10 dB */
#define TOLERANCE    0.015 /* of a frequency … */
#define TOLERANCE_HZ 4.0   /* … and this much more: Q.24's 2 Hz, and 2 Hz for noise */
#define MARGIN_DB    1.0F  /* level and twist are measured in noise */

#define TURN 6.283185307179586

static const float frequencies[VE_DTMF_TONES] = {697, 770, 852, 941, 1209, 1336, 1477, 1633};
static const char keys[] = "123A456B789C*0#D";

static float ratio(float db)
{
    return powf(10.0F, db / 10.0F);
}

static bool within(float value, float least, float most)
{
    return value >= least && value <= most; /* false for NaN */
}

int ve_dtmf_open(struct ve_dtmf *dtmf, uint32_t rate, const struct ve_dtmf_settings *settings)
{
    memset(dtmf, 0, sizeof *dtmf);
    if (rate != 8000 && rate != 16000)
        return -EINVAL;
    if (!within(settings->minimum_dbov, -60, 0) || !within(settings->twist_db, 0, 12) ||
        !within(settings->reverse_twist_db, 0, 12))
        return -EINVAL;
    dtmf->hop = dtmf->fill = rate / HOPS_PER_S;
    dtmf->minimum = ratio(settings->minimum_dbov - MARGIN_DB);
    dtmf->weakest = ratio(-settings->twist_db - MARGIN_DB);
    dtmf->strongest = ratio(settings->reverse_twist_db + MARGIN_DB);
    dtmf->down = -1;

    float twice[2 * VE_DTMF_TONES];
    for (size_t i = 0; i < VE_DTMF_TONES; i++) {
        const double hz = (double)frequencies[i];
        dtmf->tones[i].step_cosine = (float)cos(TURN * hz / HOPS_PER_S);
        dtmf->tones[i].step_sine = (float)sin(TURN * hz / HOPS_PER_S);
        dtmf->tones[i].slack = (float)tan(TURN * (TOLERANCE * hz + TOLERANCE_HZ) / HOPS_PER_S);
        twice[i] = twice[VE_DTMF_TONES + i] = frequencies[i];
    }
    for (size_t i = 0; i < dtmf->hop; i++)
        dtmf->window[i] = (float)((1.0 - cos(TURN / 2 * (double)i / (double)dtmf->hop)) / (2.0 * (double)dtmf->hop));
    return ve_goertzel_open(&dtmf->bank, rate, twice, 2 * VE_DTMF_TONES);
}

/* The phasor of each tone, seen from the middle of the window. Folded there, the samples' even part holds the cosines and
 * the odd part the sines, and the bank has half as many steps to take. */
static void correlate(struct ve_dtmf *dtmf, struct ve_dtmf_phasors *phasors)
{
    const size_t hop = dtmf->hop;
    const float *const left = dtmf->recent, *const right = dtmf->recent + hop, middle = *right / (float)hop;
    float even[VE_DTMF_HOP_MAX], odd[VE_DTMF_HOP_MAX], energy[4] = {0};
    for (size_t i = 0; i < hop; i += 4)
        for (size_t j = 0; j < 4; j++) {
            const float before = left[i + j], after = right[hop - i - j], weight = dtmf->window[i + j];
            even[i + j] = weight * (after + before);
            odd[i + j] = weight * (after - before);
            energy[j] += weight * (before * before + after * after);
        }
    float real[2 * VE_DTMF_TONES], imaginary[2 * VE_DTMF_TONES];
    ve_goertzel_read_two(&dtmf->bank, even, odd, hop, real, imaginary);
    for (size_t i = 0; i < VE_DTMF_TONES; i++) {
        phasors->real[i] = real[i] + middle;
        phasors->imaginary[i] = -imaginary[VE_DTMF_TONES + i];
    }
    phasors->energy = energy[0] + energy[1] + energy[2] + energy[3] + middle * *right;
}

static const struct ve_dtmf_phasors *past(const struct ve_dtmf *dtmf, uint32_t hops_ago)
{
    return &dtmf->past[(dtmf->newest - hops_ago) % VE_DTMF_PHASORS];
}

static float squared(const struct ve_dtmf_phasors *phasors, size_t tone)
{
    return phasors->real[tone] * phasors->real[tone] + phasors->imaginary[tone] * phasors->imaginary[tone];
}

static size_t strongest_of_four(const struct ve_dtmf_phasors *phasors, size_t first)
{
    size_t best = first;
    for (size_t tone = first + 1; tone < first + 4; tone++)
        if (squared(phasors, tone) > squared(phasors, best))
            best = tone;
    return best;
}

static bool is_steady(const struct ve_dtmf *dtmf, size_t tone)
{
    float least = squared(past(dtmf, 0), tone), most = least;
    for (uint32_t i = 1; i < DECIDING; i++) {
        const float now = squared(past(dtmf, i), tone);
        least = now < least ? now : least;
        most = now > most ? now : most;
    }
    return least >= STEADY * most;
}

/* The power of a tone near one of the eight in the deciding phasors, or 0 where its frequency is too far off. */
static float tuned_power(const struct ve_dtmf *dtmf, size_t tone)
{
    const struct ve_dtmf_tone *const nominal = &dtmf->tones[tone];
    float real = 0, imaginary = 0; /* the mean turn: Σ newer · conj(older) */
    for (uint32_t i = 0; i + 1 < DECIDING; i++) {
        const struct ve_dtmf_phasors *newer = past(dtmf, i), *older = past(dtmf, i + 1);
        real += newer->real[tone] * older->real[tone] + newer->imaginary[tone] * older->imaginary[tone];
        imaginary += newer->imaginary[tone] * older->real[tone] - newer->real[tone] * older->imaginary[tone];
    }
    const float along = real * nominal->step_cosine + imaginary * nominal->step_sine;
    const float across = imaginary * nominal->step_cosine - real * nominal->step_sine;
    const float length = sqrtf(real * real + imaginary * imaginary);
    if (!(along > 0.0F) || fabsf(across) > nominal->slack * along)
        return 0.0F;

    const float cosine = real / length, sine = imaginary / length;
    float sum = 0, sum_imaginary = 0; /* oldest first; what is there turns along with the tone */
    for (uint32_t i = DECIDING; i-- > 0;) {
        const float turned = sum * cosine - sum_imaginary * sine;
        sum_imaginary = sum * sine + sum_imaginary * cosine + past(dtmf, i)->imaginary[tone];
        sum = turned + past(dtmf, i)->real[tone];
    }
    /* The Hann window passes a tone beside its middle weaker: sinc(x) / (1 - x²) = 0.86 + 0.14 cos πx within 0.5 %. */
    const float gain = DECIDING * (0.86F + 0.14F * along / length);
    return 2.0F * (sum * sum + sum_imaginary * sum_imaginary) / (gain * gain);
}

/* Which key the last 35 ms are, or -1. */
static int decide(const struct ve_dtmf *dtmf, struct ve_key_change *press)
{
    const struct ve_dtmf_phasors *const newest = past(dtmf, 0);
    const size_t low = strongest_of_four(newest, 0), high = strongest_of_four(newest, 4);
    if (2.0F * (squared(newest, low) + squared(newest, high)) < GLANCE * newest->energy)
        return -1;
    if (!is_steady(dtmf, low) || !is_steady(dtmf, high))
        return -1;
    const float low_power = tuned_power(dtmf, low), high_power = tuned_power(dtmf, high);
    if (low_power < dtmf->minimum || high_power < dtmf->minimum)
        return -1;
    if (!within(high_power / low_power, dtmf->weakest, dtmf->strongest))
        return -1;
    float energy = 0;
    for (uint32_t i = 0; i < DECIDING; i++)
        energy += past(dtmf, i)->energy / DECIDING;
    if (low_power + high_power < SHARE * energy)
        return -1;
    press->level_dbov = ve_goertzel_dbov(low_power + high_power);
    press->twist_db = 10.0F * log10f(high_power / low_power);
    return (int)(4 * low + high - 4);
}

static size_t low_tone(int key)
{
    return (size_t)key / 4;
}

static size_t high_tone(int key)
{
    return 4 + (size_t)key % 4;
}

/* How long the tones are in full: the phasors in the middle are so even where a key was pressed at the last moment. */
static void measure(struct ve_dtmf *dtmf, int key)
{
    dtmf->low = dtmf->high = 0;
    for (uint32_t i = 1; i + 1 < DECIDING; i++) {
        dtmf->low += squared(past(dtmf, i), low_tone(key)) / (DECIDING - 2);
        dtmf->high += squared(past(dtmf, i), high_tone(key)) / (DECIDING - 2);
    }
}

/* What is left of the key that is down: 1 is all, squared. */
static float left(const struct ve_dtmf *dtmf, uint32_t hops_ago)
{
    const float low = squared(past(dtmf, hops_ago), low_tone(dtmf->down)) / dtmf->low;
    const float high = squared(past(dtmf, hops_ago), high_tone(dtmf->down)) / dtmf->high;
    const float weaker = low < high ? low : high;
    return weaker < 1.0F ? weaker : 1.0F;
}

/* The tone in the last `hops` windows, in samples. */
static uint64_t sounded(const struct ve_dtmf *dtmf, uint32_t hops)
{
    float sum = 0;
    for (uint32_t i = 0; i < hops; i++)
        sum += sqrtf(left(dtmf, i));
    return (uint64_t)(sum * (float)dtmf->hop);
}

static bool is_present(const struct ve_dtmf *dtmf)
{
    const struct ve_dtmf_phasors *const newest = past(dtmf, 0);
    const float tones = squared(newest, low_tone(dtmf->down)) + squared(newest, high_tone(dtmf->down));
    return left(dtmf, 0) >= PRESENT && 2.0F * tones >= GLANCE * newest->energy;
}

static uint64_t position(const struct ve_dtmf *dtmf, uint64_t ago)
{
    return dtmf->heard > ago ? dtmf->heard - ago : 0;
}

/* The newest window's half that has no neighbour yet counts half. */
static struct ve_key_change press(struct ve_dtmf *dtmf, int key, struct ve_key_change press)
{
    dtmf->down = key;
    dtmf->missing = 0;
    measure(dtmf, key);
    press.key = keys[key];
    press.down = true;
    press.began = position(dtmf, sounded(dtmf, VE_DTMF_PHASORS) + dtmf->hop / 2);
    return dtmf->press = press;
}

/* The oldest window remembered is full of the tone, and the others hold the rest of it. */
static struct ve_key_change release(struct ve_dtmf *dtmf)
{
    struct ve_key_change change = dtmf->press;
    change.down = false;
    const uint64_t rest = sounded(dtmf, VE_DTMF_PHASORS - 1);
    const uint64_t ended = position(dtmf, VE_DTMF_PHASORS * dtmf->hop - dtmf->hop / 2 - rest);
    change.ended = ended > change.began ? ended : change.began;
    dtmf->down = -1;
    return change;
}

/* At most two changes: one key gives way to another. */
static size_t follow(struct ve_dtmf *dtmf, struct ve_key_change changes[2])
{
    struct ve_key_change found = {0};
    const int key = decide(dtmf, &found);
    size_t count = 0;
    if (dtmf->down >= 0) {
        dtmf->missing = is_present(dtmf) ? 0 : dtmf->missing + 1;
        if (dtmf->missing == RELEASE_HOPS || (key >= 0 && key != dtmf->down))
            changes[count++] = release(dtmf);
        else if (key >= 0)
            measure(dtmf, key);
    }
    if (dtmf->down < 0 && key >= 0)
        changes[count++] = press(dtmf, key, found);
    return count;
}

size_t ve_dtmf_put(struct ve_dtmf *dtmf, const int16_t *samples, size_t count, struct ve_key_change *changes,
                   size_t room)
{
    const size_t hop = dtmf->hop;
    size_t written = 0;
    while (count > 0) {
        const size_t gap = 2 * hop - dtmf->fill, taken = count < gap ? count : gap;
        for (size_t i = 0; i < taken; i++)
            dtmf->recent[dtmf->fill + i] = (float)samples[i] * (1.0F / VE_FULL_SCALE);
        dtmf->fill += taken;
        dtmf->heard += taken;
        samples += taken;
        count -= taken;
        if (dtmf->fill < 2 * hop)
            continue;
        correlate(dtmf, &dtmf->past[++dtmf->newest % VE_DTMF_PHASORS]);
        memmove(dtmf->recent, dtmf->recent + hop, hop * sizeof *dtmf->recent);
        dtmf->fill = hop;
        struct ve_key_change found[2];
        const size_t changed = follow(dtmf, found);
        for (size_t i = 0; i < changed && written < room; i++)
            changes[written++] = found[i];
    }
    return written;
}

bool ve_dtmf_down(const struct ve_dtmf *dtmf)
{
    return dtmf->down >= 0;
}
