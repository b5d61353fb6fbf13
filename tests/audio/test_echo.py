"""The line echo canceller: against ITU-T G.168's tests, a NumPy filter, a packet network's delays, and in barge-in."""

import numpy as np
import pytest
from echo_rig import Canceller, ffi, lib, voice_blocks
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.echo import JointOptimisedNlms
from reference.echo_line import (
    composite_source,
    echo_of,
    hybrid,
    loss_db,
    pcmu,
    power_db,
    received,
    speech_like,
)

SPEECH_DBOV = -20.0


# ---- the filter ----


@pytest.mark.parametrize(("rate", "stride"), [(8000, 1), (8000, 2), (16000, 4)])
def test_the_filter_is_that_of_the_paper_sample_by_sample(rate, stride):
    hop, taps, hops = rate // 250, rate // 1000 * 32, 100
    random = np.random.default_rng(rate + stride)
    far = random.normal(0, 1000, hops * hop + taps - 1).astype(np.float32)
    path = hybrid(1, 6.0)[:64]
    near = np.convolve(far, path)[taps - 1 : taps - 1 + hops * hop] + random.normal(0, 30, hops * hop)
    near[hops * hop // 2 :] += random.normal(0, 2000, hops * hop - hops * hop // 2)  # a caller
    near = near.astype(np.float32)
    nlms, error = ffi.new("struct ve_nlms *"), np.zeros_like(near)
    lib.ve_nlms_open(nlms, rate, taps)
    # a window beyond the last sample is read, not used
    far = np.concatenate([far, np.zeros(stride, np.float32)])
    for at in range(0, len(near), hop):
        pointers = [ffi.cast("float *", side[at:].ctypes.data) for side in (far, near, error)]
        lib.ve_nlms_adapt(nlms, *pointers, hop, stride)
    filter_, exact = JointOptimisedNlms(rate, taps), far.astype(float)
    wanted = []
    for begin in range(0, len(near), hop):
        drift = filter_.drift(stride)
        wanted += [filter_.learn(exact[at : at + taps], near[at], drift) for at in range(begin, begin + hop, stride)]
    assert np.max(np.abs(error[::stride] - wanted)) < 1e-3 * np.max(np.abs(near))


@settings(max_examples=12, deadline=None)
@given(
    rate=st.sampled_from([8000, 16000]),
    chops=st.lists(st.integers(1, 700), min_size=1, max_size=8),
    delay_ms=st.integers(0, 200),
    suppression=st.booleans(),
)
def test_any_chopping_gives_the_same_output(rate, chops, delay_ms, suppression):
    far = pcmu(speech_like(1.5, SPEECH_DBOV, rate))
    near = received(echo_of(far, hybrid(2, 10.0, rate), delay_ms * rate // 1000))
    whole = Canceller(rate, suppression=suppression).put(far, near)
    assert np.array_equal(Canceller(rate, suppression=suppression).put(far, near, chops), whole)


@pytest.mark.parametrize(
    ("rate", "settings_"),
    [
        (8000, (7, 300)),
        (8000, (66, 300)),
        (16000, (34, 300)),
        (8000, (33, 300)),
        (8000, (32, 369)),
        (44100, (32, 300)),
    ],
)
def test_settings_out_of_range_are_refused(rate, settings_):
    wanted = ffi.new("struct ve_echo_settings *", [*settings_, True])
    assert lib.ve_echo_open(ffi.new("struct ve_echo *"), rate, wanted) < 0


# ---- the bulk delay ----


@pytest.mark.parametrize("delay_ms", [0, 21, 77, 140, 211, 250])
@pytest.mark.parametrize("rate", [8000, 16000])
def test_the_bulk_delay_is_found_within_half_a_second_of_speech(rate, delay_ms):
    far = pcmu(speech_like(0.5 + delay_ms / 1000, SPEECH_DBOV, rate, seed=delay_ms + 2))
    canceller = Canceller(rate)
    canceller.put(far, received(echo_of(far, hybrid(5, 12.0, rate), delay_ms * rate // 1000)))
    assert delay_ms - 20 <= canceller.report().delay_ms <= delay_ms + 4


def far_and_near_with_a_jump() -> tuple[np.ndarray, np.ndarray]:
    """After four seconds the echo comes two packets later."""
    far = pcmu(speech_like(9, SPEECH_DBOV))
    before, after = (echo_of(far, hybrid(3, 8.0), ms * 8) for ms in (100, 140))
    return far, received(np.where(np.arange(len(far)) < 4 * 8000, before, after))


def test_a_delay_that_jumps_is_followed_and_the_output_never_much_louder_than_the_input():
    far, near = far_and_near_with_a_jump()
    out = Canceller().put(far, near)
    assert loss_db(near, out, 8000, 2, 4) > 20
    assert loss_db(near, out, 8000, 4, 4.5) > -1.5
    assert loss_db(near, out, 8000, 5.5, 9) > 20
    for start_s in np.arange(0, 8.9, 0.1):
        assert loss_db(near, out, 8000, start_s, start_s + 0.1) > -2.5


def test_an_echo_that_jumps_is_suppressed_while_it_is_sought_again():
    far, near = far_and_near_with_a_jump()
    voice = voice_blocks(Canceller(suppression=True).put(far, near))
    assert np.sum(voice) <= 5  # 100 ms, until the old filter is known to be wrong


# ---- ITU-T G.168 ----


@pytest.mark.parametrize("model", range(1, 9))
def test_2_convergence_and_steady_state_with_the_composite_source(model):
    """G.168 test 2: within a second, and kept."""
    far = pcmu(composite_source(5, -16))
    near = received(echo_of(far, hybrid(model, 6.0), 400))
    out = Canceller().put(far, near)
    assert loss_db(near, out, 8000, 1, 2) > 20
    assert loss_db(near, out, 8000, 2, 5) > 24


@pytest.mark.parametrize("level_dbov", [-10, -20, -30])
@pytest.mark.parametrize("echo_loss_db", [6, 15])
def test_2_steady_state_with_speech_at_any_level(level_dbov, echo_loss_db):
    far = pcmu(speech_like(6, level_dbov))
    near = received(echo_of(far, hybrid(4, echo_loss_db), 640))
    out = Canceller().put(far, near)
    noise_bound = power_db(near[3 * 8000 :]) + 66  # no filter removes the line's own noise
    assert loss_db(near, out, 8000, 3, 6) > min(20, noise_bound)


def test_2_with_suppression_only_comfort_noise_is_left():
    far = pcmu(speech_like(6, SPEECH_DBOV))
    near = received(echo_of(far, hybrid(1, 6.0), 640))
    out = Canceller(suppression=True).put(far, near)
    assert loss_db(near, out, 8000, 2, 6) > 35
    assert power_db(out[2 * 8000 :]) > -80  # and not dead silence


def test_3_double_talk_neither_harms_the_caller_nor_the_filter():
    """G.168 test 3: the caller speaks over the prompt, as loud as the prompt, for three seconds."""
    far, caller = pcmu(speech_like(9, SPEECH_DBOV)), speech_like(9, SPEECH_DBOV, seed=5).astype(float)
    caller[: 3 * 8000] = caller[6 * 8000 :] = 0
    echo = echo_of(far, hybrid(1, 10.0), 640)
    near, alone = received(echo, caller), received(np.zeros(len(far)), caller)
    out = Canceller().put(far, near)
    residual = out.astype(float) - alone
    assert loss_db(echo, residual, 8000, 3.2, 6) > 10  # the echo below the caller's voice
    assert loss_db(near, out, 8000, 6.1, 9) > 20  # at once when the caller is silent


def test_3_it_converges_below_a_caller_who_never_stops():
    far, caller = pcmu(speech_like(6, SPEECH_DBOV)), speech_like(6, SPEECH_DBOV - 10, seed=5)
    echo = echo_of(far, hybrid(1, 8.0), 640)
    residual = Canceller().put(far, received(echo, caller)).astype(float) - received(np.zeros(len(far)), caller)
    assert loss_db(echo, residual, 8000, 3, 6) > 10


def test_4_a_converged_filter_does_not_leak_away_in_silence():
    """G.168 test 4: two minutes of silence, here ten seconds: nothing adapts in silence."""
    speech = pcmu(speech_like(4, SPEECH_DBOV))
    far = np.concatenate([speech, np.zeros(10 * 8000), speech])
    near = received(echo_of(far, hybrid(6, 8.0), 640))
    out = Canceller().put(far, near)
    assert loss_db(near, out, 8000, 14.1, 15) > 18


def test_5_an_echo_path_that_opens_leaves_no_echo_of_the_filters_own():
    """G.168 test 5, infinite return loss: the echo vanishes, and what the filter expected must not be heard instead."""
    far = pcmu(composite_source(6, -16))
    echo = echo_of(far, hybrid(1, 6.0), 640)
    silent_from = 3 * 8000
    near = received(np.where(np.arange(len(far)) < silent_from, echo, 0))
    out = Canceller().put(far, near)
    assert power_db(out[silent_from + 4000 :]) < power_db(echo[silent_from:]) - 37


@pytest.mark.parametrize(
    "hertz", [(697,), (941,), (1336,), (1633,), (697, 1209), (770, 1336), (852, 1477), (941, 1633)], ids=str
)
def test_6_tones_do_not_make_the_filter_diverge(hertz):
    """G.168 test 6: speech, then five seconds of a tone, then speech: as good as before."""
    time_s = np.arange(5 * 8000) / 8000
    tone = sum(np.sin(2 * np.pi * one * time_s) for one in hertz) * 3000
    speech = speech_like(4, SPEECH_DBOV)
    far = pcmu(np.concatenate([speech, tone, speech]))
    near = received(echo_of(far, hybrid(1, 8.0), 640))
    out = Canceller().put(far, near)
    before, after = loss_db(near, out, 8000, 2, 4), loss_db(near, out, 8000, 9.2, 11)
    assert loss_db(near, out, 8000, 5, 9) > 15
    assert after > before - 6
    assert after > 15


def test_7_it_is_stable_on_a_tone_from_the_start():
    """G.168 test 7: a sine wave for two minutes, here twenty seconds, without any speech to converge on."""
    time_s = np.arange(20 * 8000) / 8000
    far = pcmu(6000 * np.sin(2 * np.pi * 1000 * time_s))
    near = received(echo_of(far, hybrid(1, 10.0), 640))
    out = Canceller().put(far, near)
    for second in range(20):
        assert loss_db(near, out, 8000, second, second + 1) > -0.5
    assert loss_db(near, out, 8000, 5, 20) > 15


# ---- a caller without an echo ----


@pytest.mark.parametrize("suppression", [False, True])
def test_a_caller_without_an_echo_passes_bit_by_bit(suppression):
    far, near = pcmu(speech_like(12, SPEECH_DBOV)), pcmu(speech_like(12, SPEECH_DBOV, seed=9))
    canceller = Canceller(suppression=suppression)
    out = canceller.put(far, near)
    known_from = 3 * 8000 if suppression else 0  # until then Geigel's rule may hold back what is 6 dB below the prompt
    assert np.array_equal(out[known_from:], near[known_from:])
    assert canceller.report().delay_ms == -1
    assert not canceller.report().searching


def test_with_nothing_sent_everything_passes_bit_by_bit():
    near = pcmu(speech_like(5, SPEECH_DBOV))
    assert np.array_equal(Canceller(suppression=True).put(np.zeros(len(near)), near), near)


# ---- barge-in ----


@pytest.mark.parametrize("echo_loss_db", [6, 10, 15])
def test_a_prompts_own_echo_does_not_barge_in(echo_loss_db):
    false, without = 0, 0
    for seed in range(4):
        far = pcmu(speech_like(8, SPEECH_DBOV, seed=seed))
        near = received(echo_of(far, hybrid(2 * seed + 1, echo_loss_db), 8 * (40 + 60 * seed)), seed=seed)
        without += int(np.sum(voice_blocks(near)))
        false += int(np.sum(voice_blocks(Canceller(suppression=True).put(far, near))))
    assert without > 400
    assert false <= 4


@pytest.mark.parametrize("level_dbov", [-20, -26])
def test_a_callers_first_syllable_is_heard_during_a_prompt(level_dbov):
    late = []
    for seed in range(6):
        far = pcmu(speech_like(6, SPEECH_DBOV, seed=seed))
        caller = np.zeros(len(far))
        caller[4 * 8000 :] = speech_like(2, level_dbov, seed=50 + seed)
        echo = echo_of(far, hybrid(seed + 1, 10.0), 8 * (40 + 40 * seed))
        out = Canceller(suppression=True).put(far, received(echo, caller))
        heard, clean = (voice_blocks(side)[200:] for side in (out, received(np.zeros(len(far)), caller)))
        late.append(int(np.argmax(heard)) - int(np.argmax(clean)))
    assert max(late) <= 2  # 40 ms
    assert sorted(late)[3] <= 1


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("echo_loss_db", [6, 10, 15, 25])
def test_a_caller_who_talks_and_talks_over_the_prompt_is_heard_and_costs_no_filter(echo_loss_db, seed):
    """A second of every two, for twenty seconds, 6 dB below the prompt: louder than its echo, or no louder."""
    far = pcmu(speech_like(20, SPEECH_DBOV, seed=seed))
    caller = speech_like(20, SPEECH_DBOV - 6, seed=50 + seed).astype(float)
    caller[np.arange(len(far)) // 8000 % 2 == 0] = 0
    echo = echo_of(far, hybrid(2 * seed + 1, echo_loss_db), 8 * (40 + 60 * seed))
    near, alone = received(echo, caller), received(np.zeros(len(far)), caller)
    canceller, out = Canceller(suppression=True), np.zeros(len(far))
    for at in range(0, len(far), 800):
        part = slice(at, at + 800)
        out[part] = canceller.put(far[part], near[part])
        assert canceller.report().delay_ms >= 0 or at < 3200  # found within 400 ms, never lost
    assert loss_db(alone, out, 8000, 1, 2) < 5  # the filter is a second old
    for second in range(3, 20, 2):
        assert abs(loss_db(alone, out, 8000, second, second + 1)) < 1
        assert loss_db(near, out, 8000, second - 0.7, second) > 20


# ---- how loud an echo can be ----


def louder_than_any(far: np.ndarray, near: np.ndarray, reach: int) -> float:
    """What the rule has learnt of the powers of hops."""
    geigel = ffi.new("struct ve_geigel *")
    lib.ve_geigel_open(geigel, reach)
    for sent, heard in zip(far, near, strict=True):
        lib.ve_geigel_put(geigel, sent, heard)
    return float(lib.ve_geigel_share(geigel))


@given(st.integers(0, 1000), st.integers(0, 20), st.floats(-38, -14), st.booleans())
@settings(max_examples=50, deadline=None)
def test_no_echo_is_louder_than_what_is_learnt_and_a_caller_who_pauses_changes_nothing(seed, late, loss_db_, speaks):
    random = np.random.default_rng(seed)
    far, reach = 10 ** random.uniform(5.1, 8, 300), 21
    echo = np.concatenate([np.zeros(late), far * 10 ** (loss_db_ / 10)])[: len(far)]
    caller = np.where(np.arange(len(far)) < 200, random.uniform(0, 1e8, len(far)), 0) * speaks
    learnt = louder_than_any(far, echo + caller, reach)
    assert learnt >= 0.99 * 10 ** (loss_db_ / 10)
    assert learnt <= 10 ** ((loss_db_ + 10) / 10)  # 6 dB for other sounds, and what the loudest hop is by chance
