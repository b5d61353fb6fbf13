#include "ve_opus.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ve_clock.h"
#include "ve_file.h"
#include "ve_symbols.h"

#define BLOCK_MS     20u
#define LONGEST      (BLOCK_MS * 16) /* frames a block */
#define PACKET_BYTES 500u            /* at most; usual are 60 */
#define PACKETS      50u             /* a page at most */
#define SETTLING     10u             /* blocks of silence until nothing is left of what was before */
#define PAGE_HEADER  27u
#define COMPLEXITY   1   /* 0 … 10; more costs up to five times as much and is not heard at these rates */
#define CLOCK_HZ     48000u /* in which Ogg Opus tells time, whatever the encoder was given */

enum { APPLICATION_VOIP = 2048, SET_BITRATE = 4002, SET_COMPLEXITY = 4010, GET_LOOKAHEAD = 4027 }; /* opus_defines.h */
enum { FIRST_PAGE = 2, LAST_PAGE = 4 }; /* RFC 3533, 6: header type */

struct ve_opus {
    const struct ve_opus_api *api;
    void *encoder;
    int fd;
    uint64_t end; /* of the last whole page, in bytes */
    uint32_t serial, pages;
    uint32_t block_frames, ticks; /* a frame's, in 1/48000 s */
    uint64_t delay;               /* of the encoder, in frames */

    int16_t block[2 * LONGEST];
    size_t fill;
    uint32_t quiet; /* so many blocks ago there was sound */
    uint8_t silence[PACKET_BYTES];
    size_t silence_bytes;
    uint64_t taken, encoded, kept; /* frames: written to us, made into packets, on pages */

    /* the open page */
    uint8_t lacing[255];
    size_t segments, packets, bytes;
    uint8_t body[PACKETS * PACKET_BYTES];
};

const char *ve_opus_load(struct ve_opus_api *api)
{
    void *library = dlopen("libopus.so.0", RTLD_NOW | RTLD_LOCAL); /* never closed: encoders may outlive us */
    if (!library)
        return "libopus is not installed";
    const struct ve_symbol symbols[] = {
        {&api->create, "opus_encoder_create"},
        {&api->destroy, "opus_encoder_destroy"},
        {&api->control, "opus_encoder_ctl"},
        {&api->encode, "opus_encode"},
    };
    if (!ve_symbols_find(library, symbols, sizeof symbols / sizeof *symbols))
        return "libopus lacks the encoder's functions";
    return NULL;
}

/* RFC 3533, 6: polynomial 0x04C11DB7, from zero, nothing reflected. */
static uint32_t checksum(uint32_t sum, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sum ^= (uint32_t)bytes[i] << 24;
        for (int bit = 0; bit < 8; bit++)
            sum = sum << 1 ^ (sum >> 31 ? 0x04C11DB7u : 0);
    }
    return sum;
}

static uint8_t *little_endian(uint8_t *out, uint64_t value, size_t count)
{
    for (size_t i = 0; i < count; i++)
        *out++ = (uint8_t)(value >> 8 * i);
    return out;
}

/* Append the open page; `granule` is the time at its end. */
static int write_page(struct ve_opus *opus, uint8_t type, uint64_t granule)
{
    uint8_t page[PAGE_HEADER + sizeof opus->lacing + sizeof opus->body] = {'O', 'g', 'g', 'S', 0, type};
    uint8_t *at = little_endian(page + 6, granule, 8);
    at = little_endian(at, opus->serial, 4);
    at = little_endian(at, opus->pages, 4);
    at = little_endian(at, 0, 4); /* the checksum's place */
    *at++ = (uint8_t)opus->segments;
    memcpy(at, opus->lacing, opus->segments);
    memcpy(at + opus->segments, opus->body, opus->bytes);
    const size_t size = PAGE_HEADER + opus->segments + opus->bytes;
    little_endian(page + 22, checksum(0, page, size), 4);

    const int status = ve_file_write(opus->fd, page, size, opus->end);
    if (status)
        return status;
    opus->end += size;
    opus->pages++;
    opus->segments = opus->packets = opus->bytes = 0;
    opus->kept = opus->encoded;
    return 0;
}

/* Its bytes are at the end of the body already. RFC 3533, 5: segments of 255 bytes and one that is shorter. */
static void add_packet(struct ve_opus *opus, size_t bytes)
{
    opus->bytes += bytes;
    opus->packets++;
    for (; bytes >= 255; bytes -= 255)
        opus->lacing[opus->segments++] = 255;
    opus->lacing[opus->segments++] = (uint8_t)bytes;
}

/* RFC 7845, 5: a page for each of the two. */
static int write_headers(struct ve_opus *opus, uint32_t rate)
{
    uint8_t *at = opus->body;
    memcpy(at, "OpusHead\1\2", 10); /* version, channels */
    at = little_endian(at + 10, opus->delay * opus->ticks, 2);
    at = little_endian(at, rate, 4);
    at = little_endian(at, 0, 3); /* no gain; left and right */
    add_packet(opus, (size_t)(at - opus->body));
    const int status = write_page(opus, FIRST_PAGE, 0);
    if (status)
        return status;
    memcpy(opus->body, "OpusTags\x9\0\0\0VoiceEdge\0\0\0\0", 25);
    add_packet(opus, 25);
    return write_page(opus, 0, 0);
}

static int open_encoder(struct ve_opus *opus, uint32_t rate, uint32_t bits_per_s)
{
    int error = 0;
    int32_t delay = 0;
    opus->encoder = opus->api->create((int32_t)rate, 2, APPLICATION_VOIP, &error);
    if (!opus->encoder)
        return -ENOMEM;
    if (opus->api->control(opus->encoder, SET_BITRATE, (int32_t)bits_per_s) != 0 ||
        opus->api->control(opus->encoder, SET_COMPLEXITY, (int32_t)COMPLEXITY) != 0 ||
        opus->api->control(opus->encoder, GET_LOOKAHEAD, &delay) != 0)
        return -EINVAL;
    opus->delay = (uint64_t)delay;
    return 0;
}

static void free_all(struct ve_opus *opus)
{
    if (opus->encoder)
        opus->api->destroy(opus->encoder);
    free(opus);
}

int ve_opus_create(struct ve_opus **out, const char *path, uint32_t rate, uint32_t bits_per_s,
                   const struct ve_opus_api *api)
{
    struct ve_opus *opus = calloc(1, sizeof *opus);
    if (!opus)
        return -ENOMEM;
    opus->api = api;
    opus->serial = (uint32_t)ve_now_ns();
    opus->block_frames = rate / 1000 * BLOCK_MS;
    opus->ticks = CLOCK_HZ / rate;
    int status = open_encoder(opus, rate, bits_per_s);
    if (!status && (opus->fd = ve_file_create(path)) < 0)
        status = opus->fd;
    else if (!status && (status = write_headers(opus, rate))) {
        close(opus->fd);
        unlink(path);
    }
    if (status)
        free_all(opus);
    else
        *out = opus;
    return status;
}

/*
 * Make a packet of the block; how long it is, or below 1. In a pause of minutes one packet of silence is said again and
 * again, so that no other recording has to wait for it: a decoder does not mind, and the encoder goes on from silence.
 */
static int32_t encode(struct ve_opus *opus, uint8_t *packet)
{
    if (opus->quiet > SETTLING) {
        memcpy(packet, opus->silence, opus->silence_bytes);
        return (int32_t)opus->silence_bytes;
    }
    const int32_t bytes =
        opus->api->encode(opus->encoder, opus->block, (int)opus->block_frames, packet, PACKET_BYTES);
    if (opus->quiet == SETTLING && bytes > 0) {
        memcpy(opus->silence, packet, (size_t)bytes);
        opus->silence_bytes = (size_t)bytes;
    }
    return bytes;
}

static int encode_block(struct ve_opus *opus)
{
    const int status = opus->packets == PACKETS ? ve_opus_promise(opus) : 0;
    if (status)
        return status;
    const int32_t bytes = encode(opus, opus->body + opus->bytes);
    if (bytes <= 0)
        return -EIO;
    add_packet(opus, (size_t)bytes);
    if (opus->quiet <= SETTLING)
        opus->quiet++;
    opus->fill = 0;
    opus->encoded += opus->block_frames;
    return 0;
}

/* `count` frames; NULL is silence. */
static int take(struct ve_opus *opus, const int16_t *frames, uint64_t count)
{
    while (count > 0) {
        const size_t room = opus->block_frames - opus->fill;
        const size_t part = count < room ? (size_t)count : room;
        int16_t *block = opus->block + 2 * opus->fill;
        if (frames)
            memcpy(block, frames, part * 2 * sizeof *frames);
        else
            memset(block, 0, part * 2 * sizeof *block);
        opus->quiet = frames ? 0 : opus->quiet;
        frames = frames ? frames + 2 * part : NULL;
        opus->fill += part;
        opus->taken += part;
        count -= part;
        const int status = opus->fill == opus->block_frames ? encode_block(opus) : 0;
        if (status)
            return status;
    }
    return 0;
}

int ve_opus_write(struct ve_opus *opus, uint64_t position, const int16_t *frames, size_t count)
{
    const int status = take(opus, NULL, position - opus->taken);
    return status ? status : take(opus, frames, count);
}

int ve_opus_promise(struct ve_opus *opus)
{
    return opus->packets > 0 ? write_page(opus, 0, opus->encoded * opus->ticks) : 0;
}

uint64_t ve_opus_frames(const struct ve_opus *opus)
{
    return opus->kept > opus->delay ? opus->kept - opus->delay : 0;
}

int ve_opus_sync(const struct ve_opus *opus)
{
    return ve_file_sync(opus->fd);
}

/* Silence pushes the last frames through the encoder; the last page tells where they end (RFC 7845, 4.4). */
static int write_end(struct ve_opus *opus, uint64_t frames)
{
    int status = frames > opus->taken ? take(opus, NULL, frames - opus->taken) : 0;
    const uint64_t end = opus->taken;
    while (!status && opus->encoded < end + opus->delay)
        status = take(opus, NULL, opus->block_frames - opus->fill);
    if (!status)
        status = write_page(opus, LAST_PAGE, (end + opus->delay) * opus->ticks);
    return status ? status : ve_opus_sync(opus);
}

int ve_opus_close(struct ve_opus *opus, uint64_t frames)
{
    const int status = write_end(opus, frames);
    if (status) {
        ve_opus_abandon(opus);
        return status;
    }
    const int closed = ve_file_close(opus->fd, 0);
    free_all(opus);
    return closed;
}

void ve_opus_abandon(struct ve_opus *opus)
{
    ve_file_close(opus->fd, ve_file_set_length(opus->fd, opus->end));
    free_all(opus);
}
