/**
 * @file ve_bridge.h  A channel as a port of PJSUA's conference bridge, without PJSIP's headers.
 *
 * The functions are looked up in the loaded `_pjsua2` module. A port is a null port whose frame functions we replace;
 * the layout of struct pjmedia_port is therefore checked at start-up (ve_bridge_self_test) before it is relied upon.
 *
 * Threads: everything here but `ve_bridge_load` runs on the SIP pump thread, which is registered with pjlib and has
 * called libCreate and libInit; elsewhere PJSIP would abort, so we refuse with -EPERM.
 *
 * Removing a port is asynchronous: the bridge's clock lets go of it at its next tick, calls `on_destroy`, and only then
 * is `attached` false and the channel may be freed (VE_CLOSED tells). After libDestroy closing a port is still right:
 * it only notes that the bridge is gone.
 */
#ifndef VE_BRIDGE_H
#define VE_BRIDGE_H

#include <stdbool.h>

#include "ve_channel.h"

/* cffi: begin */
struct ve_bridge;

/**
 * Look the functions up. `loaded`: fail unless Python has already loaded the module. In `*bridge`; NULL, or what is
 * wrong.
 */
const char *ve_bridge_load(struct ve_bridge **bridge, const char *path, bool loaded);
void ve_bridge_free(struct ve_bridge *bridge);

/** NULL, or what is not as we think. */
const char *ve_bridge_self_test(struct ve_bridge *bridge);

/** These return 0 (open: the conference slot ≥ 0), a negative errno, or -EPROTO: see ve_bridge_status. */
int ve_bridge_open_port(struct ve_bridge *bridge, struct ve_channel *channel);
int ve_bridge_connect(struct ve_bridge *bridge, struct ve_channel *channel, int call_slot);
int ve_bridge_disconnect(struct ve_bridge *bridge, struct ve_channel *channel, int call_slot);
int ve_bridge_close_port(struct ve_bridge *bridge, struct ve_channel *channel);

/** The pj_status_t behind the last -EPROTO. */
int ve_bridge_status(const struct ve_bridge *bridge);
/** True until the bridge has let go of the channel's port. Any thread. */
bool ve_channel_attached(const struct ve_channel *channel);
/* cffi: end */

#endif
