#include "ve_reference.h"

#include <string.h>

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Forget the oldest `count`. */
static void drop(struct ve_reference *reference, size_t count)
{
    reference->count -= count;
    memmove(reference->samples, reference->samples + count, reference->count * sizeof *reference->samples);
}

void ve_reference_give(struct ve_reference *reference, const int16_t *samples, size_t count)
{
    if (count > VE_REFERENCE_SAMPLES) {
        samples = samples ? samples + count - VE_REFERENCE_SAMPLES : NULL;
        count = VE_REFERENCE_SAMPLES;
    }
    if (count > VE_REFERENCE_SAMPLES - reference->count)
        drop(reference, count - (VE_REFERENCE_SAMPLES - reference->count));
    int16_t *const end = reference->samples + reference->count;
    if (samples)
        memcpy(end, samples, count * sizeof *end);
    else
        memset(end, 0, count * sizeof *end);
    reference->count += count;
}

void ve_reference_take(struct ve_reference *reference, int16_t *out, size_t count)
{
    const size_t there = least(count, reference->count);
    memcpy(out, reference->samples, there * sizeof *out);
    memset(out + there, 0, (count - there) * sizeof *out);
    drop(reference, there);
}
