/**
 * @file ve_pjmedia.h  What of PJMEDIA's interface more than one of our blocks needs, without its headers.
 *
 * The layouts are held against the library at start-up: see ve_bridge_self_test.
 */
#ifndef VE_PJMEDIA_H
#define VE_PJMEDIA_H

#include <stddef.h>
#include <stdint.h>

struct pj_frame { /* pjmedia_frame */
    int32_t type;
    void *buf;
    size_t size; /* bytes */
    uint64_t timestamp;
    uint32_t bit_info;
};

#endif
