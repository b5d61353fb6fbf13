#include "ve_media.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "ve_clock.h"
#include "ve_pjmedia.h"
#include "ve_symbols.h"

#define KEYS 64u             /* a power of two; a press is some ten packets */
#define SLOTS 256u           /* calls at once of any PJSIP that was built for us */
#define MOST_SAMPLES 960u    /* 60 ms at 16 kHz */
#define POLL_EVENTS 16       /* what one pj_ioqueue_poll handles at most */
#define POLLS 8              /* a frame: more packets than that wait for the next */
#define LOST_NS 200000000u   /* so far behind, the frames in between are left out */
#define ANSWER_NS 8000000u   /* what it takes whoever is told of a key to silence the prompt, and more */
#define GOES_ON 1u           /* PJMEDIA_STREAM_DTMF_IS_UPDATE: not the first packet of a press */
#define DESCRIPTION_LONGS 256 /* pj_thread_desc has 64 */

struct pj_time {
    long seconds, milliseconds;
};

struct pj_key { /* pjmedia_stream_dtmf_event */
    int digit;
    uint32_t timestamp;
    uint16_t duration_ms, flags;
};

typedef void key_callback(void *stream, void *watched, const struct pj_key *key);

struct watched { /* what a stream's callback is given: it outlives every stream */
    struct ve_media *media;
    uint32_t call;
};

struct ve_media {
    void *(*endpoint)(void);
    void *(*ioqueue_of)(void *endpoint);
    int (*stop_threads)(void *endpoint);
    int (*poll)(void *ioqueue, const struct pj_time *timeout);
    void *(*no_sound)(void);
    int (*get_frame)(void *port, struct pj_frame *frame);
    int (*thread_register)(const char *name, long *description, void **thread);
    int (*watch_keys)(void *stream, key_callback *callback, void *watched);

    void *ioqueue, *bridge;
    uint32_t rate, frame_ms;
    int waker;
    pthread_t thread;
    pthread_mutex_t lock; /* of the two flags */
    pthread_cond_t changed;
    bool running, closing;

    struct watched watched[SLOTS]; /* by PJSIP's slot: a call has it to itself for as long as it has streams */
    struct ve_told_key keys[KEYS];
    _Atomic uint32_t written, read;
    uint32_t presses; /* told so far */
};

/* --- the media thread --- */

static void on_key(void *stream, void *given, const struct pj_key *key)
{
    (void)stream;
    const struct watched *watched = given;
    struct ve_media *media = watched->media;
    const uint32_t written = atomic_load_explicit(&media->written, memory_order_relaxed);
    if (written - atomic_load_explicit(&media->read, memory_order_acquire) == KEYS)
        return; /* a flood: presses tell themselves many times */
    media->keys[written % KEYS] = (struct ve_told_key){.call = watched->call,
                                                       .key = (uint32_t)key->digit,
                                                       .timestamp = key->timestamp,
                                                       .duration_ms = key->duration_ms,
                                                       .flags = key->flags,
                                                       .at_ns = ve_now_ns()};
    atomic_store_explicit(&media->written, written + 1, memory_order_release);
    media->presses += (key->flags & GOES_ON) == 0;
    (void)!send(media->waker, "\r\n\r\n", 4, MSG_DONTWAIT | MSG_NOSIGNAL); /* a full buffer wakes as well */
}

static void take_packets(struct ve_media *media)
{
    const struct pj_time now = {0, 0};
    for (int i = 0; i < POLLS && media->poll(media->ioqueue, &now) >= POLL_EVENTS; i++)
        ;
}

static void give_frame(struct ve_media *media, uint64_t *timestamp)
{
    int16_t samples[MOST_SAMPLES]; /* nobody hears the bridge itself */
    const uint32_t count = media->rate / 1000 * media->frame_ms;
    struct pj_frame frame = {.buf = samples, .size = count * sizeof *samples, .timestamp = *timestamp};
    media->get_frame(media->bridge, &frame);
    *timestamp += count;
}

static bool wait_for_calls(struct ve_media *media)
{
    pthread_mutex_lock(&media->lock);
    while (!media->running && !media->closing)
        pthread_cond_wait(&media->changed, &media->lock);
    const bool going_on = !media->closing;
    pthread_mutex_unlock(&media->lock);
    return going_on;
}

static bool is_running(struct ve_media *media)
{
    pthread_mutex_lock(&media->lock);
    const bool running = media->running && !media->closing;
    pthread_mutex_unlock(&media->lock);
    return running;
}

static void sleep_until(uint64_t due_ns)
{
    const struct timespec due = {(time_t)(due_ns / 1000000000u), (long)(due_ns % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR)
        ;
}

/** When frames are due: at the same moments in all workers, so that each finds in the cache what the one before it ran. */
static uint64_t next_frame(const struct ve_media *media)
{
    const uint64_t frame_ns = media->frame_ms * 1000000u;
    return (ve_now_ns() / frame_ns + 1) * frame_ns;
}

static void *work(void *given)
{
    struct ve_media *media = given;
    const uint64_t frame_ns = media->frame_ms * 1000000u;
    uint64_t timestamp = 0;
    long description[DESCRIPTION_LONGS] = {0};
    void *thread;
    if (media->thread_register("ve-media", description, &thread) != 0)
        return NULL;
    pthread_setname_np(pthread_self(), "media");
    bool waited = false; /* never twice running: who sends nothing but presses shifts no frames of others for good */
    while (wait_for_calls(media)) {
        uint64_t due_ns = next_frame(media);
        for (; is_running(media); due_ns += frame_ns) {
            if (ve_now_ns() > due_ns + LOST_NS)
                due_ns = next_frame(media);
            sleep_until(due_ns);
            const uint32_t presses = media->presses;
            take_packets(media);
            waited = media->presses != presses && !waited;
            if (waited)
                sleep_until(due_ns + ANSWER_NS); /* so that the key silences the prompt in this frame already */
            give_frame(media, &timestamp);
        }
    }
    return NULL;
}

/* --- the SIP pump --- */

static bool find_functions(struct ve_media *media, const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
    const struct ve_symbol symbols[] = {
        {&media->endpoint, "pjsua_get_pjmedia_endpt"},
        {&media->ioqueue_of, "pjmedia_endpt_get_ioqueue"},
        {&media->stop_threads, "pjmedia_endpt_stop_threads"},
        {&media->poll, "pj_ioqueue_poll"},
        {&media->no_sound, "pjsua_set_no_snd_dev"},
        {&media->get_frame, "pjmedia_port_get_frame"},
        {&media->thread_register, "pj_thread_register"},
        {&media->watch_keys, "pjmedia_stream_set_dtmf_event_callback"},
    };
    return library && ve_symbols_find(library, symbols, sizeof symbols / sizeof *symbols);
}

static const char *start(struct ve_media *media, const char *path)
{
    if (!find_functions(media, path))
        return "the pjsua2 module does not export PJSIP's functions: install pjsua2-python 2.15.1.post1";
    media->ioqueue = media->ioqueue_of(media->endpoint());
    media->bridge = media->no_sound();
    if (!media->ioqueue || !media->bridge || media->stop_threads(media->endpoint()) != 0)
        return "PJSIP has no conference bridge yet";
    pthread_mutex_init(&media->lock, NULL);
    pthread_cond_init(&media->changed, NULL);
    return pthread_create(&media->thread, NULL, work, media) == 0 ? NULL : "no thread is left for audio";
}

const char *ve_media_open(struct ve_media **out, const char *path, uint32_t rate, uint32_t frame_ms, int waker)
{
    if (rate / 1000 * frame_ms > MOST_SAMPLES)
        return "the bridge's frames are too long";
    struct ve_media *media = calloc(1, sizeof *media);
    if (!media)
        return "out of memory";
    media->rate = rate;
    media->frame_ms = frame_ms;
    media->waker = waker;
    const char *wrong = start(media, path);
    if (wrong)
        free(media);
    else
        *out = media;
    return wrong;
}

static void tell(struct ve_media *media, bool running, bool closing)
{
    pthread_mutex_lock(&media->lock);
    media->running = running;
    media->closing = closing;
    pthread_cond_signal(&media->changed);
    pthread_mutex_unlock(&media->lock);
}

void ve_media_run(struct ve_media *media)
{
    tell(media, true, false);
}

void ve_media_rest(struct ve_media *media)
{
    tell(media, false, false);
}

void ve_media_close(struct ve_media *media)
{
    tell(media, false, true);
    pthread_join(media->thread, NULL);
    pthread_cond_destroy(&media->changed);
    pthread_mutex_destroy(&media->lock);
    free(media);
}

int ve_media_watch_keys(struct ve_media *media, uintptr_t stream, uint32_t slot, uint32_t call)
{
    if (slot >= SLOTS)
        return -ERANGE;
    struct watched *watched = &media->watched[slot];
    *watched = (struct watched){media, call};
    return media->watch_keys((void *)stream, on_key, watched) == 0 ? 0 : -EPROTO; // NOLINT: Python knows it as a number
}

bool ve_media_next_key(struct ve_media *media, struct ve_told_key *key)
{
    const uint32_t read = atomic_load_explicit(&media->read, memory_order_relaxed);
    if (read == atomic_load_explicit(&media->written, memory_order_acquire))
        return false;
    *key = media->keys[read % KEYS];
    atomic_store_explicit(&media->read, read + 1, memory_order_release);
    return true;
}
