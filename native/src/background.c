#include "ve_background.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define UNITY (1 << 30)
#define KNEE 24576 /* -2.5 dB of full scale */

int ve_background_open(struct ve_background *background, uint32_t rate, uint32_t duck_ms)
{
    if (duck_ms < 20 || duck_ms > 1000)
        return -EINVAL;
    memset(background, 0, sizeof *background);
    background->ramp = rate / 1000 * duck_ms;
    return 0;
}

static int32_t linear(double gain_db)
{
    return (int32_t)lround(UNITY * pow(10, gain_db / 20));
}

int64_t ve_background_set(struct ve_background *background, const int16_t *pcm, uint64_t length, double gain_db,
                          double ducked_gain_db)
{
    const uint64_t id = atomic_load_explicit(&background->set, memory_order_relaxed) + 1;
    if ((pcm && length == 0) || !(ducked_gain_db <= gain_db && gain_db <= 0))
        return -EINVAL;
    if (id - ve_background_done(background) >= VE_BACKGROUND_LOOPS) /* the slot of `done` itself may be in use: see adopt */
        return -ENOBUFS;
    struct ve_loop *loop = &background->loops[id % VE_BACKGROUND_LOOPS];
    *loop = (struct ve_loop){.pcm = pcm, .length = length, .gain = linear(gain_db), .ducked = linear(ducked_gain_db)};
    loop->step = loop->gain / (int32_t)background->ramp + 1;
    atomic_store_explicit(&background->set, id, memory_order_release);
    return (int64_t)id;
}

uint64_t ve_background_done(const struct ve_background *background)
{
    return atomic_load_explicit(&background->done, memory_order_acquire);
}

static const struct ve_loop *current(const struct ve_background *background)
{
    return &background->loops[background->current % VE_BACKGROUND_LOOPS];
}

bool ve_background_idle(const struct ve_background *background)
{
    return atomic_load_explicit(&background->set, memory_order_acquire) == background->current && !current(background)->pcm;
}

static void adopt(struct ve_background *background, uint64_t id)
{
    background->current = id;
    background->position = 0;
    atomic_store_explicit(&background->done, id - 1, memory_order_release);
}

/* The sum as it is up to the knee; from there on ever flatter towards full scale, which it never reaches. */
static int16_t add(int32_t said, int32_t music)
{
    const int32_t sum = said + music;
    const int32_t over = (sum < 0 ? -sum : sum) - KNEE, headroom = INT16_MAX - KNEE;
    if (over <= 0)
        return (int16_t)sum;
    const int32_t bent = KNEE + headroom * over / (headroom + over);
    return (int16_t)(sum < 0 ? -bent : bent);
}

/* Samples until `level` has reached `target`. */
static size_t distance(int32_t level, int32_t target, int32_t step)
{
    const int32_t way = level < target ? target - level : level - target;
    return (size_t)((way + step - 1) / step);
}

/* At most `count` samples, as far as the level goes straight and the loop does not turn; returns how many. */
static size_t mix_straight(struct ve_background *background, const struct ve_loop *loop, int32_t target, int16_t *out,
                           size_t count)
{
    const int16_t *music = loop->pcm + background->position;
    const size_t way = distance(background->level, target, loop->step);
    const int32_t step = way == 0 ? 0 : background->level < target ? loop->step : -loop->step;
    if (count > loop->length - background->position)
        count = (size_t)(loop->length - background->position);
    if (way > 0 && count > way)
        count = way;
    for (size_t i = 0; i < count; i++) {
        background->level = i + 1 == way ? target : background->level + step;
        out[i] = add(out[i], (music[i] * (background->level >> 15) + (1 << 14)) >> 15);
    }
    background->position = (background->position + count) % loop->length;
    return count;
}

void ve_background_mix(struct ve_background *background, int16_t *out, size_t count, bool ducked)
{
    const uint64_t wanted = atomic_load_explicit(&background->set, memory_order_acquire);
    while (count > 0) {
        if (wanted != background->current && background->level == 0)
            adopt(background, wanted);
        const struct ve_loop *loop = current(background);
        if (!loop->pcm)
            return;
        const int32_t target = wanted != background->current ? 0 : ducked ? loop->ducked : loop->gain;
        const size_t mixed = mix_straight(background, loop, target, out, count);
        out += mixed;
        count -= mixed;
    }
}
