/** @file ve_number.h  The little arithmetic that several blocks share. */
#ifndef VE_NUMBER_H
#define VE_NUMBER_H

#include <stdint.h>

static inline float ve_larger(float a, float b)
{
    return a > b ? a : b;
}

static inline float ve_smaller(float a, float b)
{
    return a < b ? a : b;
}

static inline int16_t ve_saturated(int32_t value)
{
    return (int16_t)(value > INT16_MAX ? INT16_MAX : value < INT16_MIN ? INT16_MIN : value);
}

#endif
