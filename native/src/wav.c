#include "ve_wav.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

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

static int write_all(int fd, const void *bytes, size_t count, uint64_t offset)
{
    for (const char *from = bytes; count > 0;) {
        const ssize_t done = pwrite(fd, from, count, (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return done < 0 ? -errno : -EIO;
        from += done;
        offset += (uint64_t)done;
        count -= (size_t)done;
    }
    return 0;
}

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
    const int status = write_all(wav->fd, &header, sizeof header, 0);
    if (!status)
        wav->promised = wav->frames;
    return status;
}

int ve_wav_create(struct ve_wav *wav, const char *path, uint32_t rate)
{
    *wav = (struct ve_wav){.rate = rate};
    wav->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (wav->fd < 0)
        return -errno;
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
    const int status = write_all(wav->fd, frames, count * VE_WAV_FRAME, offset_of(position));
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
    return fdatasync(wav->fd) ? -errno : 0;
}

/* The file grows before its header promises more; what was not promised goes after. */
static int set_length(struct ve_wav *wav, uint64_t frames)
{
    if (frames > VE_WAV_MOST)
        frames = VE_WAV_MOST;
    if (frames > wav->frames)
        wav->frames = frames;
    return ftruncate(wav->fd, (off_t)offset_of(wav->frames)) ? -errno : 0;
}

int ve_wav_close(struct ve_wav *wav, uint64_t frames)
{
    int status = set_length(wav, frames);
    if (!status)
        status = ve_wav_promise(wav);
    if (!status)
        status = ve_wav_sync(wav);
    if (close(wav->fd) && !status && errno != EINTR)
        status = -errno;
    return status;
}
