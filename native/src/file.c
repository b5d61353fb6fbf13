#include "ve_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <sys/stat.h>

int ve_file_create(const char *path)
{
    const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
    return fd < 0 ? -errno : fd;
}

int ve_file_write(int fd, const void *bytes, size_t count, uint64_t offset)
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

int ve_file_sync(int fd)
{
    return fdatasync(fd) ? -errno : 0;
}

int ve_file_set_length(int fd, uint64_t length)
{
    return ftruncate(fd, (off_t)length) ? -errno : 0;
}

int ve_file_close(int fd, int status)
{
    if (close(fd) && !status && errno != EINTR)
        status = -errno;
    return status;
}
