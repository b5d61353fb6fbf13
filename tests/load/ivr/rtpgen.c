/**
 * @file rtpgen.c  The callers' RTP (RFC 3550, RFC 4733) for calls that SIPp signals: sends, listens, and takes the times.
 *
 * One UDP socket a place, at PORT, PORT + 4, PORT + 8 … as SIPp's [auto_media_port] counts them. A place becomes a call
 * when the first packet comes in, for the IVR speaks first:
 *
 *   from the IVR  |▒▒▒▒▒▒▒ first prompt ▒▒▒▒▒▒▒▒|           |▒▒▒ second prompt ▒▒▒|
 *   to the IVR    |░░░░░░░ AUDIO, PCMU, 50 packets a second ░░░|▓ DIGIT ▓|░░░░░░░░░|  silent for 200 ms: the call is over
 *                 |◀─────────── DIGIT_MS ──────────────────────▶|160 ms|◀▶|
 *                                                                digit_to_audio_ms
 *
 * The sockets are polled once a millisecond, so that the IVR's packets do not wake this process; when each came the
 * kernel says (SO_TIMESTAMPNS). A call that hears nothing for IDLE_MS is over too.
 *
 * usage: rtpgen IP PORT PLACES AUDIO.ul DIGIT_MS DIGIT SECONDS.csv CALLS.csv
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    PORTS_A_PLACE = 4,
    FRAME_MS = 20,
    FRAME = 160, /* samples, and bytes of PCMU */
    HEADER = 12, /* bytes of RTP */
    PCMU = 0,
    EVENT = 101,        /* RFC 4733 */
    DIGIT_PACKETS = 8,  /* 160 ms */
    END_COPIES = 3,     /* of a digit's last packet */
    EVENT_LEVEL = 10,   /* -dBm0 */
    FIRST_RTCP = 72,    /* payload types that RTCP's would be taken for … */
    LAST_RTCP = 76,     /* … on the port of RTP */
    LOUD = 0xf0,        /* PCMU magnitudes below it are sound, above it hiss */
    OVER_MS = 200,      /* of silence after the answer: the IVR has hung up */
    IDLE_MS = 5000,     /* of silence before it */
    STRAGGLERS_MS = 1000,
    LONGEST_PACKET_MS = 60, /* where the RTP clock jumps further, the IVR paused */
    EVENTS_AT_ONCE = 512,
};

struct received {
    uint32_t packets, lost, out_of_order, voiced, not_pcmu, ssrc_changes, late; /* late: 20 ms beyond their time */
    uint32_t ssrc, timestamp;
    uint16_t sequence;
    int64_t at_ns; /* the last one, by the kernel's clock */
    int64_t at_ms; /* and by ours */
    double jitter; /* samples, RFC 3550 6.4.1 */
    double longest_gap_ms;
};

struct call {
    int fd;
    bool active, digit_sent, digit_answered;
    struct sockaddr_in peer;
    uint32_t ssrc, timestamp, digit_timestamp;
    uint16_t sequence;
    int64_t began_ms, next_ms, digit_began_ms, digit_done_ms; /* monotonic */
    int64_t sent;
    size_t audio_at;
    int digit_packet; /* the next one's number, -1: none is due */
    double digit_to_audio_ms, key_to_audio_ms; /* from the digit's end, from its beginning */
    struct received in;
};

struct totals {
    uint64_t sent, received, send_errors, late_2ms, late_5ms, calls, answered, lost, gaps;
    int64_t latest_us;
    int active;
};

struct generator {
    struct call *calls;
    int *running; /* indices of active calls */
    int places, count, epoll;
    const unsigned char *audio;
    size_t audio_bytes;
    int digit_ms, digit;
    FILE *seconds, *each;
    struct totals total;
};

static volatile sig_atomic_t stopping;

static void stop(int number)
{
    (void)number;
    stopping = 1;
}

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

/* --- what comes in --- */

struct packet {
    unsigned char bytes[2048];
    ssize_t size;
    int64_t at_ns;
    struct sockaddr_in from;
};

static uint32_t word(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static int payload_type(const struct packet *packet)
{
    return packet->bytes[1] & 0x7f;
}

static bool is_rtp(const struct packet *packet)
{
    const int type = payload_type(packet);
    return packet->size >= HEADER && packet->bytes[0] >> 6 == 2 && !(type >= FIRST_RTCP && type <= LAST_RTCP);
}

static bool has_sound(const struct packet *packet)
{
    for (ssize_t i = HEADER; i < packet->size; i += 7)
        if ((packet->bytes[i] | 0x80) < LOUD)
            return true;
    return false;
}

static bool receive(int fd, struct packet *packet)
{
    char control[256];
    struct iovec part = {packet->bytes, sizeof packet->bytes};
    struct msghdr message = {.msg_name = &packet->from,
                             .msg_namelen = sizeof packet->from,
                             .msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    packet->size = recvmsg(fd, &message, MSG_DONTWAIT);
    if (packet->size < 0)
        return false;
    packet->at_ns = 0;
    for (struct cmsghdr *found = CMSG_FIRSTHDR(&message); found; found = CMSG_NXTHDR(&message, found))
        if (found->cmsg_level == SOL_SOCKET && found->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec at;
            memcpy(&at, CMSG_DATA(found), sizeof at);
            packet->at_ns = at.tv_sec * 1000000000LL + at.tv_nsec;
        }
    return true;
}

static void begin(struct generator *all, struct call *call, const struct packet *packet, int64_t now_ms)
{
    const int fd = call->fd;
    const uint32_t ssrc = call->ssrc + 1;
    *call = (struct call){.fd = fd,
                          .active = true,
                          .peer = packet->from,
                          .ssrc = ssrc,
                          .sequence = (uint16_t)rand(),
                          .timestamp = (uint32_t)rand(),
                          .began_ms = now_ms,
                          .next_ms = now_ms + 1,
                          .digit_packet = -1,
                          .audio_at = (size_t)rand() % (all->audio_bytes / FRAME) * FRAME,
                          .in = {.ssrc = word(packet->bytes + 8)}};
    all->running[all->count++] = (int)(call - all->calls);
    all->total.active++;
}

/* Lost, late, and jitter; gaps over which the RTP clock jumped are pauses of the IVR, not lateness. */
static void follow(struct received *in, const struct packet *packet, uint16_t sequence, uint32_t timestamp)
{
    const int16_t step = (int16_t)(sequence - in->sequence);
    const double gap_ms = (double)(packet->at_ns - in->at_ns) / 1e6, due_ms = (int32_t)(timestamp - in->timestamp) / 8.0;
    if (step > 1)
        in->lost += (uint32_t)step - 1;
    else if (step <= 0)
        in->out_of_order++;
    if (due_ms <= 0 || due_ms > LONGEST_PACKET_MS)
        return;
    in->jitter += (fabs(gap_ms - due_ms) * 8 - in->jitter) / 16;
    if (gap_ms > in->longest_gap_ms)
        in->longest_gap_ms = gap_ms;
    in->late += gap_ms > due_ms + FRAME_MS;
}

static void listen_to(struct call *call, const struct packet *packet, int64_t now_ms)
{
    if (payload_type(packet) != PCMU) {
        call->in.not_pcmu++;
        return;
    }
    if (!has_sound(packet))
        return;
    call->in.voiced++;
    if (call->digit_sent && !call->digit_answered && now_ms > call->digit_done_ms) {
        call->digit_answered = true;
        call->digit_to_audio_ms = (double)(now_ms - call->digit_done_ms);
    }
    if (call->digit_began_ms && call->key_to_audio_ms == 0)
        call->key_to_audio_ms = (double)(now_ms - call->digit_began_ms);
}

static void take(struct generator *all, struct call *call, const struct packet *packet, int64_t now_ms)
{
    struct received *in = &call->in;
    const uint16_t sequence = (uint16_t)(packet->bytes[2] << 8 | packet->bytes[3]);
    const uint32_t timestamp = word(packet->bytes + 4), ssrc = word(packet->bytes + 8);
    all->total.received++;
    if (!call->active) {
        const bool straggler = in->at_ms && now_ms - in->at_ms < STRAGGLERS_MS && call->peer.sin_port == packet->from.sin_port;
        if (straggler) {
            in->at_ms = now_ms;
            return;
        }
        begin(all, call, packet, now_ms);
    } else if (ssrc != in->ssrc) {
        in->ssrc_changes++;
        in->ssrc = ssrc;
    } else {
        follow(in, packet, sequence, timestamp);
    }
    listen_to(call, packet, now_ms);
    in->packets++;
    in->sequence = sequence;
    in->timestamp = timestamp;
    in->at_ns = packet->at_ns;
    in->at_ms = now_ms;
}

static void receive_all(struct generator *all, int64_t now_ms)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    struct packet packet;
    int ready;
    do {
        ready = epoll_wait(all->epoll, events, EVENTS_AT_ONCE, 0);
        for (int i = 0; i < ready; i++) {
            struct call *call = &all->calls[events[i].data.u32];
            while (receive(call->fd, &packet))
                if (is_rtp(&packet))
                    take(all, call, &packet, now_ms);
        }
    } while (ready == EVENTS_AT_ONCE);
}

/* --- what goes out --- */

static void send_packet(struct generator *all, struct call *call, unsigned char *out, size_t size, int type, bool marker,
                        uint32_t timestamp)
{
    const uint32_t stamp = htonl(timestamp), ssrc = htonl(call->ssrc);
    const uint16_t sequence = htons(call->sequence++);
    out[0] = 0x80;
    out[1] = (unsigned char)(type | (marker ? 0x80 : 0));
    memcpy(out + 2, &sequence, sizeof sequence);
    memcpy(out + 4, &stamp, sizeof stamp);
    memcpy(out + 8, &ssrc, sizeof ssrc);
    if (sendto(call->fd, out, size, 0, (const struct sockaddr *)&call->peer, sizeof call->peer) < 0)
        all->total.send_errors++;
    else
        all->total.sent++;
    call->sent++;
}

static void send_audio(struct generator *all, struct call *call)
{
    unsigned char out[HEADER + FRAME];
    memcpy(out + HEADER, all->audio + call->audio_at, FRAME);
    call->audio_at = (call->audio_at + FRAME) % all->audio_bytes;
    send_packet(all, call, out, sizeof out, PCMU, call->sent == 0, call->timestamp);
}

static void send_digit(struct generator *all, struct call *call, int64_t now_ms)
{
    const int duration = (call->digit_packet + 1) * FRAME;
    const bool first = call->digit_packet == 0, last = call->digit_packet == DIGIT_PACKETS - 1;
    unsigned char out[HEADER + 4];
    out[HEADER] = (unsigned char)all->digit;
    out[HEADER + 1] = (unsigned char)((last ? 0x80 : 0) | EVENT_LEVEL);
    out[HEADER + 2] = (unsigned char)(duration >> 8);
    out[HEADER + 3] = (unsigned char)duration;
    for (int copy = 0; copy < (last ? END_COPIES : 1); copy++)
        send_packet(all, call, out, sizeof out, EVENT, first, call->digit_timestamp);
    call->digit_packet = last ? -1 : call->digit_packet + 1;
    if (first)
        call->digit_began_ms = now_ms;
    if (last) {
        call->digit_sent = true;
        call->digit_done_ms = now_ms;
    }
}

static void note_lateness(struct totals *total, int64_t late_us)
{
    total->late_2ms += late_us > 2000;
    total->late_5ms += late_us > 5000;
    if (late_us > total->latest_us)
        total->latest_us = late_us;
}

static void send_due(struct generator *all, struct call *call, int64_t at_us)
{
    const int64_t now_ms = at_us / 1000;
    for (; call->next_ms <= now_ms; call->next_ms += FRAME_MS, call->timestamp += FRAME) {
        const bool pressed = call->digit_sent || call->digit_packet >= 0;
        note_lateness(&all->total, at_us - call->next_ms * 1000);
        if (!pressed && now_ms - call->began_ms >= all->digit_ms) {
            call->digit_packet = 0;
            call->digit_timestamp = call->timestamp;
        }
        if (call->digit_packet >= 0)
            send_digit(all, call, now_ms);
        else
            send_audio(all, call);
    }
}

/* --- calls that end, and the figures --- */

static void end(struct generator *all, struct call *call)
{
    const struct received *in = &call->in;
    fprintf(all->each, "%td,%u,%u,%u,%u,%u,%.3f,%.1f,%u,%.1f,%.1f,%d,%jd,%u\n", call - all->calls, in->packets, in->voiced,
            in->lost, in->out_of_order, in->not_pcmu, in->jitter / 8.0, in->longest_gap_ms, in->late, call->digit_to_audio_ms,
            call->key_to_audio_ms, call->digit_answered, (intmax_t)call->sent, in->ssrc_changes);
    all->total.calls++;
    all->total.answered += call->digit_answered;
    all->total.lost += in->lost;
    all->total.gaps += in->late;
    all->total.active--;
    call->active = false;
}

static void serve(struct generator *all, int64_t at_us)
{
    const int64_t now_ms = at_us / 1000;
    for (int i = 0; i < all->count;) {
        struct call *call = &all->calls[all->running[i]];
        const int64_t idle_ms = now_ms - call->in.at_ms;
        if ((call->digit_answered && idle_ms > OVER_MS) || idle_ms > IDLE_MS) {
            end(all, call);
            all->running[i] = all->running[--all->count];
        } else {
            send_due(all, call, at_us);
            i++;
        }
    }
}

static void report(struct generator *all)
{
    struct totals *total = &all->total;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    fprintf(all->seconds, "%jd.%03ld,%d,%ju,%ju,%ju,%ju,%ju,%ju,%.1f,%ju,%ju,%ju\n", (intmax_t)now.tv_sec, now.tv_nsec / 1000000,
            total->active, total->sent, total->received, total->lost, total->send_errors, total->late_2ms, total->late_5ms,
            (double)total->latest_us / 1e3, total->calls, total->answered, total->gaps);
    total->latest_us = 0;
    fflush(all->seconds);
    fflush(all->each);
}

static void run(struct generator *all)
{
    int64_t tick_ms = now_us() / 1000 + 1, reported_ms = tick_ms;
    while (!stopping) {
        const struct timespec wake = {tick_ms / 1000, tick_ms % 1000 * 1000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wake, NULL);
        const int64_t at_us = now_us(), now_ms = at_us / 1000;
        receive_all(all, now_ms);
        serve(all, at_us);
        if (now_ms - reported_ms >= 1000) {
            report(all);
            reported_ms = now_ms;
        }
        tick_ms = now_ms + 1;
    }
    while (all->count > 0)
        end(all, &all->calls[all->running[--all->count]]);
    report(all);
}

/* --- to begin with --- */

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static FILE *table(const char *path, const char *columns)
{
    FILE *file = fopen(path, "w");
    if (!file)
        fail(path);
    fprintf(file, "%s\n", columns);
    return file;
}

static void read_audio(struct generator *all, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0)
        fail(path);
    all->audio_bytes = (size_t)ftell(file) / FRAME * FRAME;
    rewind(file);
    unsigned char *audio = malloc(all->audio_bytes);
    if (!audio || !all->audio_bytes || fread(audio, 1, all->audio_bytes, file) != all->audio_bytes)
        fail(path);
    all->audio = audio;
    fclose(file);
}

static void open_places(struct generator *all, const char *address, int port)
{
    const int yes = 1;
    all->calls = calloc((size_t)all->places, sizeof *all->calls);
    all->running = calloc((size_t)all->places, sizeof *all->running);
    all->epoll = epoll_create1(0);
    if (!all->calls || !all->running || all->epoll < 0)
        fail("rtpgen");
    for (int i = 0; i < all->places; i++) {
        const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(port + PORTS_A_PLACE * i))};
        struct epoll_event wanted = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        inet_pton(AF_INET, address, &here.sin_addr);
        if (fd < 0 || bind(fd, (const struct sockaddr *)&here, sizeof here) != 0)
            fail("rtpgen: a port of a place");
        setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof yes);
        epoll_ctl(all->epoll, EPOLL_CTL_ADD, fd, &wanted);
        all->calls[i] = (struct call){.fd = fd, .ssrc = 0x51000000u + (uint32_t)i * 7919u};
    }
}

int main(int count, char **given)
{
    if (count != 9) {
        fprintf(stderr, "usage: rtpgen IP PORT PLACES AUDIO.ul DIGIT_MS DIGIT SECONDS.csv CALLS.csv\n");
        return 2;
    }
    struct generator all = {.places = atoi(given[3]), .digit_ms = atoi(given[5]), .digit = atoi(given[6])};
    read_audio(&all, given[4]);
    all.seconds = table(given[7], "at,active,sent,received,lost,send_errors,late_2ms,late_5ms,latest_ms,calls,answered,gaps");
    all.each = table(given[8], "place,packets,voiced,lost,out_of_order,not_pcmu,jitter_ms,longest_gap_ms,late,digit_to_audio_ms,"
                               "key_to_audio_ms,answered,sent,ssrc_changes");
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    open_places(&all, given[1], atoi(given[2]));
    report(&all); /* the sockets are open */
    run(&all);
    return fclose(all.each) || fclose(all.seconds);
}
