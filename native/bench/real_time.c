/**
 * @file real_time.c  A clock like the conference bridge's: every 20 ms one frame out of and one into each channel.
 *
 *   said ──▶ + ──▶ channel ──▶ what is played ─┐
 *            ▲                                 │
 *            └──── a quarter of it, later ◀────┘   the hybrid of an analogue line
 *
 * A library of its own, for channels that a Python process has opened: it is given their functions, and contains none.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ve_channel.h"

#define FRAME 160u
#define TICK_NS 20000000
#define ECHO_TICKS 3u

struct line {
    int16_t in[FRAME];
    int16_t out[ECHO_TICKS][FRAME];
};

static int64_t now_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void sleep_until(int64_t at_ns)
{
    const struct timespec at = {.tv_sec = at_ns / 1000000000, .tv_nsec = at_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) != 0)
        ;
}

static int16_t clipped(int32_t sample)
{
    return (int16_t)(sample > INT16_MAX ? INT16_MAX : sample < INT16_MIN ? INT16_MIN : sample);
}

/* What comes in next: what is said, and an echo of what was played ECHO_TICKS ago. */
static void prepare(struct line *line, const int16_t *said, size_t tick)
{
    const int16_t *echo = line->out[tick % ECHO_TICKS];
    for (size_t i = 0; i < FRAME; i++)
        line->in[i] = clipped(said[i] + echo[i] / 4);
}

/**
 * Channel i hears `said` from sample `from[i]` on, for `ticks`. For each tick how late it began, how long it took and what
 * CPU time it cost. False without memory.
 */
bool real_time(struct ve_channel **channels, size_t count, bool (*get)(struct ve_channel *, int16_t *, size_t),
               void (*put)(struct ve_channel *, const int16_t *, size_t), const int16_t *said, const size_t *from,
               size_t ticks, int64_t *late_ns, int64_t *took_ns, int64_t *cpu_ns)
{
    struct line *lines = calloc(count, sizeof *lines);
    if (!lines)
        return false;
    int64_t due_ns = now_ns(CLOCK_MONOTONIC);
    for (size_t tick = 0; tick < ticks; tick++) {
        for (size_t i = 0; i < count; i++)
            prepare(&lines[i], said + from[i] + tick * FRAME, tick);
        due_ns += TICK_NS;
        sleep_until(due_ns);
        const int64_t began_ns = now_ns(CLOCK_MONOTONIC), used_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);
        for (size_t i = 0; i < count; i++) {
            int16_t *out = lines[i].out[tick % ECHO_TICKS];
            if (!get(channels[i], out, FRAME))
                memset(out, 0, sizeof lines[i].out[0]);
            put(channels[i], lines[i].in, FRAME);
        }
        cpu_ns[tick] = now_ns(CLOCK_THREAD_CPUTIME_ID) - used_ns;
        late_ns[tick] = began_ns - due_ns;
        took_ns[tick] = now_ns(CLOCK_MONOTONIC) - began_ns;
    }
    free(lines);
    return true;
}
