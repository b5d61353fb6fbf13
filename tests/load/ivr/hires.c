/**
 * @file hires.c  The fine clock for SIPp, by LD_PRELOAD: it stamps with CLOCK_MONOTONIC_COARSE, which moves in steps of 4 ms.
 */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (clock == CLOCK_MONOTONIC_COARSE)
        clock = CLOCK_MONOTONIC;
    if (clock == CLOCK_REALTIME_COARSE)
        clock = CLOCK_REALTIME;
    return (int)syscall(SYS_clock_gettime, clock, now);
}
