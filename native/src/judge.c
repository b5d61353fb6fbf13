#include "ve_judge.h"

#include <errno.h>
#include <string.h>

#define MS 16u                                    /* ring samples */
#define STEP (2u * VE_JUDGE_FRAME)                /* a frame in ring samples */
#define AHEAD (2u * (VE_RESAMPLE_TAPS / 2u - 1u)) /* how far the decimator looks beyond what it gives */
#define WARM_UP_FRAMES 31u
#define CATCH_UP_FRAMES 8u        /* of what the gate was closed for, where there is a memory */
#define HOLD (6000u * MS)   /* longer than the pauses of a ringback tone */
#define FRESH (120u * MS)   /* a verdict about what lies further back says nothing about now */
#define SPEAKING (64u * MS) /* how often what is known to be speech is looked at: two frames at once cost little more than one */
#define PATIENCE_BLOCKS 10u /* with an open gate and no verdict */

/* --- the media thread --- */

static uint32_t q16(double probability) /* 0 … 1 */
{
    return (uint32_t)(probability * UINT16_MAX);
}

int ve_judge_open(struct ve_judge *judge, const struct ve_judge_settings *settings, const struct ve_ring *ring)
{
    if (!settings->hub || !(settings->speech_probability > 0) || !(settings->onset_probability < 1) ||
        !(settings->speech_probability <= settings->onset_probability))
        return -EINVAL;
    memset(judge, 0, sizeof *judge);
    judge->ring = ring;
    judge->hub = settings->hub;
    judge->onset_q16 = q16(settings->onset_probability);
    judge->speech_q16 = q16(settings->speech_probability);
    judge->span = UINT64_MAX;
    return 0;
}

/* The end of what can be decimated by now. */
static uint64_t end_of(uint64_t head)
{
    return head > AHEAD ? head - AHEAD : 0;
}

/* So many frames before it. */
static uint64_t before(uint64_t head, uint64_t most_frames)
{
    const uint64_t end = end_of(head);
    const uint64_t frames = end / STEP < most_frames ? end / STEP : most_frames;
    return end - frames * STEP;
}

/* `from` before `until`: who sees that something is wanted sees from where. */
static void ask(struct ve_judge *judge, uint64_t head, bool heard, bool speaking)
{
    const bool wanted = head < atomic_load_explicit(&judge->until, memory_order_relaxed);
    const bool over = judge->spoke && !speaking;
    judge->spoke = speaking;
    atomic_store_explicit(&judge->eager, !speaking, memory_order_relaxed);
    if (heard && (over || !wanted))
        atomic_store_explicit(&judge->from, before(head, WARM_UP_FRAMES), memory_order_relaxed);
    if (heard || over)
        atomic_store_explicit(&judge->until, heard ? head + HOLD : head, memory_order_release);
    if (heard && (!speaking || head >= atomic_load_explicit(&judge->asked, memory_order_relaxed) + SPEAKING)) {
        atomic_store_explicit(&judge->asked, end_of(head), memory_order_release);
        ve_hub_wake(judge->hub);
    }
}

bool ve_judge_block(struct ve_judge *judge, bool heard, bool speaking)
{
    const uint64_t head = ve_ring_head(judge->ring);
    const uint64_t verdict = atomic_load_explicit(&judge->verdict, memory_order_acquire), through = verdict >> 16;
    ask(judge, head, heard, speaking);
    if (!heard)
        return false;
    if (through > atomic_load_explicit(&judge->from, memory_order_relaxed) && head - through <= FRESH) {
        judge->waited = 0;
        return (verdict & UINT16_MAX) >= (speaking ? judge->speech_q16 : judge->onset_q16);
    }
    if (judge->waited < PATIENCE_BLOCKS) {
        judge->waited++;
        return speaking;
    }
    atomic_fetch_add_explicit(&judge->unjudged, 1, memory_order_relaxed);
    return true;
}

uint64_t ve_judge_unjudged(const struct ve_judge *judge)
{
    return atomic_load_explicit(&judge->unjudged, memory_order_relaxed);
}

/* --- the judge's thread --- */

static uint64_t later(uint64_t one, uint64_t other)
{
    return one > other ? one : other;
}

static void go_on_at(struct ve_judge *judge, uint64_t position, uint64_t head)
{
    judge->next = judge->read = judge->through = position;
    judge->caught_up = end_of(head);
    judge->filled = 0;
    memset(judge->line, 0, sizeof judge->line);
    ve_decimator_open(&judge->decimator);
}

/* Leave out what lies before `position`, where that is a frame or more. */
static void catch_up(struct ve_judge *judge, uint64_t position, uint64_t head)
{
    if (judge->next + STEP < position)
        go_on_at(judge, position, head);
}

/* Fill the frame to come with what the ring has of it. */
static void read_on(struct ve_judge *judge)
{
    int16_t heard[STEP + AHEAD], halved[(STEP + AHEAD + 1) / 2];
    const uint64_t wanted = judge->next + STEP + AHEAD - judge->read, from = judge->read;
    const size_t count = ve_ring_read(judge->ring, &judge->read, heard, (size_t)wanted);
    if (judge->read != from) /* the ring has come round: what was to be read next is gone */
        go_on_at(judge, judge->read, ve_ring_head(judge->ring));
    const size_t made = ve_decimate(&judge->decimator, heard, count, halved);
    judge->read += count;
    memcpy(judge->line + VE_JUDGE_ROW + judge->filled, halved, made * sizeof *halved);
    judge->filled += made;
}

/* White noise, uniform, at -55 dBov (peak: 10^(-55/20) × √3), the same for a position whenever it is read: a hash. */
static float noise_at(uint32_t position)
{
    uint32_t bits = position * 0x9e3779b1u;
    bits = (bits ^ bits >> 15) * 0x85ebca77u;
    bits ^= bits >> 13;
    return (float)(int32_t)bits * (0.0030801f / 2147483648.0f);
}

/* The row that ends with what there is. */
static void copy_row(const struct ve_judge *judge, float *row)
{
    const int16_t *from = judge->line + judge->filled;
    const uint32_t position = (uint32_t)(judge->next / 2 + judge->filled);
    for (uint32_t i = 0; i < VE_JUDGE_ROW; i++)
        row[i] = (float)from[i] / 32768.0f + noise_at(position + i);
}

static void step(struct ve_judge *judge)
{
    memmove(judge->line, judge->line + VE_JUDGE_FRAME, VE_JUDGE_ROW * sizeof *judge->line);
    judge->filled = 0;
    judge->next += STEP;
    judge->first = false;
}

/* True when there was something new to look at. */
static bool take(struct ve_judge *judge, float *samples, struct ve_judge_row *row)
{
    const uint64_t until = atomic_load_explicit(&judge->until, memory_order_acquire);
    const uint64_t from = atomic_load_explicit(&judge->from, memory_order_relaxed);
    const uint64_t head = ve_ring_head(judge->ring);
    if ((from == judge->span ? judge->next : from) >= until)
        return false;
    const bool anew = from != judge->span;
    if (!anew && judge->through >= atomic_load_explicit(&judge->asked, memory_order_relaxed))
        return false;
    if (anew)
        go_on_at(judge, later(from, before(head, WARM_UP_FRAMES)), head);
    else if (judge->next + STEP > judge->caught_up)
        catch_up(judge, before(head, CATCH_UP_FRAMES), head);
    judge->first |= anew;
    judge->span = from;
    read_on(judge);

    const uint64_t end = judge->next + 2 * judge->filled;
    row->keep = judge->filled == VE_JUDGE_FRAME;
    row->anew = judge->first;
    if (end == judge->through || !(row->keep || atomic_load_explicit(&judge->eager, memory_order_relaxed)))
        return false;
    judge->through = end;
    copy_row(judge, samples);
    if (row->keep)
        step(judge);
    return true;
}

size_t ve_judges_gather(struct ve_judge *const *judges, size_t count, float *samples, struct ve_judge_row *rows)
{
    size_t taken = 0;
    for (uint32_t i = 0; i < count; i++) {
        rows[taken].judge = i;
        taken += take(judges[i], samples + taken * VE_JUDGE_ROW, &rows[taken]);
    }
    return taken;
}

/* Not a number is no voice. */
static double in_range(float probability)
{
    return probability > 0 ? (probability < 1 ? (double)probability : 1) : 0;
}

void ve_judges_publish(struct ve_judge *const *judges, const struct ve_judge_row *rows, size_t count,
                       const float *probabilities)
{
    for (size_t i = 0; i < count; i++) {
        struct ve_judge *judge = judges[rows[i].judge];
        const uint64_t verdict = judge->through << 16 | q16(in_range(probabilities[i]));
        atomic_store_explicit(&judge->verdict, verdict, memory_order_release);
    }
}
