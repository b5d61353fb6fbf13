/**
 * @file ve_vad.h  The WebRTC voice activity detector, called through the symbols that `_webrtcvad` (webrtcvad-wheels)
 * exports.
 *
 * The extension module's path comes from Python, which knows where packages lie. 2 µs a 20 ms block; it fires on music
 * and tones too, so it is a gate and not a judge.
 */
#ifndef VE_VAD_H
#define VE_VAD_H

#include <stddef.h>
#include <stdint.h>

/* cffi: begin */
struct ve_vad_api {
    int (*create)(void **vad);
    int (*destroy)(void *vad);
    int (*init)(void *vad);
    int (*set_mode)(void *vad, int mode); /* 0 (lenient) … 3 (strict) */
    int (*process)(void *vad, int rate, const int16_t *samples, int count); /* 10, 20, 30 ms; 1: voice, -1: refused */
};

/** Fill `api` from the shared object at `path`; NULL, or what is wrong. */
const char *ve_vad_load(struct ve_vad_api *api, const char *path);

/** Check that the functions behave as we think: NULL, or what is wrong. */
const char *ve_vad_self_test(const struct ve_vad_api *api);
/* cffi: end */

/* cffi: tests begin */
/** A detector in `mode`, or NULL. Freed with api->destroy. */
void *ve_vad_open(const struct ve_vad_api *api, int mode);
/* cffi: tests end */

#endif
