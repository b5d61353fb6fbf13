#include "ve_wav.h"

#include <errno.h>
#include <unistd.h>

#include "ve_file.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "samples and sizes go to the file as they lie in memory");

struct header {
    char riff[4];
    uint32_t riff_size;
    char wave[4], fmt[4];
    uint32_t fmt_size;
    uint16_t code, channels;
    uint32_t rate, bytes_a_second;
    uint16_t bytes_a_frame, bits;
    char data[4];
    uint32_t data_size;
};

_Static_assert(sizeof(struct header) == VE_WAV_HEADER, "no padding");

static uint64_t offset_of(uint64_t position)
{
    return VE_WAV_HEADER + position * VE_WAV_FRAME;
}

/* One write of 44 bytes: a reader, or whoever kills us, sees the old promise or the new one. */
static int write_header(struct ve_wav *wav)
{
    struct header header = {.riff = "RIFF", .wave = "WAVE", .fmt = "fmt ", .fmt_size = 16, .data = "data",
                            .code = 1, /* PCM */
                            .channels = 2,
                            .rate = wav->rate,
                            .bytes_a_second = wav->rate * VE_WAV_FRAME,
                            .bytes_a_frame = VE_WAV_FRAME,
                            .bits = 16,
                            .data_size = (uint32_t)(wav->frames * VE_WAV_FRAME)};
    header.riff_size = VE_WAV_HEADER - 8 + header.data_size;
    const int status = ve_file_write(wav->fd, &header, sizeof header, 0);
    if (!status)
        wav->promised = wav->frames;
    return status;
}

int ve_wav_create(struct ve_wav *wav, const char *path, uint32_t rate)
{
    *wav = (struct ve_wav){.rate = rate};
    wav->fd = ve_file_create(path);
    if (wav->fd < 0)
        return wav->fd;
    const int status = write_header(wav);
    if (status) {
        close(wav->fd);
        unlink(path);
    }
    return status;
}

int ve_wav_write(struct ve_wav *wav, uint64_t position, const int16_t *frames, size_t count)
{
    if (position > VE_WAV_MOST || count > VE_WAV_MOST - position)
        return -EFBIG;
    const int status = ve_file_write(wav->fd, frames, count * VE_WAV_FRAME, offset_of(position));
    if (!status)
        wav->frames = position + count;
    return status;
}

int ve_wav_promise(struct ve_wav *wav)
{
    return wav->promised == wav->frames ? 0 : write_header(wav);
}

int ve_wav_sync(const struct ve_wav *wav)
{
    return ve_file_sync(wav->fd);
}

/* The file grows before its header promises more; what was not promised goes after. */
static int set_length(struct ve_wav *wav, uint64_t frames)
{
    if (frames > VE_WAV_MOST)
        frames = VE_WAV_MOST;
    if (frames > wav->frames)
        wav->frames = frames;
    return ve_file_set_length(wav->fd, offset_of(wav->frames));
}

int ve_wav_close(struct ve_wav *wav, uint64_t frames)
{
    int status = set_length(wav, frames);
    if (!status)
        status = ve_wav_promise(wav);
    if (!status)
        status = ve_wav_sync(wav);
    return ve_file_close(wav->fd, status);
}
