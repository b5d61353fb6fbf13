/**
 * @file ve_clock.h  The one clock of the pipeline: CLOCK_MONOTONIC in ns, which Linux reads without entering the
 * kernel.
 */
#ifndef VE_CLOCK_H
#define VE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t ve_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
