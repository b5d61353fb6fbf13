/** @file recorder_race.c  A recorder taken from a channel at full speed, flushed and paused meanwhile. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "ve_recorder.h"

#define ROUNDS 500
#define SECRET 4000

static struct ve_recorder_slot slot;
static _Atomic(struct ve_recorder *) writing; /* a recorder that the writer may flush, or NULL */
static atomic_bool finished, secret;
static _Atomic uint64_t ticks;
static char path[] = "recorder-race-XXXXXX/call.wav";

static const struct ve_recorder_settings usual = {.rate = 8000};

/* The media thread never stops, and says a secret while `secret` is on. */
static void *media(void *unused)
{
    int16_t caller[160], heard[160];
    while (!atomic_load(&finished)) {
        const int16_t sample = atomic_load(&secret) ? SECRET : 100;
        for (int i = 0; i < 160; i++)
            caller[i] = heard[i] = sample;
        ve_recorder_slot_put(&slot, caller, heard, 160);
        atomic_fetch_add(&ticks, 1);
    }
    return unused;
}

static void wait_for_ticks(uint64_t count)
{
    for (const uint64_t until = atomic_load(&ticks) + count; atomic_load(&ticks) < until;)
        usleep(1);
}

static void *write_files(void *unused)
{
    while (!atomic_load(&finished)) {
        struct ve_recorder *recorder = atomic_exchange(&writing, NULL);
        if (recorder && ve_recorder_flush(recorder) == 0)
            atomic_store(&writing, recorder);
        usleep(50);
    }
    return unused;
}

static struct ve_recorder *take_from_writer(void)
{
    struct ve_recorder *recorder;
    while (!(recorder = atomic_exchange(&writing, NULL)))
        usleep(1);
    return recorder;
}

static uint64_t frames_without_the_secret(void)
{
    static int16_t frames[2 * 4096];
    FILE *file = fopen(path, "rb");
    uint64_t count = 0;
    CHECK(file && fseek(file, VE_WAV_HEADER, SEEK_SET) == 0);
    for (size_t got; (got = fread(frames, VE_WAV_FRAME, 4096, file)) > 0; count += got)
        for (size_t i = 0; i < 2 * got; i++)
            CHECK(frames[i] >= 0 && frames[i] <= 100);
    fclose(file);
    return count;
}

int main(void)
{
    pthread_t threads[2];
    uint64_t recorded = 0, put = 0;
    *strrchr(path, '/') = '\0';
    CHECK(mkdtemp(path));
    path[strlen(path)] = '/';
    CHECK(pthread_create(&threads[0], NULL, media, NULL) == 0);
    CHECK(pthread_create(&threads[1], NULL, write_files, NULL) == 0);

    for (int round = 0; round < ROUNDS; round++) {
        struct ve_recorder *recorder = NULL;
        struct ve_recorder_stats stats;
        CHECK(ve_recorder_open(&recorder, path, &usual) == 0);
        CHECK(ve_recorder_attach(&slot, recorder) == 0 && ve_recorder_attach(&slot, recorder) == -EBUSY);
        atomic_store(&writing, recorder);
        if (round % 2)
            wait_for_ticks(3);
        ve_recorder_pause(recorder);
        atomic_store(&secret, true);
        if (round % 3)
            wait_for_ticks(3);
        atomic_store(&secret, false);
        if (round % 5 == 0) {
            wait_for_ticks(2);
            ve_recorder_resume(recorder);
        }
        ve_recorder_stats(recorder, &stats);
        CHECK(take_from_writer() == recorder);
        ve_recorder_detach(&slot, recorder);
        ve_recorder_stats(recorder, &stats);
        CHECK(stats.error == 0);
        CHECK(ve_recorder_close(recorder) == 0);
        CHECK(frames_without_the_secret() == stats.frames);
        recorded += stats.frames;
        CHECK(unlink(path) == 0);
        wait_for_ticks(2); /* a tick that began with the secret is over */
    }
    put = atomic_load(&ticks) * 160;
    atomic_store(&finished, true);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(recorded > 0 && recorded <= put);
    *strrchr(path, '/') = '\0';
    CHECK(rmdir(path) == 0);
    return 0;
}
