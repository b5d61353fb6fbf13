/**
 * @file ve_echo.h  Line echo canceller (yardstick: ITU-T G.168) for a hybrid that lies behind a packet network.
 *
 *   far ──┬──────────────────────────────────────────────► to the caller, over IP: comes back 20 … 300 ms later
 *         │
 *         ├─► bulk delay D ─► window of D … D + tail ─┬─────────────┐
 *         │   (ve_delay.h)                            ▼             ▼
 *         │                                       background    foreground ── y
 *         │                                       adapts always  never adapts│
 *         │                                           │   ▲ better?  ▲      ▼
 *   near ─┴───────────────────────────────────────────┴───┴── copy ──┘   near − y ─► suppressor ─► out
 *
 * Two filters (Ochiai, Araseki, Ogihara 1977): what is heard goes through the foreground filter only, which is replaced
 * by the background filter (ve_nlms.h) when that has proved better for some time. So a mistake of the adaptation, or a
 * jump of the bulk delay, is never heard, only how soon it is mended. A foreground that adds more than it takes away is
 * dropped at once.
 *
 * Adaptation sees both sides through the same pre-emphasis, 1 − 0.5 z⁻¹: it whitens speech, which speeds NLMS up, and
 * leaves the path between them as it is.
 *
 * Where no echo is found the canceller gives out `near` bit by bit, and costs but the search. That there is none is
 * known as soon as nothing came back in time of what was sent: the near end stayed 30 dB below the far end's peak.
 */
#ifndef VE_ECHO_H
#define VE_ECHO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ve_delay.h"
#include "ve_geigel.h"
#include "ve_nlms.h"
#include "ve_suppressor.h"

#define VE_ECHO_HOP_MS 4u  /* decisions are taken this often */
#define VE_ECHO_HOP_MAX 64 /* samples */
#define VE_ECHO_FAR_MAX (16 * (VE_DELAY_MS_MAX + VE_ECHO_HOP_MS) + VE_NLMS_TAPS_MAX)
#define VE_ECHO_SLACK 1024 /* samples that a history takes before it is moved to the start of its memory */

/* cffi: begin */
struct ve_echo_settings {
    uint32_t tail_ms;          /* length of the hybrid's echo: 8 … 64 (32 at 16 kHz), even */
    uint32_t longest_delay_ms; /* of network and jitter buffers before the hybrid: 0 … 368 */
    bool suppression;          /* replace the residual echo by comfort noise */
};

struct ve_echo_report {
    int32_t delay_ms; /* where the echo is cancelled, -1: nowhere (not found, or none there) */
    bool searching;   /* neither found nor ruled out yet */
    float loss_db;    /* echo return loss enhancement of the last moments the far end spoke, without suppression */
};
/* cffi: end */

/**
 * The filter that is heard: of integers, so that it is exact however the samples are chopped, and as cheap as can be.
 */
struct ve_echo_foreground {
    bool active;
    uint32_t delay;                                 /* samples */
    int shift;                                      /* weights are scaled by 2^shift */
    _Alignas(16) int16_t weights[VE_NLMS_TAPS_MAX]; /* that of the window's oldest sample first */
};

/** The filter that adapts. */
struct ve_echo_background {
    bool active;
    uint32_t delay;
    struct ve_nlms nlms;
    uint32_t vain_hops;     /* that it has learned in without being of use */
    uint32_t hops_to_learn; /* until the window is silent */
};

/** By which the filters are judged: powers over the last 30 or 60 ms in which the far end spoke. */
struct ve_echo_contest {
    float near, foreground, background; /* of near and of both errors, with pre-emphasis */
    float echo, removed;                /* of the estimated echo; of near less that of the foreground's error */
    uint32_t worse;                     /* hops in a row that the background has been so */
    uint32_t settled;                   /* hops that the foreground has been good */
};

struct ve_echo {
    uint32_t rate, hop, taps, longest; /* samples */
    bool suppression;
    uint32_t fill;                       /* samples of this hop that have come */
    uint32_t end;                        /* of the far history */
    int16_t near[1 + VE_ECHO_HOP_MAX];   /* this hop and the sample before it */
    int16_t error[1 + VE_ECHO_HOP_MAX];  /* likewise, before suppression */
    uint32_t silent_hops;                /* since the far end last spoke */
    uint32_t vain_hops;                  /* of far-end speech without an echo that could be cancelled */
    uint32_t heard_hops;                          /* of near-end sound that may be an echo or a caller */
    bool likely;                                  /* a delay at which it would be an echo */
    uint32_t waited;                              /* hops since the far end began to speak, for an echo that is late */
    float far_peak, near_peak;                    /* loudest hops: of what was sent first, of all that came since */
    uint32_t candidate, candidate_words;          /* a new bulk delay, and for how long it has been the best */
    uint32_t late_words;                          /* for which the background has begun too late */
    struct ve_delay delay;
    struct ve_geigel geigel;
    struct ve_echo_foreground foreground;
    struct ve_echo_background background;
    struct ve_echo_contest contest;
    struct ve_suppressor suppressor;
    int16_t far[VE_ECHO_FAR_MAX + VE_ECHO_SLACK + 4]; /* what was sent */
};

/* cffi: tests begin */
int ve_echo_open(struct ve_echo *echo, uint32_t rate, const struct ve_echo_settings *settings); /* 0, -EINVAL */

/**
 * Take from `near` the echo of `far`, which was sent in the same tick. `cancelled` is what is left: for what looks for
 * keys and tones, which come as they please. `out` is the same after suppression: for what looks for a voice. Both may
 * be `near`.
 */
void ve_echo_put(struct ve_echo *echo, const int16_t *far, const int16_t *near, int16_t *cancelled, int16_t *out,
                 size_t count);

void ve_echo_report(const struct ve_echo *echo, struct ve_echo_report *report);
/* cffi: tests end */

#endif
