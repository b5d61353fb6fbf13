/** @file recorder.c  Recordings under every misfortune: what is on disk is a valid file all the while. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <sys/resource.h>
#include <sys/stat.h>

#include "check.h"
#include "dice.h"
#include "ve_recorder.h"

static char path[] = "recorder-test-XXXXXX/call.wav";

static const struct ve_recorder_settings usual = {.rate = 8000, .settle_ms = 0, .sync_ms = 1};

static uint32_t word(const unsigned char *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* How many frames the file promises; it must hold them. */
static uint32_t promised(void)
{
    unsigned char header[VE_WAV_HEADER];
    struct stat file;
    const int fd = open(path, O_RDONLY);
    CHECK(fd >= 0 && fstat(fd, &file) == 0 && read(fd, header, sizeof header) == sizeof header && close(fd) == 0);
    CHECK(memcmp(header, "RIFF", 4) == 0 && memcmp(header + 8, "WAVEfmt ", 8) == 0);
    CHECK(memcmp(header + 36, "data", 4) == 0);
    const uint32_t bytes = word(header + 40);
    CHECK(word(header + 4) == bytes + 36 && bytes % VE_WAV_FRAME == 0);
    CHECK((uint64_t)file.st_size >= (uint64_t)VE_WAV_HEADER + bytes);
    return bytes / VE_WAV_FRAME;
}

static void frames_at(uint64_t position, int16_t *frames, size_t count)
{
    const int fd = open(path, O_RDONLY);
    const size_t size = count * VE_WAV_FRAME;
    CHECK(pread(fd, frames, size, (off_t)(VE_WAV_HEADER + position * VE_WAV_FRAME)) == (ssize_t)size && close(fd) == 0);
}

static struct ve_recorder *opened(const struct ve_recorder_settings *settings)
{
    struct ve_recorder *recorder = NULL;
    unlink(path);
    CHECK(ve_recorder_open(&recorder, path, settings) == 0);
    return recorder;
}

static void what_cannot_be_opened_leaves_nothing(void)
{
    struct ve_recorder *recorder = NULL;
    const struct ve_recorder_settings odd_rate = {.rate = 44100}, slow = {.rate = 8000, .settle_ms = 5001};
    CHECK(ve_recorder_open(&recorder, path, &odd_rate) == -EINVAL);
    CHECK(ve_recorder_open(&recorder, path, &slow) == -EINVAL);
    CHECK(ve_recorder_open(&recorder, "/nowhere/at/all.wav", &usual) == -ENOENT);
    allocations = 0;
    failing_allocation = 1;
    CHECK(ve_recorder_open(&recorder, path, &usual) == -ENOMEM);
    failing_allocation = 0;
    CHECK(!recorder && access(path, F_OK) == -1);
}

static void a_name_that_is_taken_is_left_alone(void)
{
    struct ve_recorder *recorder = NULL, *first = opened(&usual);
    CHECK(ve_recorder_open(&recorder, path, &usual) == -EEXIST);
    CHECK(ve_recorder_close(first) == 0 && promised() == 0);
    CHECK(unlink(path) == 0 && symlink("elsewhere", path) == 0);
    CHECK(ve_recorder_open(&recorder, path, &usual) == -EEXIST && !recorder);
    CHECK(access("elsewhere", F_OK) == -1);
}

static void only_the_owner_may_read_it(void)
{
    struct stat file;
    struct ve_recorder *recorder = opened(&usual);
    CHECK(stat(path, &file) == 0 && (file.st_mode & 0777) == 0600);
    CHECK(ve_recorder_close(recorder) == 0);
}

static void anything_may_happen_in_any_order(uint32_t rate)
{
    static int16_t caller[2000], heard[2000];
    const struct ve_recorder_settings settings = {.rate = rate, .settle_ms = 30, .sync_ms = 100};
    struct ve_recorder *recorder = opened(&settings);
    struct ve_recorder_stats stats;
    uint64_t put = 0;
    for (int i = 0; i < 2000; i++) {
        caller[i] = (int16_t)(dice(65536) - 32768);
        heard[i] = (int16_t)(dice(65536) - 32768);
    }
    for (int round = 0; round < 20000; round++) {
        const size_t count = dice(2000);
        switch (dice(16)) {
        case 0: ve_recorder_pause(recorder); break;
        case 1: ve_recorder_resume(recorder); break;
        case 2: CHECK(dice(4) || ve_recorder_flush(recorder) == 0); break;
        case 3: ve_recorder_put(recorder, NULL, heard, count), put += count; break;
        case 4: ve_recorder_put(recorder, caller, NULL, count), put += count; break;
        case 5: ve_recorder_overhear(recorder, heard, count); break;
        default: ve_recorder_put(recorder, caller, heard, count), put += count; break;
        }
        ve_recorder_stats(recorder, &stats);
        CHECK(stats.frames == put && stats.written <= put && stats.error == 0);
        if (round % 1000 == 0)
            CHECK(promised() == stats.written);
    }
    CHECK(stats.lost > 0); /* now and then nobody flushed for more than the ring holds */
    CHECK(ve_recorder_close(recorder) == 0 && promised() == put);
}

static void what_a_full_ring_loses_is_silence_and_time_goes_on(void)
{
    enum { BLOCK = 160, RING = BLOCK * VE_RECORDER_BLOCKS };
    static int16_t loud[RING + 1000], frames[2 * 1000];
    struct ve_recorder *recorder = opened(&usual);
    struct ve_recorder_stats stats;
    for (size_t i = 0; i < sizeof loud / sizeof *loud; i++)
        loud[i] = 1000;
    ve_recorder_put(recorder, loud, loud, RING + 1000);
    ve_recorder_stats(recorder, &stats);
    CHECK(stats.lost == 1000 && ve_recorder_flush(recorder) == 0);
    CHECK(promised() == RING);
    ve_recorder_put(recorder, loud, loud, 160);
    CHECK(ve_recorder_close(recorder) == 0 && promised() == RING + 1160);
    frames_at(RING - 1, frames, 1);
    CHECK(frames[0] == 1000 && frames[1] == 1000);
    frames_at(RING, frames, 1000);
    for (int i = 0; i < 2000; i++)
        CHECK(frames[i] == 0);
    frames_at(RING + 1000, frames, 160);
    CHECK(frames[0] == 0 && frames[2 * 39] == 975 && frames[2 * 40] == 1000 && frames[2 * 159] == 1000);
}

static void a_full_disk_ends_the_recording_and_is_told_once(void)
{
    static const int16_t loud[16000] = {1, 2, 3};
    const struct rlimit small = {.rlim_cur = 100001, .rlim_max = RLIM_INFINITY};
    struct rlimit before;
    struct ve_recorder_stats stats;
    struct ve_recorder *recorder = opened(&usual);
    int status = 0, rounds = 0;
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0 && signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    for (; status == 0 && rounds < 100; rounds++) {
        ve_recorder_put(recorder, loud, loud, 1600);
        status = ve_recorder_flush(recorder);
    }
    CHECK(status == -EFBIG && rounds == 16);
    for (int i = 0; i < 100; i++) {
        ve_recorder_put(recorder, loud, loud, 1600);
        CHECK(ve_recorder_flush(recorder) == 0);
    }
    ve_recorder_stats(recorder, &stats);
    CHECK(stats.error == EFBIG && stats.written == 15 * 1600 && promised() == 15 * 1600);
    CHECK(ve_recorder_close(recorder) == 0 && promised() == 15 * 1600);
    struct stat file;
    CHECK(stat(path, &file) == 0 && file.st_size == VE_WAV_HEADER + 15 * 1600 * VE_WAV_FRAME);

    recorder = opened(&usual); /* it may also come to light only at the end */
    ve_recorder_put(recorder, loud, loud, 1600 * 10);
    CHECK(ve_recorder_flush(recorder) == 0);
    ve_recorder_pause(recorder);
    ve_recorder_put(recorder, loud, loud, 1600 * 10);
    CHECK(ve_recorder_close(recorder) == -EFBIG && promised() >= 1600 * 10);
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
}

/* Silence is free: four gigabytes of it are a hole. */
static void at_four_gigabytes_it_ends(void)
{
    static const int16_t loud[160] = {1, 2, 3};
    struct ve_recorder *recorder = opened(&usual);
    atomic_store(&recorder->position, VE_WAV_MOST - 300);
    ve_recorder_put(recorder, loud, loud, 160);
    CHECK(ve_recorder_flush(recorder) == 0 && promised() == VE_WAV_MOST - 140);
    ve_recorder_put(recorder, loud, loud, 160);
    CHECK(ve_recorder_flush(recorder) == -EFBIG && promised() == VE_WAV_MOST - 140);
    CHECK(ve_recorder_close(recorder) == 0 && promised() == VE_WAV_MOST - 140);

    recorder = opened(&usual);
    atomic_store(&recorder->position, UINT64_C(1) << 32); /* paused for a week */
    CHECK(ve_recorder_close(recorder) == 0 && promised() == VE_WAV_MOST);
}

/* As much noise as can be: 20 ms of it in 200 kbit/s have 500 bytes. */
static void the_highest_rate_of_opus_fits(const struct ve_opus_api *api)
{
    static int16_t loud[16000];
    const struct ve_recorder_settings settings = {.rate = 16000, .bits_per_s = 200000, .opus = api};
    struct ve_recorder *recorder = opened(&settings);
    for (size_t i = 0; i < 16000; i++)
        loud[i] = (int16_t)(dice(65536) - 32768);
    for (int second = 0; second < 4; second++) {
        ve_recorder_put(recorder, loud, loud + 1, 15999);
        CHECK(ve_recorder_flush(recorder) == 0);
    }
    CHECK(ve_recorder_close(recorder) == 0);
}

/* Where libopus is there; what is in the file, tests in Python look at. */
static void opus_stands_the_same(void)
{
    static const int16_t loud[16000] = {1, 2, 3};
    struct ve_opus_api api;
    const struct ve_recorder_settings settings = {.rate = 8000, .bits_per_s = 24000, .opus = &api};
    const struct rlimit small = {.rlim_cur = 2001, .rlim_max = RLIM_INFINITY};
    struct rlimit before;
    struct stat file;
    struct ve_recorder *recorder = NULL;
    unlink(path);
    if (ve_opus_load(&api))
        return;
    for (unsigned long nth = 1; nth <= 2; nth++) { /* the recorder's memory, the file's */
        allocations = 0;
        failing_allocation = nth;
        CHECK(ve_recorder_open(&recorder, path, &settings) == -ENOMEM && access(path, F_OK) == -1);
    }
    failing_allocation = 0;
    the_highest_rate_of_opus_fits(&api);

    recorder = opened(&settings);
    for (int round = 0; round < 200; round++) {
        if (round % 50 == 0)
            ve_recorder_pause(recorder);
        if (round % 50 == 30)
            ve_recorder_resume(recorder);
        ve_recorder_put(recorder, loud, loud, dice(4000));
        CHECK(dice(4) || ve_recorder_flush(recorder) == 0);
    }
    CHECK(ve_recorder_close(recorder) == 0);

    int status = 0;
    recorder = opened(&settings);
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0 && setrlimit(RLIMIT_FSIZE, &small) == 0);
    for (int i = 0; i < 100 && status == 0; i++) {
        ve_recorder_put(recorder, loud, loud, 16000);
        status = ve_recorder_flush(recorder);
    }
    CHECK(status == -EFBIG && ve_recorder_flush(recorder) == 0 && ve_recorder_close(recorder) == 0);
    CHECK(stat(path, &file) == 0 && file.st_size < 2001); /* whole pages only */
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
}

int main(void)
{
    *strrchr(path, '/') = '\0';
    CHECK(mkdtemp(path));
    path[strlen(path)] = '/';
    what_cannot_be_opened_leaves_nothing();
    a_name_that_is_taken_is_left_alone();
    only_the_owner_may_read_it();
    anything_may_happen_in_any_order(8000);
    anything_may_happen_in_any_order(16000);
    what_a_full_ring_loses_is_silence_and_time_goes_on();
    a_full_disk_ends_the_recording_and_is_told_once();
    opus_stands_the_same();
    at_four_gigabytes_it_ends();
    CHECK(unlink(path) == 0);
    *strrchr(path, '/') = '\0';
    CHECK(rmdir(path) == 0);
    return 0;
}
