/**
 * @file ve_reference.h  What the caller was given to hear, kept until the block that was heard at the same time comes
 * in.
 *
 * The bridge asks a port for a frame and hands it one in the same tick, so both directions count the same samples;
 * frames and blocks need not be of one length. Where one direction runs ahead by more than the buffer, the oldest
 * samples go; where nothing was given, silence stands in. Media thread only.
 */
#ifndef VE_REFERENCE_H
#define VE_REFERENCE_H

#include <stddef.h>
#include <stdint.h>

#define VE_REFERENCE_SAMPLES 2048u /* two of the longest frames, 60 ms at 16 kHz, and some */

struct ve_reference {
    size_t count;
    int16_t samples[VE_REFERENCE_SAMPLES]; /* given and not yet taken, the oldest first: always in the same place */
};

/* cffi: tests begin */
/** Append `count` samples; NULL is silence. */
void ve_reference_give(struct ve_reference *reference, const int16_t *samples, size_t count);
/** Take the oldest `count` samples, and silence for what is missing. */
void ve_reference_take(struct ve_reference *reference, int16_t *out, size_t count);
/* cffi: tests end */

#endif
