#include "ve_level.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#define FULL_SCALE_ENERGY (32768.0 * 32768.0) /* of one sample */
#define SILENCE_DBOV -100.0
#define TOP 32000 /* all above is taken for the same: see ve_level.h */
#define TOP_LENGTH 3u
#define FLAT 4096 /* 18 dB below full scale: an amplifier that ends there is none */
#define FLAT_LENGTH 4u

uint64_t ve_energy(const int16_t *samples, size_t count)
{
    uint64_t energy = 0;
    for (size_t i = 0; i < count; i++)
        energy += (uint64_t)(samples[i] * samples[i]);
    return energy;
}

uint64_t ve_energy_at(double level_dbov, size_t count)
{
    return (uint64_t)(pow(10, level_dbov / 10) * FULL_SCALE_ENERGY * (double)count);
}

double ve_dbov(double energy, size_t count)
{
    const double share = energy / (FULL_SCALE_ENERGY * (double)count);
    return share > 1e-10 ? 10 * log10(share) : SILENCE_DBOV;
}

int ve_level_open(struct ve_level *level, uint32_t rate, const struct ve_level_settings *settings)
{
    if ((rate != 8000 && rate != 16000) || settings->report_ms < 20 || settings->report_ms > 60000)
        return -EINVAL;
    *level = (struct ve_level){.window = rate / 1000 * settings->report_ms};
    return 0;
}

/* Whether `sample` lies less than three quarters as high as the plateau, on its side of zero. */
static bool far_below(int32_t sample, int32_t height)
{
    return 4 * (height < 0 ? -sample : sample) < 3 * abs(height);
}

/* How many samples of a plateau that `after` ends are clipped: all or none. */
static uint32_t clipped_in(const struct ve_plateau *plateau, int32_t after)
{
    const int32_t height = plateau->height;
    const bool top = abs(height) == TOP && plateau->length >= TOP_LENGTH;
    const bool flat = abs(height) >= FLAT && plateau->length >= FLAT_LENGTH && far_below(plateau->before, height) &&
                      far_below(after, height);
    return top || flat ? plateau->length : 0;
}

static uint32_t count_clipped(struct ve_plateau *plateau, const int16_t *samples, size_t count)
{
    struct ve_plateau current = *plateau;
    uint32_t clipped = 0;
    for (size_t i = 0; i < count; i++) {
        const int32_t sample = samples[i] > TOP ? TOP : samples[i] < -TOP ? -TOP : samples[i];
        if (sample == current.height) {
            current.length++;
            continue;
        }
        if (current.length >= TOP_LENGTH)
            clipped += clipped_in(&current, sample);
        current = (struct ve_plateau){.height = sample, .before = current.height, .length = 1};
    }
    *plateau = current;
    return clipped;
}

static int32_t peak_of(const int16_t *samples, size_t count)
{
    int16_t highest = 0, lowest = 0;
    for (size_t i = 0; i < count; i++) {
        highest = samples[i] > highest ? samples[i] : highest;
        lowest = samples[i] < lowest ? samples[i] : lowest;
    }
    return highest > -lowest ? highest : -lowest;
}

static int64_t sum_of(const int16_t *samples, size_t count)
{
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += samples[i];
    return sum;
}

static void measure(struct ve_level *level, const int16_t *samples, size_t count)
{
    const int32_t peak = peak_of(samples, count);
    level->energy += ve_energy(samples, count);
    level->sum += sum_of(samples, count);
    level->peak = peak > level->peak ? peak : level->peak;
    level->clipped += count_clipped(&level->plateau, samples, count);
    level->seen += (uint32_t)count;
}

static struct ve_level_report report(const struct ve_level *level)
{
    const double mean = (double)level->sum / level->window;
    return (struct ve_level_report){
        .level_dbov = (float)ve_dbov((double)level->energy - mean * (double)level->sum, level->window),
        .offset = (float)mean,
        .peak = level->peak,
        .clipped = level->clipped,
    };
}

static void start_again(struct ve_level *level)
{
    level->seen = level->clipped = 0;
    level->energy = 0;
    level->sum = level->peak = 0;
}

size_t ve_level_put(struct ve_level *level, const int16_t *samples, size_t count, struct ve_level_report *reports, size_t limit)
{
    size_t made = 0;
    while (count > 0) {
        const size_t missing = level->window - level->seen;
        const size_t part = count < missing ? count : missing;
        measure(level, samples, part);
        samples += part;
        count -= part;
        if (level->seen == level->window) {
            if (made < limit)
                reports[made++] = report(level);
            start_again(level);
        }
    }
    return made;
}
