#include "ve_reference.h"

#define MASK (VE_REFERENCE_SAMPLES - 1)

void ve_reference_give(struct ve_reference *reference, const int16_t *samples, size_t count)
{
    for (size_t i = 0; i < count; i++)
        reference->samples[reference->given++ & MASK] = samples ? samples[i] : 0;
    if (reference->given - reference->taken > VE_REFERENCE_SAMPLES)
        reference->taken = reference->given - VE_REFERENCE_SAMPLES;
}

void ve_reference_take(struct ve_reference *reference, int16_t *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = reference->taken < reference->given ? reference->samples[reference->taken++ & MASK] : 0;
}
