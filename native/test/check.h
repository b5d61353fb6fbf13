/** @file check.h  The little that a C test needs: a check that says where it failed, memory that runs out, a detector that obeys. */
#ifndef VE_CHECK_H
#define VE_CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "ve_vad.h"

#define CHECK(condition)                                                            \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                                \
        }                                                                           \
    } while (0)

/*
 * Tests are linked with --wrap=malloc,calloc,realloc: allocation number `failing_allocation`, counted from 1, returns NULL;
 * so do all after it, as on a machine whose memory is used up. 0: none fails.
 */
static _Atomic unsigned long failing_allocation, allocations;

static inline int memory_is_out(void)
{
    return ++allocations >= failing_allocation && failing_allocation > 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size)
{
    return memory_is_out() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return memory_is_out() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return memory_is_out() ? NULL : __real_realloc(old, size);
}

/* WebRTC's detector comes with a Python module and cannot be linked here: loud is voice. Python tests use the real one. */
static int loud_create(void **vad)
{
    *vad = malloc(1);
    return *vad ? 0 : -1;
}

static int loud_destroy(void *vad)
{
    free(vad);
    return 0;
}

static int loud_init(void *vad)
{
    return vad ? 0 : -1;
}

static int loud_set_mode(void *vad, int mode)
{
    return vad && mode >= 0 && mode <= 3 ? 0 : -1;
}

static int loud_process(void *vad, int rate, const int16_t *samples, int count)
{
    int loud = 0;
    for (int i = 0; i < count; i++)
        loud |= samples[i] > 1000;
    return vad && rate ? loud : -1;
}

static const struct ve_vad_api loud_api = {loud_create, loud_destroy, loud_init, loud_set_mode, loud_process};

#endif
