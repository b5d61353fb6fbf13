/** @file ve_symbols.h  Functions of a library that is there at run time only: an extension module of Python, libopus. */
#ifndef VE_SYMBOLS_H
#define VE_SYMBOLS_H

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct ve_symbol {
    void *target; /* a pointer to the function's pointer */
    const char *name;
};

/** Look all of them up; false where one is missing. */
static inline bool ve_symbols_find(void *library, const struct ve_symbol *symbols, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        void *address = dlsym(library, symbols[i].name);
        if (!address)
            return false;
        memcpy(symbols[i].target, &address, sizeof address);
    }
    return true;
}

#endif
