/**
 * @file ve_file.h  A recording's file, whatever its format: its owner's alone, new, and written in whole pieces.
 *
 * It has its final name from the beginning: whoever looks for it after a crash finds it where it was said to be.
 */
#ifndef VE_FILE_H
#define VE_FILE_H

#include <stddef.h>
#include <stdint.h>

/** A descriptor, or a negative errno; -EEXIST where there is anything of that name. */
int ve_file_create(const char *path);
/** All of it, or a negative errno. */
int ve_file_write(int fd, const void *bytes, size_t count, uint64_t offset);
/** Let the disk have it: from here on it outlives a loss of power. */
int ve_file_sync(int fd);
int ve_file_set_length(int fd, uint64_t length);
/** Close it, and return `status` unless that was 0 and closing fails. */
int ve_file_close(int fd, int status);

#endif
