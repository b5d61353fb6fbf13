/**
 * @file ve_wav.h  A stereo WAV file (RIFF, 16-bit PCM) that is valid at every moment of its growth.
 *
 *      0      4       8      12 ……… 36     40      44
 *      | RIFF | size  | WAVE | fmt  | data | size  | frames: left right left right … |  not promised yet  |
 *                                                   \_ what both sizes promise ______/
 *
 * Samples are written first, then the header that promises them. A process that dies between the two leaves some bytes
 * after the end, which readers skip; never a header that promises more than is there.
 *
 * Frames go to the place that their position gives them. A place that nothing was written to is a hole in the file,
 * costs no disk, and reads as silence: so time stays right whatever is left out.
 */
#ifndef VE_WAV_H
#define VE_WAV_H

#include <stddef.h>
#include <stdint.h>

#define VE_WAV_HEADER 44u
#define VE_WAV_FRAME 4u /* bytes: two channels of 16 bits */
#define VE_WAV_MOST ((UINT32_MAX - (VE_WAV_HEADER - 8u)) / VE_WAV_FRAME) /* frames: 37 hours at 8 kHz, 18 at 16 kHz */

struct ve_wav {
    int fd;
    uint32_t rate;
    uint64_t frames;   /* what the samples reach to … */
    uint64_t promised; /* … and what the header says */
};

/** 0, or why there can be no such file: see ve_file_create. */
int ve_wav_create(struct ve_wav *wav, const char *path, uint32_t rate);

/** Write `count` frames at `position`, which is not before the end. 0 or a negative errno; -EFBIG past VE_WAV_MOST. */
int ve_wav_write(struct ve_wav *wav, uint64_t position, const int16_t *frames, size_t count);

/** Let the header promise what was written. */
int ve_wav_promise(struct ve_wav *wav);

/** Let the disk have it: from here on it outlives a loss of power. */
int ve_wav_sync(const struct ve_wav *wav);

/** End the file after `frames` frames or what was written, and close it whatever happens. 0 or the first errno. */
int ve_wav_close(struct ve_wav *wav, uint64_t frames);

#endif
