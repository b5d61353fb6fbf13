/** @file frames.c  A whole channel, recorded, under any settings, frames of any length and commands in any order. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "check.h"
#include "ve_channel.h"

#define LONGEST_FRAME 2000
#define STREAMS       3

/* What is played must stay until the channel is gone. */
static int16_t prompt[4000];

struct call {
    struct ve_channel *channel;
    struct ve_recorder *recorder; /* or NULL */
    struct ve_stream *streams[STREAMS];
    size_t opened;
    uint64_t position;
};

static void open_stream(struct call *call, struct bytes *bytes, uint32_t rate)
{
    const struct ve_stream_settings settings = {.room_ms = choice(bytes, 500), .pre_buffer_ms = choice(bytes, 500)};
    if (call->opened == STREAMS || ve_stream_open(&call->streams[call->opened], rate, &settings))
        return;
    ve_player_stream(ve_channel_player(call->channel), call->streams[call->opened++]);
}

static void play(struct call *call, struct bytes *bytes, uint32_t rate)
{
    struct ve_player *player = ve_channel_player(call->channel);
    struct ve_stream *stream = call->opened ? call->streams[call->opened - 1] : NULL;
    switch (choice(bytes, 10)) {
    case 0: ve_player_queue(player, prompt, choice(bytes, 4001)); break;
    case 1: open_stream(call, bytes, rate); break;
    case 2:
        if (stream)
            ve_stream_write(stream, prompt, choice(bytes, 4001));
        break;
    case 3:
        if (stream)
            ve_stream_end(stream);
        break;
    case 4: ve_player_pause(player); break;
    case 5: ve_player_resume(player); break;
    case 6: ve_player_stop(player); break;
    case 7: ve_player_arm(player, choice(bytes, 2)); break;
    case 8: {
        const double gain_db = amount(bytes, -40, 0);
        ve_player_background(player, prompt, choice(bytes, 4001), gain_db, gain_db - amount(bytes, 0, 20));
        break;
    }
    default: ve_player_background(player, NULL, 0, 0, 0);
    }
}

static void record(struct call *call, struct bytes *bytes)
{
    switch (call->recorder ? choice(bytes, 3) : 3) {
    case 0: ve_recorder_pause(call->recorder); break;
    case 1: ve_recorder_resume(call->recorder); break;
    case 2: CHECK(ve_recorder_flush(call->recorder) == 0); break;
    default: break;
    }
}

static void read_back(struct call *call, struct bytes *bytes)
{
    static int16_t out[LONGEST_FRAME];
    struct ve_event event;
    const size_t limit = choice(bytes, LONGEST_FRAME + 1);
    const size_t count = ve_channel_read(call->channel, &call->position, out, limit);
    CHECK(count <= limit && call->position + count <= ve_channel_head(call->channel));
    call->position += count;
    while (ve_channel_next_event(call->channel, &event))
        CHECK((event.kind != VE_ONSET && event.kind != VE_OFFSET) || event.position <= ve_channel_head(call->channel));
}

/* A network that says anything at all. */
static void judge(struct call *call, struct bytes *bytes)
{
    static float samples[VE_JUDGE_ROW];
    static const float wild[] = {NAN, INFINITY, -INFINITY, -1, 1e30F, 1e-40F};
    struct ve_judge *const judges[] = {ve_channel_judge(call->channel)};
    struct ve_judge_row row;
    for (uint32_t most = choice(bytes, 64); judges[0] && most > 0; most--) {
        if (ve_judges_gather(judges, 1, samples, &row) == 0)
            return;
        const uint32_t which = choice(bytes, 16);
        const float probability = which < 6 ? wild[which] : amount(bytes, 0, 1);
        ve_judges_publish(judges, &row, 1, &probability);
    }
}

static void one_call(struct call *call, struct bytes *bytes, uint32_t rate)
{
    static int16_t frame[LONGEST_FRAME];
    for (size_t samples = 0; bytes->left > 0 && samples < 400000;) {
        size_t count = choice(bytes, LONGEST_FRAME + 1);
        switch (choice(bytes, 10)) {
        case 0: play(call, bytes, rate); break;
        case 1: record(call, bytes); break;
        case 2: read_back(call, bytes); break;
        case 3: ve_channel_put(call->channel, NULL, count); break;
        case 4: ve_channel_get(call->channel, frame, count); break;
        case 5: judge(call, bytes); break;
        default:
            count = sound(bytes, frame, LONGEST_FRAME, rate);
            ve_channel_get(call->channel, frame + count, LONGEST_FRAME - count);
            ve_channel_put(call->channel, frame, count);
        }
        samples += count;
    }
}

/* Where libopus is there. */
static const struct ve_opus_api *opus(void)
{
    static struct ve_opus_api api;
    return api.create || !ve_opus_load(&api) ? &api : NULL;
}

static struct ve_recorder *begin_recording(struct ve_channel *channel, uint32_t rate, const char *path, bool in_opus)
{
    const struct ve_recorder_settings settings = {
        .rate = rate, .settle_ms = 30, .bits_per_s = 24000, .opus = in_opus ? opus() : NULL};
    struct ve_recorder *recorder = NULL;
    unlink(path);
    CHECK(ve_recorder_open(&recorder, path, &settings) == 0);
    CHECK(ve_recorder_attach(ve_channel_recorder(channel), recorder) == 0);
    return recorder;
}

static const struct ve_tone_plan *tone_plan(void)
{
    static struct ve_tone_plan *plan;
    const struct ve_tone busy = {.segments = {{VE_PAIR, {480, 620}, 10, 400, 600}, {.min_ms = 400, .max_ms = 600}},
                                 .count = 2,
                                 .needed = 2,
                                 .sure_ms = 300};
    if (!plan)
        CHECK(ve_tone_plan_open(&plan, &busy, 1) == 0);
    return plan;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ve_hub *hub;
    struct bytes bytes = {data, size};
    struct call call = {0};
    char path[64];
    if (!hub)
        CHECK((hub = ve_hub_open()));
    noise(prompt, sizeof prompt / sizeof *prompt, 1, 20000);

    const struct ve_level_settings level = {.report_ms = choice(&bytes, 1000)};
    const struct ve_dtmf_settings keys = {.minimum_dbov = amount(&bytes, -60, 0), .twist_db = 8, .reverse_twist_db = 4};
    const struct ve_gain_settings gain = {.target_dbov = amount(&bytes, -40, -10),
                                          .most_db = amount(&bytes, 0, 30),
                                          .rise_db_per_s = 3,
                                          .fall_db_per_s = amount(&bytes, 1, 100)};
    const uint32_t parts = choice(&bytes, 512);
    const struct ve_echo_settings echo = {.tail_ms = 2 * choice(&bytes, 40),
                                          .longest_delay_ms = choice(&bytes, 400),
                                          .suppression = choice(&bytes, 2)};
    const struct ve_judge_settings voice = {
        .hub = hub, .onset_probability = amount(&bytes, 0, 1), .speech_probability = amount(&bytes, 0, 1)};
    const struct ve_settings settings = {.rate = choice(&bytes, 2) ? 16000 : 8000,
                                         .frame_ms = 10 + choice(&bytes, 51),
                                         .vad_mode = (int)choice(&bytes, 4),
                                         .threshold_dbov = amount(&bytes, -100, 0),
                                         .onset_ms = choice(&bytes, 700),
                                         .window_ms = choice(&bytes, 700),
                                         .hangover_ms = choice(&bytes, 700),
                                         .offset_ms = choice(&bytes, 2000),
                                         .pre_roll_ms = choice(&bytes, 5001),
                                         .player = {.fade_ms = 10 + choice(&bytes, 21),
                                                    .duck_ms = 20 + choice(&bytes, 900)},
                                         .remove_offset = parts & 1,
                                         .echo = parts & 64 ? &echo : NULL,
                                         .judge = parts & 128 ? &voice : NULL,
                                         .level = parts & 2 ? &level : NULL,
                                         .keys = parts & 4 ? &keys : NULL,
                                         .tones = parts & 8 ? tone_plan() : NULL,
                                         .gain = parts & 16 ? &gain : NULL};
    if (ve_channel_open(&call.channel, &settings, &loud_api, hub))
        return 0;
    snprintf(path, sizeof path, "/dev/shm/voiceedge-fuzz-%d.wav", (int)getpid());
    if (parts & 32)
        call.recorder = begin_recording(call.channel, settings.rate, path, parts & 256);
    one_call(&call, &bytes, settings.rate);
    if (call.recorder) {
        ve_recorder_detach(ve_channel_recorder(call.channel), call.recorder);
        CHECK(ve_recorder_close(call.recorder) == 0 && unlink(path) == 0);
    }
    CHECK(ve_channel_free(call.channel) == 0);
    for (size_t i = 0; i < call.opened; i++)
        ve_stream_free(call.streams[i]);
    ve_hub_rest(hub);
    return 0;
}
