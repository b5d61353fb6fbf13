/** @file bytes.h  What a fuzzer gives, read as choices, numbers and sounds: a few bytes make a second of a key. */
#ifndef VE_BYTES_H
#define VE_BYTES_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#define TURN 6.2831853F

struct bytes {
    const uint8_t *at;
    size_t left;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline uint32_t next_byte(struct bytes *bytes)
{
    if (bytes->left == 0)
        return 0;
    bytes->left--;
    return *bytes->at++;
}

/* 0 … sides - 1, at most 65536 sides. */
static inline uint32_t choice(struct bytes *bytes, uint32_t sides)
{
    const uint32_t high = sides > 256 ? next_byte(bytes) : 0;
    return (high << 8 | next_byte(bytes)) % sides;
}

/* `low` … `high` in 1024 steps, and a little beyond both: settings are right and wrong. */
static inline float amount(struct bytes *bytes, float low, float high)
{
    return low + (high - low) * ((float)choice(bytes, 1024) - 16) / 992;
}

static inline int16_t clipped(float sample)
{
    return (int16_t)fmaxf(-32768, fminf(32767, sample));
}

static inline void two_sines(int16_t *out, size_t count, float rate, const float *hz, float peak)
{
    for (size_t i = 0; i < count; i++)
        out[i] = clipped(peak * (sinf(TURN * hz[0] / rate * (float)i) + sinf(TURN * hz[1] / rate * (float)i)));
}

static inline void noise(int16_t *out, size_t count, uint32_t seed, float peak)
{
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        out[i] = clipped(peak * ((float)(seed >> 8) / 8388608.0F - 1));
    }
}

/* A stretch of sound, at most `room` samples: a key, two sines, noise, a square wave, one value, samples as they are. */
static inline size_t sound(struct bytes *bytes, int16_t *out, size_t room, uint32_t rate)
{
    static const float rows[] = {697, 770, 852, 941}, columns[] = {1209, 1336, 1477, 1633};
    const uint32_t kind = choice(bytes, 6);
    const float peak = exp2f((float)choice(bytes, 17));
    const size_t count = choice(bytes, (uint32_t)room + 1);
    const float key[] = {rows[choice(bytes, 4)], columns[choice(bytes, 4)]};
    const float pair[] = {(float)choice(bytes, 4000), (float)choice(bytes, 4000)};
    switch (kind) {
    case 0: two_sines(out, count, (float)rate, key, peak); break;
    case 1: two_sines(out, count, (float)rate, pair, peak); break;
    case 2: noise(out, count, choice(bytes, 65536), peak); break;
    case 3:
        for (size_t i = 0, half = 1 + choice(bytes, 256); i < count; i++)
            out[i] = clipped(i / half % 2 ? peak : -peak);
        break;
    case 4:
        for (size_t i = 0; i < count; i++)
            out[i] = clipped(peak);
        break;
    default:
        for (size_t i = 0; i < count; i++)
            out[i] = (int16_t)(choice(bytes, 65536) - 32768);
    }
    return count;
}

#endif
