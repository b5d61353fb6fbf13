/** @file dice.h  Chance that is the same each time (Knuth's linear congruential generator). */
#ifndef VE_DICE_H
#define VE_DICE_H

#include <stdint.h>

static uint32_t seed = 1;

/** 0 … sides − 1. */
static uint32_t dice(uint32_t sides)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % sides;
}

#endif
