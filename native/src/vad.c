#include "ve_vad.h"

#include <dlfcn.h>
#include <string.h>

#include "ve_symbols.h"

const char *ve_vad_load(struct ve_vad_api *api, const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL); /* never closed: Python may hold it too */
    if (!library)
        return "the webrtcvad extension module cannot be loaded";
    const struct ve_symbol symbols[] = {
        {&api->create, "WebRtcVad_Create"},     {&api->destroy, "WebRtcVad_Free"},
        {&api->init, "WebRtcVad_Init"},         {&api->set_mode, "WebRtcVad_set_mode"},
        {&api->process, "WebRtcVad_Process"},
    };
    if (!ve_symbols_find(library, symbols, sizeof symbols / sizeof *symbols))
        return "the webrtcvad extension module does not export the detector's functions";
    return NULL;
}

void *ve_vad_open(const struct ve_vad_api *api, int mode)
{
    void *vad = NULL;
    if (api->create(&vad) != 0)
        return NULL;
    if (api->init(vad) != 0 || api->set_mode(vad, mode) != 0) {
        api->destroy(vad);
        return NULL;
    }
    return vad;
}

/* A rough vowel: 125 Hz pulses, each ringing down, loud enough for any mode. */
static void vowel(int16_t *samples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const int phase = (int)(i % 64);
        const int ring = phase % 16 < 8 ? 1 : -1;
        samples[i] = (int16_t)(ring * 9000 * (64 - phase) / 64);
    }
}

const char *ve_vad_self_test(const struct ve_vad_api *api)
{
    int16_t block[320];
    const char *wrong = NULL;
    void *vad = ve_vad_open(api, 2);
    if (!vad)
        return "webrtcvad refuses mode 2";
    memset(block, 0, sizeof block);
    for (int i = 0; i < 10 && !wrong; i++)
        if (api->process(vad, 8000, block, 160) != 0 || api->process(vad, 16000, block, 320) != 0)
            wrong = "webrtcvad hears voice in silence";
    vowel(block, 320);
    int heard = 0;
    for (int i = 0; i < 10; i++)
        heard += api->process(vad, 8000, block, 160) == 1;
    if (!wrong && heard < 5)
        wrong = "webrtcvad does not hear a loud vowel";
    if (!wrong && (api->process(vad, 8000, block, 33) != -1 || api->set_mode(vad, 9) != -1))
        wrong = "webrtcvad takes what it must refuse";
    api->destroy(vad);
    return wrong;
}
