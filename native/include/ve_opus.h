/**
 * @file ve_opus.h  A stereo Ogg Opus file (RFC 7845, RFC 3533): a tenth of the room of a WAV file.
 *
 *      | OpusHead | OpusTags | page: 10 packets of 20 ms | page | page | … | page, marked as the last |
 *
 * A page is appended with each promise and never touched again, so the file is valid whenever the writer dies. There
 * are no holes here: what is left out is silence, of which all packets but the first are the same. Each page tells the
 * time at its end in samples at 48 kHz, and the beginning tells the encoder's delay, which players leave out.
 *
 * The library is looked up at run time. Encoding takes some 100 µs a packet at 8 kHz, twice that at 16 kHz, in the
 * writer's thread. Below 24 kbit/s the encoder begins to mix the directions, so that is the least there is: there one
 * voice is 60 dB softer on the other's side.
 */
#ifndef VE_OPUS_H
#define VE_OPUS_H

#include <stddef.h>
#include <stdint.h>

/* cffi: begin */
struct ve_opus_api {
    void *(*create)(int32_t rate, int channels, int application, int *error);
    void (*destroy)(void *encoder);
    int (*control)(void *encoder, int request, ...);
    int32_t (*encode)(void *encoder, const int16_t *frames, int count, unsigned char *packet, int32_t room);
};

/** Fill `api` from libopus; NULL, or what is wrong. */
const char *ve_opus_load(struct ve_opus_api *api);
/* cffi: end */

struct ve_opus;

/** A file in `*opus` and 0, or -ENOMEM, -EINVAL (the encoder refuses), or why there can be no such file. */
int ve_opus_create(struct ve_opus **opus, const char *path, uint32_t rate, uint32_t bits_per_s,
                   const struct ve_opus_api *api);
/** Encode `count` frames at `position`, which is not before the end. 0 or a negative errno. */
int ve_opus_write(struct ve_opus *opus, uint64_t position, const int16_t *frames, size_t count);
/** Let the file hold what was encoded: a packet's worth of what was written last may still wait. */
int ve_opus_promise(struct ve_opus *opus);
/** How many frames a player would find. */
uint64_t ve_opus_frames(const struct ve_opus *opus);
int ve_opus_sync(const struct ve_opus *opus);
/** End the file after `frames` frames or what was written, and free it whatever happens. 0 or the first errno. */
int ve_opus_close(struct ve_opus *opus, uint64_t frames);
/** After an error: the file ends with its last whole page. */
void ve_opus_abandon(struct ve_opus *opus);

#endif
