/** @file usual.h  A channel as most tests want it: what must be set, and nothing else. */
#ifndef VE_USUAL_H
#define VE_USUAL_H

#include "ve_channel.h"

static const struct ve_settings usual = {.rate = 8000,
                                         .frame_ms = 20,
                                         .vad_mode = 2,
                                         .threshold_dbov = -50,
                                         .onset_ms = 60,
                                         .window_ms = 100,
                                         .offset_ms = 500,
                                         .pre_roll_ms = 300,
                                         .player = {.fade_ms = 20, .duck_ms = 150}};

#endif
