#include "ve_bridge.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ve_clock.h"
#include "ve_pjmedia.h"
#include "ve_symbols.h"

typedef int pj_status;

enum pj_frame_type { PJ_FRAME_NONE = 0, PJ_FRAME_AUDIO = 1 };

struct pj_port { /* pjmedia_port, LP64 */
    struct {
        struct {
            const char *text;
            long length;
        } name;
        uint32_t signature;
        uint32_t direction;
        struct {
            uint32_t id, type, detail_type;
            uint32_t clock_rate, channel_count, frame_time_usec, bits_per_sample, avg_bps, max_bps;
        } format;
    } info;
    struct {
        void *pdata;
        long ldata;
    } port_data;
    void *group_lock;
    void *(*get_clock_src)(struct pj_port *, int);
    pj_status (*put_frame)(struct pj_port *, struct pj_frame *);
    pj_status (*get_frame)(struct pj_port *, struct pj_frame *);
    pj_status (*on_destroy)(struct pj_port *);
};

struct ve_bridge {
    int (*state)(void); /* 0: PJSUA is not there, or not any more */
    int (*thread_is_registered)(void);
    void *(*pool_create)(const char *name, size_t initial, size_t increment);
    void (*pool_release)(void *pool);
    pj_status (*null_port_create)(void *pool, unsigned rate, unsigned channels, unsigned samples_per_frame,
                                  unsigned bits_per_sample, struct pj_port **port);
    pj_status (*port_destroy)(struct pj_port *port);
    pj_status (*add_port)(void *pool, struct pj_port *port, int *slot);
    pj_status (*remove_port)(int slot);
    pj_status (*connect)(int source, int sink);
    pj_status (*disconnect)(int source, int sink);
    unsigned (*max_ports)(void);
    pj_status status;
};

const char *ve_bridge_load(struct ve_bridge **out, const char *path, bool loaded)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | (loaded ? RTLD_NOLOAD : 0));
    if (!library)
        return loaded ? "the pjsua2 module is not loaded: import pjsua2 first" : "the pjsua2 module cannot be loaded";
    struct ve_bridge *bridge = calloc(1, sizeof *bridge);
    if (!bridge)
        return "out of memory";
    const struct ve_symbol symbols[] = {
        {&bridge->state, "pjsua_get_state"},
        {&bridge->thread_is_registered, "pj_thread_is_registered"},
        {&bridge->pool_create, "pjsua_pool_create"},
        {&bridge->pool_release, "pj_pool_release"},
        {&bridge->null_port_create, "pjmedia_null_port_create"},
        {&bridge->port_destroy, "pjmedia_port_destroy"},
        {&bridge->add_port, "pjsua_conf_add_port"},
        {&bridge->remove_port, "pjsua_conf_remove_port"},
        {&bridge->connect, "pjsua_conf_connect"},
        {&bridge->disconnect, "pjsua_conf_disconnect"},
        {&bridge->max_ports, "pjsua_conf_get_max_ports"},
    };
    if (!ve_symbols_find(library, symbols, sizeof symbols / sizeof *symbols)) {
        ve_bridge_free(bridge);
        return "the pjsua2 module does not export PJSIP's functions: install pjsua2-python 2.15.1.post1";
    }
    *out = bridge;
    return NULL;
}

void ve_bridge_free(struct ve_bridge *bridge)
{
    free(bridge);
}

static bool on_pump_thread(const struct ve_bridge *bridge)
{
    return bridge->state() != 0 && bridge->thread_is_registered();
}

static bool same_library(const void *one, const void *other)
{
    Dl_info a, b;
    return dladdr(one, &a) && dladdr(other, &b) && a.dli_fbase == b.dli_fbase;
}

static const void *address_of(const void *function_pointer)
{
    void *address;
    memcpy(&address, function_pointer, sizeof address);
    return address;
}

/* A null port of odd dimensions: every field must sit where we look for it, and its functions do what null ports do. */
static const char *inspect(const struct ve_bridge *bridge, struct pj_port *port)
{
    const void *home = address_of(&bridge->null_port_create);
    if (port->info.name.length != 9 || memcmp(port->info.name.text, "null-port", 9) != 0)
        return "pjmedia_port: info.name is elsewhere";
    if (port->info.format.clock_rate != 12000 || port->info.format.channel_count != 1 ||
        port->info.format.bits_per_sample != 16 || port->info.format.frame_time_usec != 20000)
        return "pjmedia_port: info.fmt is elsewhere";
    if (port->port_data.pdata || port->port_data.ldata || port->group_lock || port->get_clock_src)
        return "pjmedia_port: port_data or grp_lock is elsewhere";
    if (!same_library(address_of(&port->put_frame), home) || !same_library(address_of(&port->get_frame), home) ||
        !same_library(address_of(&port->on_destroy), home))
        return "pjmedia_port: the frame functions are elsewhere";

    int16_t samples[240];
    memset(samples, 1, sizeof samples);
    struct pj_frame frame = {.type = PJ_FRAME_NONE, .buf = samples, .size = sizeof samples};
    if (port->get_frame(port, &frame) != 0 || frame.type != PJ_FRAME_AUDIO || frame.size != sizeof samples ||
        samples[0] != 0 || samples[239] != 0)
        return "pjmedia_frame: get_frame does not fill it as a null port does";
    if (port->put_frame(port, &frame) != 0)
        return "pjmedia_frame: put_frame refuses it";
    return NULL;
}

const char *ve_bridge_self_test(struct ve_bridge *bridge)
{
    if (!on_pump_thread(bridge))
        return "must run on a thread registered with pjlib, after libCreate and libInit";
    void *pool = bridge->pool_create("ve-test", 512, 512);
    if (!pool)
        return "no memory from PJSIP";
    struct pj_port *port = NULL;
    const char *wrong = "pjmedia_null_port_create failed";
    if (bridge->null_port_create(pool, 12000, 1, 240, 16, &port) == 0 && port) {
        wrong = inspect(bridge, port);
        bridge->port_destroy(port);
    }
    bridge->pool_release(pool);
    return wrong;
}

static pj_status put_frame(struct pj_port *port, struct pj_frame *frame)
{
    struct ve_channel *channel = port->port_data.pdata;
    if (frame->type == PJ_FRAME_AUDIO && frame->buf)
        ve_channel_put(channel, frame->buf, frame->size / sizeof(int16_t));
    else
        ve_channel_put(channel, NULL, channel->frame_samples);
    return 0;
}

static pj_status get_frame(struct pj_port *port, struct pj_frame *frame)
{
    struct ve_channel *channel = port->port_data.pdata;
    const bool sound = ve_channel_get(channel, frame->buf, channel->frame_samples);
    frame->type = sound ? PJ_FRAME_AUDIO : PJ_FRAME_NONE;
    frame->size = sound ? channel->frame_samples * sizeof(int16_t) : 0;
    return 0;
}

/*
 * The last anyone hears of the port: nobody touches it afterwards, so its pool goes with it (PJSIP's own ports do the
 * same). `attached` must be the last word about the channel: once false, its owner frees it.
 */
static pj_status on_destroy(struct pj_port *port)
{
    struct ve_channel *channel = port->port_data.pdata;
    struct ve_hub *hub = channel->hub;
    void *pool = channel->pool;
    void (*pool_release)(void *) = channel->release_pool;
    ve_queue_push(&channel->events, (struct ve_event){.kind = VE_CLOSED, .at_ns = ve_now_ns()});
    pool_release(pool);
    atomic_store_explicit(&channel->attached, false, memory_order_release);
    ve_hub_wake(hub);
    return 0;
}

static int refused(struct ve_bridge *bridge, pj_status status)
{
    bridge->status = status;
    return status ? -EPROTO : 0;
}

int ve_bridge_open_port(struct ve_bridge *bridge, struct ve_channel *channel)
{
    struct pj_port *port = NULL;
    if (!on_pump_thread(bridge))
        return -EPERM;
    if (channel->port || ve_channel_attached(channel))
        return -EALREADY;
    void *pool = bridge->pool_create("ve-channel", 1024, 1024);
    if (!pool)
        return -ENOMEM;
    pj_status status = bridge->null_port_create(pool, channel->settings.rate, 1, (unsigned)channel->frame_samples, 16, &port);
    if (status) {
        bridge->pool_release(pool);
        return refused(bridge, status);
    }
    port->port_data.pdata = channel;
    port->put_frame = put_frame;
    port->get_frame = get_frame;
    port->on_destroy = on_destroy;
    channel->pool = pool;
    channel->release_pool = bridge->pool_release;
    atomic_store_explicit(&channel->attached, true, memory_order_release);
    status = bridge->add_port(pool, port, &channel->slot);
    if (status) {
        bridge->port_destroy(port);
        return refused(bridge, status);
    }
    channel->port = port;
    return channel->slot;
}

/* 0 when the two may be connected: PJSIP aborts on a slot out of range. */
static int may_connect(const struct ve_bridge *bridge, const struct ve_channel *channel, int call_slot)
{
    if (!on_pump_thread(bridge))
        return -EPERM;
    if (!channel->port)
        return -ENOTCONN;
    return call_slot >= 0 && (unsigned)call_slot < bridge->max_ports() ? 0 : -EINVAL;
}

int ve_bridge_connect(struct ve_bridge *bridge, struct ve_channel *channel, int call_slot)
{
    const int reason = may_connect(bridge, channel, call_slot);
    if (reason)
        return reason;
    const pj_status hearing = bridge->connect(call_slot, channel->slot);
    return refused(bridge, hearing ? hearing : bridge->connect(channel->slot, call_slot));
}

int ve_bridge_disconnect(struct ve_bridge *bridge, struct ve_channel *channel, int call_slot)
{
    const int reason = may_connect(bridge, channel, call_slot);
    if (reason)
        return reason;
    const pj_status hearing = bridge->disconnect(call_slot, channel->slot);
    const pj_status speaking = bridge->disconnect(channel->slot, call_slot);
    return refused(bridge, hearing ? hearing : speaking);
}

int ve_bridge_close_port(struct ve_bridge *bridge, struct ve_channel *channel)
{
    if (!channel->port)
        return -ENOTCONN;
    if (bridge->state() == 0) { /* after libDestroy: no clock runs, the ports' memory has gone with everything */
        channel->port = NULL;
        atomic_store_explicit(&channel->attached, false, memory_order_release);
        return 0;
    }
    if (!on_pump_thread(bridge))
        return -EPERM;
    struct pj_port *port = channel->port;
    channel->port = NULL; /* before the last reference goes: its owner may free the channel at once */
    const pj_status removed = bridge->remove_port(channel->slot);
    const pj_status destroyed = bridge->port_destroy(port);
    return refused(bridge, removed ? removed : destroyed);
}

int ve_bridge_status(const struct ve_bridge *bridge)
{
    return bridge->status;
}

bool ve_channel_attached(const struct ve_channel *channel)
{
    return atomic_load_explicit(&channel->attached, memory_order_acquire);
}
