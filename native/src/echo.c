#include "ve_echo.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ve_number.h"

#define FOUR 4u                 /* outputs computed together */
#define LANES 8                 /* independent sums, for the compiler to keep in vector registers */
#define PRE_EMPHASIS 0.5f
#define FAR_SPEAKS 400.0f       /* power: rms 20, −64 dBov */
#define FAR_SILENT 64.0f        /* power: rms 8, as G.711 idles */
#define LIKELY 0.17f            /* coefficient of an echo */
#define CLEARLY_BETTER 1.25f    /* a new delay's coefficient over that of the present window */
#define SURE_WORDS 1u           /* of 16 ms that a first delay must be the best, */
#define JUMP_WORDS 6u           /* a new one */
#define VAIN_MS 1500u           /* of far-end speech without an echo found: there is none */
#define UNDECIDED_MS 240u       /* of what came while the far end spoke: an echo would have shown its delay by then */
#define PROBE_MS 100u           /* of what was sent, whose echo is waited for */
#define NO_ECHO 0.001f          /* 30 dB below it: what comes back so weak sets off no voice detector */
#define CONTEST_MEMORY 0.125f   /* a hop: 32 ms */
#define JUDGE_MEMORY 0.0625f    /* a hop: 64 ms */
#define BETTER 0.95f            /* background's error over foreground's */
#define WORTHWHILE 0.5f         /* and over near: 3 dB of echo cancelled */
#define WORSE 1.5f
#define WORSE_HOPS 64u          /* a background at another delay may need a quarter of a second to become better */
#define HARMFUL (-0.3f)         /* of its echo estimate the foreground removes 1 where it is right, −1 where not */
#define CALLER 6.0f             /* near and error over the estimate, which are 1 to 3 of it where the caller is silent */
#define LOUDEST_PATH 16.0f      /* sum of the weights' magnitudes: a hybrid has about 2 */
#define SETTLED 0.02f           /* foreground's error over near: 17 dB of echo cancelled */
#define SETTLED_HOPS 100u        /* of which make every second sample enough, */
#define WELL_SETTLED_HOPS 250u  /* every fourth */
#define UNSETTLED 0.5f          /* background's error over foreground's: the path has changed */

static uint32_t samples_of(const struct ve_echo *echo, uint32_t ms)
{
    return echo->rate / 1000 * ms;
}

static float total(const float *sums)
{
    return (sums[0] + sums[4]) + (sums[1] + sums[5]) + (sums[2] + sums[6]) + (sums[3] + sums[7]);
}

/** Mean square of `count` samples, a multiple of LANES. */
static float power(const int16_t *samples, size_t count)
{
    float sums[LANES] = {0};
    for (size_t i = 0; i < count; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++)
            sums[lane] += (float)(samples[i + lane] * samples[i + lane]);
    return total(sums) / (float)count;
}

/** Writes what `count` samples are after pre-emphasis; samples[-1] is the one before. */
static void emphasise(const int16_t *samples, float *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (float)samples[i] - PRE_EMPHASIS * (float)*(samples + i - 1);
}

int ve_echo_open(struct ve_echo *echo, uint32_t rate, const struct ve_echo_settings *settings)
{
    const uint32_t per_ms = rate / 1000;
    if ((rate != 8000 && rate != 16000) || settings->tail_ms < 8 || settings->tail_ms > VE_NLMS_TAPS_MAX / per_ms ||
        settings->tail_ms % 2 != 0 || settings->longest_delay_ms > VE_DELAY_MS_MAX)
        return -EINVAL;
    memset(echo, 0, sizeof *echo);
    echo->rate = rate;
    echo->hop = samples_of(echo, VE_ECHO_HOP_MS);
    echo->taps = samples_of(echo, settings->tail_ms);
    echo->longest = samples_of(echo, settings->longest_delay_ms);
    echo->suppression = settings->suppression;
    echo->end = echo->longest + echo->taps + echo->hop;
    ve_delay_open(&echo->delay, rate, settings->longest_delay_ms);
    ve_geigel_open(&echo->geigel, (echo->longest + echo->taps) / echo->hop + 1);
    ve_suppressor_open(&echo->suppressor, echo->hop);
    return 0;
}

/* ---- what is heard ---- */

/** The sums of products of `weights` with four windows, each a sample later: a weight is loaded once for four. */
static void correlate(const int16_t *restrict weights, const int16_t *restrict window, size_t taps,
                      int32_t *restrict sums)
{
    int32_t a = 0;
    int32_t b = 0;
    int32_t c = 0;
    int32_t d = 0;
    for (size_t i = 0; i < taps; i++) {
        a += weights[i] * window[i];
        b += weights[i] * window[i + 1];
        c += weights[i] * window[i + 2];
        d += weights[i] * window[i + 3];
    }
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
}

/**
 * near less the estimated echo, into echo->error; the far end's samples are in the history already, from `first` on.
 */
static void cancel(struct ve_echo *echo, uint32_t first, size_t count)
{
    const struct ve_echo_foreground *foreground = &echo->foreground;
    const int16_t *near = echo->near + 1 + echo->fill;
    int16_t *error = echo->error + 1 + echo->fill;
    if (!foreground->active || echo->silent_hops * echo->hop > foreground->delay + echo->taps) {
        memcpy(error, near, count * sizeof *error);
        return;
    }
    const int16_t *window = echo->far + first - foreground->delay - echo->taps + 1;
    const int32_t half = 1 << (foreground->shift - 1);
    for (size_t i = 0; i < count; i += FOUR) { /* up to three too many: their samples are there, if not yet right */
        int32_t sums[FOUR];
        correlate(foreground->weights, window + i, echo->taps, sums);
        for (size_t j = 0; j < FOUR && i + j < count; j++)
            error[i + j] = ve_saturated(near[i + j] - ((sums[j] + half) >> foreground->shift));
    }
}

/* ---- what adapts ---- */

/**
 * Give the foreground the background's weights (unless no hybrid can be like that), scaled up as far as neither a
 * weight nor the sum of products can overflow.
 */
static void promote(struct ve_echo *echo)
{
    struct ve_echo_foreground *foreground = &echo->foreground;
    const float *weights = echo->background.nlms.weights;
    float sums[LANES] = {0};
    for (uint32_t i = 0; i < echo->taps; i += LANES)
        for (uint32_t lane = 0; lane < LANES; lane++)
            sums[lane] += fabsf(weights[i + lane]);
    const float sum = total(sums);
    if (sum > LOUDEST_PATH)
        return;
    int shift = 15;
    while (sum * (float)(1 << shift) > 32000.0f)
        shift--;
    const float scale = (float)(1 << shift);
    for (uint32_t i = 0; i < echo->taps; i++)
        foreground->weights[i] = (int16_t)(int32_t)(weights[i] * scale + (weights[i] < 0 ? -0.5f : 0.5f));
    foreground->shift = shift;
    foreground->delay = echo->background.delay;
    foreground->active = true;
}

/** Start the background at `delay`, knowing nothing. */
static void place(struct ve_echo *echo, uint32_t delay)
{
    struct ve_echo_background *background = &echo->background;
    background->active = true;
    background->delay = delay;
    ve_nlms_open(&background->nlms, echo->rate, echo->taps);
    echo->contest.worse = echo->contest.settled = 0;
}

/** Start the background again from what the foreground knows. */
static void demote(struct ve_echo *echo)
{
    const struct ve_echo_foreground *foreground = &echo->foreground;
    place(echo, foreground->delay);
    struct ve_nlms *nlms = &echo->background.nlms;
    nlms->p *= 0.1f;
    for (uint32_t i = 0; i < echo->taps; i++)
        nlms->weights[i] = (float)foreground->weights[i] / (float)(1 << foreground->shift);
}

/** A path that is known well need not be looked at each sample. */
static size_t stride(const struct ve_echo *echo)
{
    return echo->contest.settled < SETTLED_HOPS ? 1 : echo->contest.settled < WELL_SETTLED_HOPS ? 2 : 4;
}

static void smooth(float *mean, float value)
{
    *mean += CONTEST_MEMORY * (value - *mean);
}

/** Adapt to the last hop, and enter both filters' errors into the contest. */
static void adapt(struct ve_echo *echo, const float *near)
{
    struct ve_echo_background *background = &echo->background;
    struct ve_echo_contest *contest = &echo->contest;
    float windows[VE_NLMS_TAPS_MAX - 1 + VE_ECHO_HOP_MAX];
    float foreground[VE_ECHO_HOP_MAX];
    float error[VE_ECHO_HOP_MAX];
    const size_t every = stride(echo);
    const uint32_t count = echo->taps - 1 + echo->hop;
    emphasise(echo->far + echo->end - background->delay - count, windows, count);
    ve_nlms_adapt(&background->nlms, windows, near, error, echo->hop, every);
    emphasise(echo->error + 1, foreground, echo->hop);
    float of_near = 0;
    float of_foreground = 0;
    float of_background = 0;
    for (size_t i = 0; i < echo->hop; i += every) {
        of_near += near[i] * near[i];
        of_foreground += foreground[i] * foreground[i];
        of_background += error[i] * error[i];
    }
    smooth(&contest->near, of_near * (float)every);
    smooth(&contest->foreground, of_foreground * (float)every);
    smooth(&contest->background, of_background * (float)every);
}

static void decide(struct ve_echo *echo)
{
    struct ve_echo_contest *contest = &echo->contest;
    const bool better = contest->background < BETTER * contest->foreground &&
                        contest->background < WORTHWHILE * contest->near;
    const bool worse = contest->background > WORSE * contest->foreground || contest->background > WORSE * contest->near;
    if (contest->foreground < SETTLED * contest->near && contest->settled < WELL_SETTLED_HOPS)
        contest->settled++;
    if (contest->background < UNSETTLED * contest->foreground)
        contest->settled = 0;
    contest->worse = worse ? contest->worse + 1 : 0;
    if (better) {
        promote(echo);
        echo->vain_hops = 0;
    } else if (contest->worse >= WORSE_HOPS) {
        if (echo->foreground.active)
            demote(echo);
        else
            place(echo, echo->background.delay);
    }
}

/**
 * Drop a foreground that adds to near instead of taking away; if the background cannot do better there, the echo has
 * moved. Only hops count in which the caller is not loud: else the estimate adds to near, or not, by chance, and no
 * harm is heard. (To look at near alone would choose the hops in which the caller happens to cancel the echo.)
 */
static void judge(struct ve_echo *echo, float near, float estimate, float error)
{
    struct ve_echo_contest *contest = &echo->contest;
    if (estimate < FAR_SILENT || near + error > CALLER * estimate)
        return;
    contest->echo += JUDGE_MEMORY * (estimate - contest->echo);
    contest->removed += JUDGE_MEMORY * (near - error - contest->removed);
    if (contest->removed >= HARMFUL * contest->echo)
        return;
    echo->foreground.active = false;
    contest->echo = contest->removed = 0;
    echo->vain_hops = 0;
    if (contest->background > contest->near)
        ve_delay_forget(&echo->delay);
}

/* ---- where to look ---- */

/**
 * Does the background's window begin in the midst of the echo? Then its first weights are no smaller than the others.
 */
static bool begins_too_late(const struct ve_echo *echo)
{
    const uint32_t edge = echo->taps / 16;
    const float *weights = echo->background.nlms.weights;
    float all = 0;
    float first = 0;
    for (uint32_t i = 0; i < echo->taps; i++)
        all += weights[i] * weights[i];
    for (uint32_t i = echo->taps - edge; i < echo->taps; i++)
        first += weights[i] * weights[i];
    return echo->background.delay > 0 && echo->contest.background < WORTHWHILE * echo->contest.near && first * 16 > all;
}

/** Nothing shows an echo that comes before the window but its tail: look from earlier on. */
static void widen(struct ve_echo *echo)
{
    echo->late_words = begins_too_late(echo) ? echo->late_words + 1 : 0;
    if (echo->late_words < JUMP_WORDS)
        return;
    const uint32_t earlier = echo->taps / 4;
    place(echo, echo->background.delay > earlier ? echo->background.delay - earlier : 0);
    echo->late_words = 0;
}

/**
 * Move the background when the echo comes at another delay than its window's. What is found is the strongest echo below
 * 1 kHz, which hybrids delay most: the window begins 5/16 of its length before, and is good for a peak from 1/8 to 5/8
 * of it.
 */
static void search(struct ve_echo *echo)
{
    const struct ve_echo_background *background = &echo->background;
    const uint32_t lead = echo->taps * 5 / 16;
    const uint32_t close = samples_of(echo, 4);
    const struct ve_delay_peak peak = ve_delay_peak(&echo->delay);
    echo->likely = peak.coefficient >= LIKELY;
    const bool same = abs((int32_t)peak.delay - (int32_t)echo->candidate) <= (int32_t)close;
    echo->candidate_words = same ? echo->candidate_words + 1 : 0;
    echo->candidate = peak.delay;
    if (peak.coefficient < LIKELY || peak.delay > echo->longest + lead)
        return;
    if (echo->candidate_words < (echo->foreground.active ? JUMP_WORDS : SURE_WORDS))
        return;
    const uint32_t first = background->delay ? background->delay + echo->taps / 8 : 0;
    const uint32_t last = background->delay + echo->taps * 5 / 8;
    const bool inside = peak.delay >= first && peak.delay <= last;
    const bool clear = peak.coefficient > CLEARLY_BETTER * ve_delay_within(&echo->delay, first, last);
    if (!background->active || (!inside && clear))
        place(echo, peak.delay > lead ? peak.delay - lead : 0);
}

/* ---- the hop ---- */

static bool searching(const struct ve_echo *echo)
{
    return !echo->foreground.active && echo->vain_hops < VAIN_MS / VE_ECHO_HOP_MS;
}

/** While an echo is looked for: rule it out when far-end speech was sent and nothing came back in time. */
static void wait_for_echo(struct ve_echo *echo, float far, float near)
{
    const uint32_t probe = PROBE_MS / VE_ECHO_HOP_MS;
    if (echo->waited == 0) {
        if (far <= FAR_SPEAKS)
            return;
        echo->far_peak = echo->near_peak = 0;
    }
    if (echo->waited < probe && far > echo->far_peak)
        echo->far_peak = far;
    if (near > echo->near_peak)
        echo->near_peak = near;
    if (++echo->waited < probe + (echo->longest + echo->taps) / echo->hop)
        return;
    if (echo->near_peak < NO_ECHO * echo->far_peak)
        echo->vain_hops = VAIN_MS / VE_ECHO_HOP_MS;
    echo->waited = 0;
}

/**
 * Whether what comes now may be an echo not found yet. The first of it may be; later only what has a delay in common with the far
 * end: a caller who speaks into the first prompt is not kept waiting for longer.
 */
static bool may_be_echo(struct ve_echo *echo, float near)
{
    if (!searching(echo))
        return false;
    if (near > NO_ECHO * ve_geigel_far(&echo->geigel))
        echo->heard_hops++;
    return echo->likely || echo->heard_hops < UNDECIDED_MS / VE_ECHO_HOP_MS;
}

/** Adapt if the window holds anything to learn from; give up a background that never was of use. */
static void learn(struct ve_echo *echo, const float *near)
{
    struct ve_echo_background *background = &echo->background;
    const int16_t *delayed = echo->far + echo->end - echo->hop - background->delay;
    if (power(delayed, echo->hop) > FAR_SPEAKS)
        background->hops_to_learn = echo->taps / echo->hop + 1;
    if (background->hops_to_learn == 0)
        return;
    background->hops_to_learn--;
    adapt(echo, near);
    decide(echo);
    background->vain_hops = echo->foreground.active ? 0 : background->vain_hops + 1;
    if (background->vain_hops >= VAIN_MS / VE_ECHO_HOP_MS)
        background->active = false;
}

static void finish_hop(struct ve_echo *echo)
{
    float far[VE_ECHO_HOP_MAX];
    float near[VE_ECHO_HOP_MAX];
    int16_t estimate[VE_ECHO_HOP_MAX];
    const int16_t *sent = echo->far + echo->end - echo->hop;
    const float sent_power = power(sent, echo->hop);
    const bool speaks = sent_power > FAR_SPEAKS;
    emphasise(sent, far, echo->hop);
    emphasise(echo->near + 1, near, echo->hop);
    for (uint32_t i = 0; i < echo->hop; i++)
        estimate[i] = ve_saturated(echo->near[1 + i] - echo->error[1 + i]);
    const float estimated = power(estimate, echo->hop);
    const float error = power(echo->error + 1, echo->hop);
    const float received = power(echo->near + 1, echo->hop);
    ve_geigel_put(&echo->geigel, sent_power, received);
    if (echo->suppression)
        ve_suppressor_decide(&echo->suppressor, &(struct ve_suppressor_hop){
            .far = power(sent - echo->foreground.delay, echo->hop), .far_peak = ve_geigel_far(&echo->geigel),
            .share = ve_geigel_share(&echo->geigel), .echo = estimated, .error = error, .trusted = echo->foreground.active,
            .unknown = may_be_echo(echo, received)});
    echo->silent_hops = sent_power > FAR_SILENT ? 0 : echo->silent_hops + 1;
    if (echo->foreground.active)
        judge(echo, received, estimated, error);
    else if (speaks)
        echo->vain_hops++;
    if (searching(echo))
        wait_for_echo(echo, sent_power, received);
    if (echo->background.active)
        learn(echo, near);
    if (ve_delay_put(&echo->delay, far, near, speaks, received > NO_ECHO * ve_geigel_far(&echo->geigel))) {
        if (echo->background.active)
            widen(echo);
        search(echo);
    }
    echo->near[0] = echo->near[echo->hop];
    echo->error[0] = echo->error[echo->hop];
}

/** Room for a hop behind the far history. */
static void make_room(struct ve_echo *echo)
{
    const uint32_t kept = echo->longest + echo->taps + echo->hop;
    if (echo->end + echo->hop <= VE_ECHO_FAR_MAX + VE_ECHO_SLACK)
        return;
    memmove(echo->far, echo->far + echo->end - kept, kept * sizeof *echo->far);
    echo->end = kept;
}

void ve_echo_put(struct ve_echo *echo, const int16_t *far, const int16_t *near, int16_t *cancelled, int16_t *out,
                 size_t count)
{
    while (count > 0) {
        if (echo->fill == 0)
            make_room(echo);
        const size_t n = count < echo->hop - echo->fill ? count : echo->hop - echo->fill;
        memcpy(echo->far + echo->end, far, n * sizeof *far);
        memcpy(echo->near + 1 + echo->fill, near, n * sizeof *near);
        cancel(echo, echo->end, n);
        memcpy(cancelled, echo->error + 1 + echo->fill, n * sizeof *cancelled);
        memcpy(out, echo->error + 1 + echo->fill, n * sizeof *out);
        if (echo->suppression)
            ve_suppressor_put(&echo->suppressor, out, echo->fill, n);
        echo->end += (uint32_t)n;
        echo->fill += (uint32_t)n;
        if (echo->fill == echo->hop) {
            finish_hop(echo);
            echo->fill = 0;
        }
        far += n;
        near += n;
        cancelled += n;
        out += n;
        count -= n;
    }
}

void ve_echo_report(const struct ve_echo *echo, struct ve_echo_report *report)
{
    const struct ve_echo_contest *contest = &echo->contest;
    report->delay_ms = echo->foreground.active ? (int32_t)(echo->foreground.delay * 1000 / echo->rate) : -1;
    report->searching = searching(echo);
    report->loss_db =
        echo->foreground.active ? 10.0f * log10f((contest->near + 1.0f) / (contest->foreground + 1.0f)) : 0.0f;
}
