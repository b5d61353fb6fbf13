#include "ve_events.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

bool ve_queue_push(struct ve_queue *queue, struct ve_event event)
{
    const uint32_t written = atomic_load_explicit(&queue->written, memory_order_relaxed);
    if (written - atomic_load_explicit(&queue->read, memory_order_acquire) == VE_QUEUE_EVENTS) {
        atomic_fetch_add_explicit(&queue->dropped, 1, memory_order_relaxed);
        return false;
    }
    queue->events[written % VE_QUEUE_EVENTS] = event;
    atomic_store_explicit(&queue->written, written + 1, memory_order_release);
    return true;
}

bool ve_queue_pop(struct ve_queue *queue, struct ve_event *event)
{
    const uint32_t read = atomic_load_explicit(&queue->read, memory_order_relaxed);
    if (read == atomic_load_explicit(&queue->written, memory_order_acquire))
        return false;
    *event = queue->events[read % VE_QUEUE_EVENTS];
    atomic_store_explicit(&queue->read, read + 1, memory_order_release);
    return true;
}

struct ve_hub *ve_hub_open(void)
{
    struct ve_hub *hub = calloc(1, sizeof *hub);
    if (!hub)
        return NULL;
    hub->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (hub->fd < 0) {
        free(hub);
        return NULL;
    }
    return hub;
}

void ve_hub_close(struct ve_hub *hub)
{
    if (hub) {
        close(hub->fd);
        free(hub);
    }
}

int ve_hub_fd(const struct ve_hub *hub)
{
    return hub->fd;
}

void ve_hub_wake(struct ve_hub *hub)
{
    if (!atomic_exchange_explicit(&hub->awake, true, memory_order_acq_rel))
        (void)!eventfd_write(hub->fd, 1); /* cannot fail: the counter is 0 or 1 */
}

void ve_hub_rest(struct ve_hub *hub)
{
    eventfd_t count;
    (void)!eventfd_read(hub->fd, &count); /* EAGAIN when nobody woke us: fine */
    atomic_exchange_explicit(&hub->awake, false, memory_order_acq_rel);
}
