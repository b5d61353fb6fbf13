#include "ve_gain.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define STEPS_PER_S 100u
#define LEAST_WEIGHT 0.01f /* an average over a second of voice */
#define FULL_SCALE 32768.0
#define KNEE 16384.0f
#define ROOM (32767.0f - KNEE)

static bool acceptable(const struct ve_gain_settings *settings)
{
    return settings->target_dbov >= -40 && settings->target_dbov <= -10 && settings->most_db >= 0 &&
           settings->most_db <= 30 && settings->rise_db_per_s >= 0.1 && settings->rise_db_per_s <= 100 &&
           settings->fall_db_per_s >= 0.1 && settings->fall_db_per_s <= 100;
}

static float factor_of(double db)
{
    return (float)pow(10, db / 20);
}

int ve_gain_open(struct ve_gain *gain, uint32_t rate, const struct ve_gain_settings *settings)
{
    if ((rate != 8000 && rate != 16000) || !acceptable(settings))
        return -EINVAL;
    *gain = (struct ve_gain){
        .step = rate / STEPS_PER_S,
        .target = (float)(pow(10, settings->target_dbov / 10) * FULL_SCALE * FULL_SCALE * rate / STEPS_PER_S),
        .most = factor_of(settings->most_db),
        .rise = factor_of(settings->rise_db_per_s / STEPS_PER_S),
        .fall = factor_of(-settings->fall_db_per_s / STEPS_PER_S),
        .from = 1,
        .to = 1,
        .weight = 1,
    };
    return 0;
}

double ve_gain_db(const struct ve_gain *gain)
{
    return 20 * log10(gain->to);
}

/* max(value, 0) without the comparison that would keep the compiler from taking four samples at a time. */
static inline float positive(float value)
{
    return (value + fabsf(value)) * 0.5f;
}

/* Straight up to the knee, then 1 - 1 / (1 + x): as steep as the straight line at first, and never at full scale. */
static inline float bent(float magnitude)
{
    const float over = positive(magnitude - KNEE);
    return magnitude - over + over * ROOM / (over + ROOM);
}

/* `count` samples that all belong to the present step. */
static void amplify(const struct ve_gain *gain, const int16_t *restrict in, int16_t *restrict out, size_t count)
{
    if (gain->from == 1 && gain->to == 1) {
        memcpy(out, in, count * sizeof *out);
        return;
    }
    const float from = gain->from, slope = (gain->to - from) / (float)gain->step;
    const int32_t seen = (int32_t)gain->seen;
    for (int32_t i = 0; i < (int32_t)count; i++) {
        const float sample = in[i], magnitude = fabsf(sample);
        const float louder = magnitude + positive(bent(magnitude * (from + slope * (float)(seen + i))) - magnitude);
        out[i] = (int16_t)(int32_t)copysignf(louder + 0.5f, sample);
    }
}

static void listen(struct ve_gain *gain, const int16_t *in, size_t count)
{
    for (size_t i = 0; i < count; i++)
        gain->energy += (uint64_t)(in[i] * in[i]);
}

/* The gain at the end of the next step. */
static float next(const struct ve_gain *gain)
{
    const float wanted = sqrtf(gain->target / (gain->heard + 1));
    const float bounded = wanted < 1 ? 1 : wanted > gain->most ? gain->most : wanted;
    const float risen = gain->to * gain->rise, fallen = gain->to * gain->fall;
    return bounded > risen ? risen : bounded < fallen ? fallen : bounded;
}

static void end_step(struct ve_gain *gain, bool voiced)
{
    gain->from = gain->to;
    if (voiced) {
        gain->heard += ((float)gain->energy - gain->heard) * gain->weight;
        const float lighter = gain->weight / (1 + gain->weight); /* 1, 1/2, 1/3, … */
        gain->weight = lighter > LEAST_WEIGHT ? lighter : LEAST_WEIGHT;
        gain->to = next(gain);
    }
    gain->energy = 0;
    gain->seen = 0;
}

void ve_gain_put(struct ve_gain *gain, const int16_t *restrict in, int16_t *restrict out, size_t count,
                 bool voiced)
{
    while (count > 0) {
        const size_t missing = gain->step - gain->seen;
        const size_t part = count < missing ? count : missing;
        listen(gain, in, part);
        amplify(gain, in, out, part);
        in += part;
        out += part;
        count -= part;
        gain->seen += (uint32_t)part;
        if (gain->seen == gain->step)
            end_step(gain, voiced);
    }
}
