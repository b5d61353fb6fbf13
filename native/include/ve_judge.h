/**
 * @file ve_judge.h  The mailbox of a channel and the judge of its voice, a neural network outside the media thread.
 *
 * The gate opens for music and tones too. Whether it is a voice the judge says (Silero VAD), which costs fifty times as
 * much. So the media thread asks only while the gate is open and a while longer, and never waits for the answer:
 *
 *   gate       ____________________▄▄▄▄████▄▄▄██▄▄______________________
 *   wanted        |◀── warm-up ──▶|                 |◀── hold ──▶|        `from` … `until`
 *   frames        |▒▒▒|▒▒▒|▒▒▒|▒▒▒|▓▓▓|▓▓▓|▓▓▓|▒▒▒|▓▓▓|                    32 ms each; ▒ all at once when the gate opens
 *   peeks                          ╰─▓╯╰─▓╯╰─▓╯                            the last 32 ms, at the end of each block
 *
 * The network has a memory, and begins with none. It warms up on the second before the gate opened, in frames laid so
 * that the last one ends with the newest sample: the first answer is there one block later. From frame to frame it
 * remembers. Until speech has begun, it also peeks between two frames: it looks at the last 32 ms from where its memory
 * stands, and forgets what it saw. That finds a voice 15 ms sooner than frames alone, at the same rate of false alarms.
 * While the gate is closed nothing is judged: what was left out is caught up with when it opens, a quarter of a second at
 * most. Speech that goes on is looked at every 64 ms: two frames at once cost little more than one.
 *
 * The judge reads the channel's ring, halves its rate, and adds noise at -55 dBov: a line that is silent to the last
 * bit makes the network deaf for the first sounds after it. When speech has ended it starts afresh, as it would expect
 * more of the same voice; between the bursts of a tone or the beats of music it goes on, as it knows them by then.
 *
 * Threads: `ve_judge_block` belongs to the media thread, `ve_judges_…` to the judge's. Between them are a few atomics.
 */
#ifndef VE_JUDGE_H
#define VE_JUDGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ve_events.h"
#include "ve_resample.h"
#include "ve_ring.h"

/* cffi: begin */
#define VE_JUDGE_RATE 8000
#define VE_JUDGE_CONTEXT 32 /* samples before a frame that the network sees with it */
#define VE_JUDGE_FRAME 256  /* samples: 32 ms */
#define VE_JUDGE_ROW 288    /* context and frame */

struct ve_judge_settings {
    struct ve_hub *hub;        /* wakes the judge's thread */
    double onset_probability;  /* a voice begins when the judge is this sure … */
    double speech_probability; /* … and goes on while it is this sure */
};
/* cffi: end */

struct ve_judge {
    const struct ve_ring *ring;
    struct ve_hub *hub;
    uint32_t onset_q16, speech_q16; /* probabilities in 1/65535 */
    /* from the media thread */
    _Atomic uint64_t from, until; /* 16 kHz positions */
    _Atomic uint64_t asked;       /* the end of what the gate last heard: no need to judge beyond it */
    atomic_bool eager;            /* for peeks */
    _Atomic uint64_t unjudged;    /* blocks that the gate decided because the judge was silent */
    uint32_t waited;              /* blocks with an open gate since the last answer in time */
    bool spoke;
    /* from the judge's thread */
    _Atomic uint64_t verdict; /* judged through this position, and the probability: 48 and 16 bits */
    uint64_t span, next;      /* the `from` it works on, and where the frame to come begins */
    uint64_t read, through;   /* the position to read on from, and the end of what was taken last */
    uint64_t caught_up;       /* nothing before it is left out */
    bool first;               /* the frame to come is the first of its span */
    struct ve_decimator decimator;
    int16_t line[VE_JUDGE_ROW + VE_JUDGE_FRAME]; /* at 8 kHz: a row before `next`, then the frame to come … */
    size_t filled;                               /* … as far as it is there */
};

/* cffi: tests begin */
/** 0, or -EINVAL. `ring` must outlive it. */
int ve_judge_open(struct ve_judge *judge, const struct ve_judge_settings *settings, const struct ve_ring *ring);

/**
 * A block lies in the ring; the gate has heard something in it, or not. True when what was heard is confirmed: by a
 * verdict in time, or for want of one.
 */
bool ve_judge_block(struct ve_judge *judge, bool heard, bool speaking);
/* cffi: tests end */

/* cffi: begin */
struct ve_judge;

struct ve_judge_row {
    uint32_t judge; /* whose it is: its index */
    bool anew;      /* the network has no memory yet … */
    bool keep;      /* … and must remember what it sees now: no peek */
};

/** One row of VE_JUDGE_ROW samples (full scale 1.0) for each of `count` judges that wants one. Returns how many. */
size_t ve_judges_gather(struct ve_judge *const *judges, size_t count, float *samples, struct ve_judge_row *rows);
/** The probabilities that the rows gathered last are voice; what is out of 0 … 1 is taken for the nearer, NaN for 0. */
void ve_judges_publish(struct ve_judge *const *judges, const struct ve_judge_row *rows, size_t count,
                       const float *probabilities);

/** Blocks that the gate decided because the judge was silent. Any thread. */
uint64_t ve_judge_unjudged(const struct ve_judge *judge);
/* cffi: end */

#endif
