/** @file recorder_crash.c  A process that records is killed at any moment: what it had flushed is in a valid file. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/wait.h>

#include "check.h"
#include "dice.h"
#include "ve_recorder.h"

#define CRASHES 300

static char path[] = "recorder-crash-XXXXXX/call.wav";
static _Atomic uint64_t *flushed; /* shared with the one that is killed */

/* Each frame says where it belongs. */
static void record_for_ever(void)
{
    const struct ve_recorder_settings settings = {.rate = 8000};
    int16_t caller[160], heard[160];
    struct ve_recorder *recorder = NULL;
    struct ve_recorder_stats stats = {0};
    CHECK(ve_recorder_open(&recorder, path, &settings) == 0);
    for (;;) {
        for (uint32_t blocks = dice(20); blocks > 0; blocks--) {
            for (uint64_t i = 0; i < 160; i++) {
                caller[i] = (int16_t)((stats.frames + i) & 0x7FFF);
                heard[i] = (int16_t)((stats.frames + i) >> 15);
            }
            ve_recorder_put(recorder, caller, heard, 160);
            ve_recorder_stats(recorder, &stats);
        }
        CHECK(ve_recorder_flush(recorder) == 0);
        ve_recorder_stats(recorder, &stats);
        CHECK(stats.written == stats.frames);
        atomic_store(flushed, stats.written);
    }
}

/* How many frames the file promises, each where it belongs. */
static uint64_t frames_kept(void)
{
    static int16_t frames[2 * 4096];
    uint32_t header[VE_WAV_HEADER / 4];
    FILE *file = fopen(path, "rb");
    CHECK(file && fread(header, sizeof header, 1, file) == 1 && memcmp(header, "RIFF", 4) == 0);
    const uint64_t promised = header[10] / VE_WAV_FRAME;
    CHECK(header[1] == header[10] + VE_WAV_HEADER - 8);
    for (uint64_t at = 0; at < promised;) {
        const uint64_t left = promised - at;
        const size_t got = fread(frames, VE_WAV_FRAME, left < 4096 ? (size_t)left : 4096, file);
        CHECK(got > 0);
        for (size_t i = 0; i < got; i++, at++)
            CHECK(frames[2 * i] == (int16_t)(at & 0x7FFF) && frames[2 * i + 1] == (int16_t)(at >> 15));
    }
    fclose(file);
    return promised;
}

int main(void)
{
    *strrchr(path, '/') = '\0';
    CHECK(mkdtemp(path));
    path[strlen(path)] = '/';
    flushed = mmap(NULL, sizeof *flushed, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(flushed != MAP_FAILED);
    for (int crash = 0; crash < CRASHES; crash++) {
        int status;
        unlink(path);
        atomic_store(flushed, 0);
        dice(2);
        const pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0)
            record_for_ever();
        while (access(path, F_OK) != 0 || atomic_load(flushed) == 0)
            usleep(100);
        usleep(dice(5000));
        CHECK(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status));
        CHECK(frames_kept() >= atomic_load(flushed));
    }
    CHECK(unlink(path) == 0);
    *strrchr(path, '/') = '\0';
    CHECK(rmdir(path) == 0);
    return 0;
}
