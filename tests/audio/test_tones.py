"""Call-progress and special tones: each tone of each plan through noise, G.711 and a line that is off, and no other."""

import itertools
import tomllib
from dataclasses import dataclass

import numpy as np
import pytest
from blocks import load
from detection import recordings
from detection.line import Line
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import tones as reference

from voiceedge.audio import wav
from voiceedge.audio.tones import DEFAULT_FILE, Tone, ToneKind, TonePlan, load_plan, to_c
from voiceedge.speech.telephone import mu_law_round_trip

ffi, lib = load("tone_plan", "tones")
PLANS = {name: load_plan(name) for name in tomllib.loads(DEFAULT_FILE.read_text(encoding="utf-8"))["plans"]}
KOREA = PLANS["kr"]
NETWORK = [kind for kind in ToneKind if kind is not ToneKind.BEEP]
BEFORE_S = 0.5
EDGE_S = 0.03  # how exactly a beginning or an end is told


@dataclass(frozen=True)
class Change:
    kind: ToneKind
    begun: bool
    began_s: float
    ended_s: float
    level_dbov: float
    noticed_s: float


@pytest.fixture(scope="module", name="compiled")
def _compiled():
    made = {}
    for name, plan in PLANS.items():
        out = ffi.new("struct ve_tone_plan **")
        assert lib.ve_tone_plan_open(out, to_c(plan, ffi), len(plan.tones)) == 0
        made[name] = out[0]
    yield made
    for native in made.values():
        lib.ve_tone_plan_free(native)


@pytest.fixture(name="hear")
def _hear(compiled):
    def hear(pcm, plan: TonePlan = KOREA, rate: int = 8000, chops: list[int] | None = None) -> list[Change]:
        tones = ffi.new("struct ve_tones *")
        assert lib.ve_tones_open(tones, rate, compiled[plan.name]) == 0
        return list(changes(tones, plan, np.clip(np.rint(pcm), -32768, 32767).astype(np.int16), rate, chops))

    return hear


def changes(tones, plan: TonePlan, pcm: np.ndarray, rate: int, chops: list[int] | None):
    out = ffi.new("struct ve_tone_change[32]")
    position = 0
    for length in itertools.cycle(chops or [rate // 50]):
        piece = np.ascontiguousarray(pcm[position : position + length])
        found = lib.ve_tones_put(tones, ffi.from_buffer("int16_t[]", piece), len(piece), out, 32)
        position += len(piece)
        for each in out[0:found]:
            times = (each.began_at / rate, each.ended_at / rate)
            yield Change(plan.tones[each.tone].kind, bool(each.begun), *times, each.level_dbov, position / rate)
        if position >= len(pcm):
            return


def tone_of(kind: ToneKind, plan: TonePlan = KOREA) -> Tone:
    return next(tone for tone in plan.tones if tone.kind is kind)


def silence(seconds: float, rate: int = 8000) -> np.ndarray:
    return np.zeros(round(seconds * rate))


def noisy(pcm: np.ndarray, below_dbov: float, snr_db: float, seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(len(pcm))
    return pcm + noise * 32768 * 10 ** ((below_dbov - snr_db) / 20)


def call(tone: Tone, seconds: float = 9.0, level_dbov: float = -15.0, rate: int = 8000, **line: float) -> np.ndarray:
    """Half a second of silence, the tone, and silence until even a ringback is over."""
    played = reference.played(tone, seconds, level_dbov, rate=rate, **line)
    return np.concatenate([silence(BEFORE_S, rate), played, silence(6, rate)])


def sine(hz: float, seconds: float, level_dbov: float = -15.0, phase: float = 0.0) -> np.ndarray:
    time_s = np.arange(round(seconds * 8000)) / 8000
    return np.sin(2 * np.pi * hz * time_s + phase) * np.sqrt(2) * 32768 * 10 ** (level_dbov / 20)


def told_within_s(tone: Tone, stretched: float = 0.0) -> float:
    """What was needed of it, and 0.2 s to be sure."""
    if len(tone.segments) == 1:
        return tone.sure_ms / 1000 + 0.05
    needed = itertools.islice(itertools.cycle(tone.segments), tone.needed - 1)
    return sum(reference.nominal_ms(each) for each in needed) / 1000 * (1 + stretched) + 0.1


# --- the tones of each country ---


@pytest.mark.parametrize("plan", PLANS.values(), ids=list(PLANS))
@pytest.mark.parametrize("rate", [8000, 16000])
def test_each_tone_of_each_plan_is_told_once_and_nothing_else(hear, plan: TonePlan, rate: int) -> None:
    for kind in (tone.kind for tone in plan.tones if tone.kind in NETWORK):
        tone = tone_of(kind, plan)
        begun, ended = hear(call(tone, rate=rate), plan, rate)
        assert (begun.kind, begun.begun, ended.kind, ended.begun) == (kind, True, kind, False)
        assert begun.began_s == pytest.approx(BEFORE_S, abs=EDGE_S)
        assert begun.noticed_s - BEFORE_S <= told_within_s(tone)
        assert begun.level_dbov == pytest.approx(-15, abs=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("plan", PLANS.values(), ids=list(PLANS))
@pytest.mark.parametrize("snr_db", [None, 20, 15, 10])
def test_each_tone_is_known_soft_and_loud_off_in_pitch_and_in_time_through_g711_and_noise(
    hear, plan: TonePlan, snr_db: int | None
) -> None:
    lines = list(itertools.product((-5, -35), (-0.01, 0.01), (-0.1, 0.1)))
    for tone, (level_dbov, detuned, stretched) in itertools.product(plan.tones, lines):
        if tone.kind is ToneKind.BEEP:
            continue
        pcm = call(tone, 4.0, level_dbov, detuned=detuned, stretched=stretched)
        if snr_db:
            pcm = noisy(pcm, level_dbov, snr_db)
        heard = hear(mu_law_round_trip(pcm.clip(-32768, 32767)), plan)
        assert [(each.kind, each.begun) for each in heard][:1] == [(tone.kind, True)], (tone.kind, level_dbov, detuned)
        assert {each.kind for each in heard} == {tone.kind}
        assert heard[0].noticed_s - BEFORE_S <= told_within_s(tone, stretched) + 0.02


@pytest.mark.parametrize("phase", np.linspace(0, np.pi, 5))
@pytest.mark.parametrize("hz", [400, 425, 450])
def test_a_low_tone_is_known_in_every_phase(hear, hz: int, phase: float) -> None:
    plan = {400: PLANS["jp"], 425: PLANS["itu"], 450: PLANS["cn"]}[hz]
    pcm = noisy(call(tone_of(ToneKind.BUSY, plan), 4.0, phase=phase), -15, 10)
    assert [each.kind for each in hear(pcm, plan)] == [ToneKind.BUSY, ToneKind.BUSY]


def test_the_japanese_ringback_is_known_although_it_throbs(hear) -> None:
    ringback = tone_of(ToneKind.RINGBACK, PLANS["jp"])
    begun, _ = hear(call(ringback, 7.0, modulation_hz=16), PLANS["jp"])
    assert begun.kind is ToneKind.RINGBACK


def test_busy_is_known_within_two_cycles(hear) -> None:
    begun, _ = hear(call(tone_of(ToneKind.BUSY)))
    assert begun.noticed_s - BEFORE_S < 2.0


@pytest.mark.parametrize("missed_s", [0.1, 0.3, 0.45])
def test_busy_is_known_by_who_comes_in_the_middle_of_a_burst(hear, missed_s: float) -> None:
    busy = reference.played(tone_of(ToneKind.BUSY), 6.0, -15)[round(missed_s * 8000) :]
    begun, _ = hear(np.concatenate([busy, silence(1)]))
    assert begun.kind is ToneKind.BUSY
    assert begun.noticed_s < 2.2


def test_busy_ends_where_its_last_burst_ends(hear) -> None:
    _, ended = hear(call(tone_of(ToneKind.BUSY), 5.5))
    assert ended.ended_s == pytest.approx(BEFORE_S + 5.5, abs=EDGE_S)
    assert ended.noticed_s - ended.ended_s < 0.8


def test_a_dial_tone_is_known_after_a_second_and_over_at_once(hear) -> None:
    begun, ended = hear(call(tone_of(ToneKind.DIAL), 5.0))
    assert begun.noticed_s - BEFORE_S == pytest.approx(1.0, abs=0.05)
    assert ended.ended_s == pytest.approx(BEFORE_S + 5, abs=EDGE_S)
    assert ended.noticed_s - ended.ended_s < 0.1


def test_ringback_ends_when_somebody_answers(hear) -> None:
    rings = reference.played(tone_of(ToneKind.RINGBACK), 4.5, -15)
    voice = noisy(silence(2), -20, 0)
    begun, ended = hear(np.concatenate([silence(BEFORE_S), rings, voice]))
    assert begun.noticed_s - BEFORE_S < 1.2
    assert ended.kind is ToneKind.RINGBACK
    assert ended.noticed_s < BEFORE_S + 4.5 + 0.2


@pytest.mark.parametrize("repeats", [False, True])
def test_tones_are_known_where_packets_are_lost(hear, repeats: bool) -> None:
    line = Line("lossy", loss=0.05, repeats=repeats)
    for kind in NETWORK:
        heard = hear(line.carry(call(tone_of(kind), 12.0), seed=4))
        assert (kind, True) in [(each.kind, each.begun) for each in heard]
        assert {each.kind for each in heard} <= {kind, ToneKind.BEEP}  # half of a burst is no more than that


@pytest.mark.parametrize("twist_db", [-6, 6])
def test_one_of_two_frequencies_may_be_weaker(hear, twist_db: int) -> None:
    burst = sine(480, 0.5, -18) + sine(620, 0.5, -18 + twist_db)
    begun, _ = hear(np.concatenate([silence(0.5), *[burst, silence(0.5)] * 4, silence(1)]))
    assert begun.kind is ToneKind.BUSY


# --- fax ---


def test_a_fax_that_calls_is_known_after_its_first_burst(hear) -> None:
    begun, _ = hear(np.concatenate([call(tone_of(ToneKind.FAX_CALLING)), silence(3)]))
    assert begun.noticed_s - BEFORE_S < 0.65


@pytest.mark.parametrize("hz", [1100 - 38, 1100 + 38])
def test_a_fax_may_call_as_far_off_as_t30_allows(hear, hz: float) -> None:
    heard = hear(np.concatenate([silence(0.5), sine(hz, 0.5, -30), silence(3), sine(hz, 0.5, -30), silence(4)]))
    assert [each.kind for each in heard] == [ToneKind.FAX_CALLING] * 2


@pytest.mark.parametrize("reversals", [False, True])
@pytest.mark.parametrize("modulation", [0.0, 0.2])
def test_a_fax_or_modem_that_answers_is_known_as_one_tone(hear, reversals: bool, modulation: float) -> None:
    """V.25: 2100 ± 15 Hz, 3.3 s, its phase reversed every 450 ms; V.8: modulated by 15 Hz to a depth of 20 %."""
    time_s = np.arange(round(3.3 * 8000)) / 8000
    sign = np.where(reversals & (np.floor(time_s / 0.45) % 2 == 1), -1, 1)
    for hz in (2085, 2100, 2115):
        answer = sine(hz, 3.3) * sign * (1 + modulation * np.sin(2 * np.pi * 15 * time_s))
        begun, ended = hear(mu_law_round_trip(np.concatenate([silence(0.5), answer, silence(1)])))
        assert begun.kind is ToneKind.FAX_ANSWERING
        assert begun.noticed_s - BEFORE_S < 0.5
        assert ended.ended_s == pytest.approx(3.8, abs=EDGE_S)


# --- the beep ---


def test_a_beep_is_told_when_it_ends(hear) -> None:
    for hz, seconds in itertools.product((350, 440, 620, 850, 1000, 1400, 1900), (0.2, 0.5, 1.4)):
        (beep,) = hear(np.concatenate([silence(1), sine(hz, seconds, -18), silence(1)]))
        assert (beep.kind, beep.begun) == (ToneKind.BEEP, False)
        assert beep.began_s == pytest.approx(1, abs=EDGE_S)
        assert beep.ended_s == pytest.approx(1 + seconds, abs=EDGE_S)
        assert beep.noticed_s - beep.ended_s < 0.2


@pytest.mark.parametrize("snr_db", [20, 15, 10])
def test_a_beep_is_heard_through_noise(hear, snr_db: int) -> None:
    rng = np.random.default_rng(3)
    found = 0
    for seed in range(40):
        hz, seconds, phase = rng.uniform(310, 1000), rng.uniform(0.2, 1.4), rng.uniform(0, 2 * np.pi)
        pcm = np.concatenate([silence(1), sine(hz, seconds, -20, phase), silence(1)])
        heard = hear(noisy(pcm, -20, snr_db, seed))
        found += any(abs(each.ended_s - 1 - seconds) < 2 * EDGE_S for each in heard if each.kind is ToneKind.BEEP)
    assert found >= 39


MELODY = np.concatenate([sine(800, 0.2), sine(880, 0.2), sine(990, 0.2), noisy(silence(1), -20, 0)])


@pytest.mark.parametrize(
    "pcm",
    [
        pytest.param(sine(1000, 0.08), id="too-short"),
        pytest.param(sine(1000, 2.0), id="too-long"),
        pytest.param(MELODY, id="melody"),
        pytest.param(sine(1000, 0.5) * np.exp(-np.arange(4000) / 800), id="bell"),
        pytest.param(np.concatenate([sine(1000, 0.5), noisy(silence(1), -15, 0)]), id="no-silence-after-it"),
        pytest.param(sine(941, 0.2) + sine(1336, 0.2), id="key"),
        pytest.param(sine(100, 0.5), id="hum"),
    ],
)
def test_what_does_not_stay_and_then_stop_is_no_beep(hear, pcm: np.ndarray) -> None:
    assert hear(np.concatenate([silence(0.5), pcm, silence(1)])) == []


def test_a_glide_is_no_beep(hear) -> None:
    hz = np.linspace(600, 1200, 4000)
    glide = 8000 * np.sin(2 * np.pi * np.cumsum(hz) / 8000)
    assert hear(np.concatenate([silence(0.5), glide, silence(1)])) == []


# --- no tone ---


def test_keys_are_no_tones(hear) -> None:
    for row, column in itertools.product((697, 770, 852, 941), (1209, 1336, 1477, 1633)):
        press = sine(row, 0.5) + sine(column, 0.5)
        for plan in PLANS.values():
            assert hear(np.concatenate([silence(0.3), *[press, silence(0.5)] * 4]), plan) == []


def test_a_single_frequency_between_two_is_not_both(hear) -> None:
    burst = sine(460, 1.0)
    heard = hear(np.concatenate([silence(0.5), burst, silence(2), burst, silence(2)]))
    assert {each.kind for each in heard} <= {ToneKind.BEEP}


@pytest.mark.parametrize(("on_s", "off_s"), [(0.5, 0.2), (0.2, 0.5), (0.7, 0.7), (0.4, 0.25)])
def test_the_sound_of_busy_in_another_rhythm_is_not_busy(hear, on_s: float, off_s: float) -> None:
    burst = sine(480, on_s) + sine(620, on_s)
    assert hear(np.concatenate([silence(0.5), *[burst, silence(off_s)] * 5, silence(1)])) == []


@pytest.mark.parametrize("off_hz", [-25, 25])
def test_a_pair_far_off_is_another_tone(hear, off_hz: float) -> None:
    burst = sine(480 + off_hz, 0.5) + sine(620 + off_hz, 0.5)
    assert hear(np.concatenate([silence(0.5), *[burst, silence(0.5)] * 5, silence(1)])) == []


def test_nothing_is_heard_in_noise_and_at_full_scale(hear) -> None:
    assert hear(noisy(silence(60), -20, 0)) == []
    assert hear(np.tile([32767.0, -32768.0], 8000)) == []
    assert hear(np.full(16000, -32768.0)) == []
    assert hear(call(tone_of(ToneKind.BUSY), level_dbov=-55)) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["music", "prompts", "speakers", "korean"])
@pytest.mark.parametrize("plan", [KOREA, PLANS["itu"]], ids=["kr", "itu"])
def test_recordings_of_people_and_music_hold_no_tone(hear, kind: str, plan: TonePlan) -> None:
    """18 minutes of music, 43 of speech, in which a vowel or two stay long enough to be a beep."""
    if recordings.missing_packages() or (kind == "korean" and not recordings.corpus()):
        pytest.skip(f"needs {', '.join(recordings.PACKAGES)}, and VOICEEDGE_CORPUS for Korean")
    found = recordings.music().values() if kind == "music" else (r.samples for r in getattr(recordings, kind)())
    heard = hear(np.concatenate([part for pcm in found for part in (pcm, silence(0.5))]), plan)
    assert {each.kind for each in heard} <= {ToneKind.BEEP}
    assert len(heard) <= (2 if kind == "prompts" else 0)


def test_a_recorded_beep_is_found(hear) -> None:
    path = recordings.PROMPTS / "beep.wav"
    if not path.exists():
        pytest.skip("needs asterisk-core-sounds-en-wav")
    (beep,) = hear(np.concatenate([silence(0.5), wav.load(path, 8000), silence(1)]))
    assert beep.kind is ToneKind.BEEP


# --- the reference, and frames of any length ---


def answers(compiled, pcm: np.ndarray, plan: TonePlan):
    tones = ffi.new("struct ve_tones *")
    assert lib.ve_tones_open(tones, 8000, compiled[plan.name]) == 0
    for start in range(0, len(pcm) - 79, 80):
        piece = np.ascontiguousarray(pcm[start : start + 80].astype(np.int16))
        lib.ve_tones_put(tones, ffi.from_buffer("int16_t[]", piece), 80, ffi.new("struct ve_tone_change[32]"), 32)
        yield start + 80, lib.ve_tones_heard(tones)


def test_any_sine_is_found_as_least_squares_finds_it(compiled) -> None:
    """Within 2 Hz (4 below 500) and 15 %: in 5 ms a low frequency and its negative are not wholly apart."""
    rng = np.random.default_rng(7)
    for hz in rng.uniform(300, 2150, 60):
        pcm = noisy(sine(hz, 0.1, -20, rng.uniform(0, 6)), -20, 20, int(hz))
        *_, (end, heard) = answers(compiled, pcm, KOREA)
        best = reference.sine(pcm[end - 240 : end - 80], 8000)
        assert heard.power == pytest.approx(reference.mean_square(pcm[end - 240 : end - 80]), rel=1e-3)
        assert heard.sine_hz == pytest.approx(best.hz, abs=2.0 if hz > 500 else 4.0)
        assert heard.sine_power == pytest.approx(best.power, rel=0.15)


def test_pairs_are_heard_where_least_squares_hears_them(compiled) -> None:
    rng = np.random.default_rng(11)
    agree = decided = 0
    for number, sound in enumerate(reference.sounds(KOREA), lib.VE_FIRST_SOUND):
        for seed in range(6 if len(sound.hz) == 2 and not sound.steady else 0):
            levels, phases = rng.uniform(-30, -18, 2), rng.uniform(0, 2 * np.pi, 2)
            burst = sum(sine(*each) for each in zip(sound.hz, (0.4, 0.4), levels, phases, strict=True))
            pcm = np.concatenate([silence(0.1), burst, silence(0.1)])
            pcm = noisy(pcm, levels.max(), rng.uniform(0, 25), seed)
            for end, heard in answers(compiled, pcm, KOREA):
                share, twist_db = reference.pair(pcm[max(end - 320, 0) : end], 8000, sound.hz)
                clearly, clearly_not = share > 0.75 and twist_db < 6, share < 0.45 or twist_db > 10
                decided += clearly or clearly_not
                agree += (clearly and heard.sound == number) or (clearly_not and heard.sound != number)
    assert decided > 500
    assert agree / decided > 0.98


@settings(max_examples=30, deadline=None)
@given(chops=st.lists(st.integers(1, 700), min_size=1, max_size=8), rate=st.sampled_from([8000, 16000]))
def test_frames_of_any_length_give_the_same(compiled, chops: list[int], rate: int) -> None:
    pcm = call(tone_of(ToneKind.CONGESTION), 2.0, rate=rate)
    pcm = np.clip(noisy(np.concatenate([pcm, call(tone_of(ToneKind.DIAL), 2.0, rate=rate)]), -15, 20), -32768, 32767)
    heard = []
    for pieces in (None, chops):
        tones = ffi.new("struct ve_tones *")
        assert lib.ve_tones_open(tones, rate, compiled["kr"]) == 0
        told = changes(tones, KOREA, pcm.astype(np.int16), rate, pieces)
        heard.append([(each.kind, each.begun, each.began_s, each.ended_s, each.level_dbov) for each in told])
    assert heard[0] == heard[1]
    assert [kind for kind, *_ in heard[0]] == [ToneKind.CONGESTION] * 2 + [ToneKind.DIAL] * 2


# --- the door ---


def refused(**changed) -> int:
    tone = {
        "segments": [{"kind": lib.VE_PAIR, "hz": (480, 620), "tolerance_hz": 12, "min_ms": 400, "max_ms": 600}],
        "count": 1,
        "needed": 1,
        "sure_ms": 400,
    }
    segment = {key: value for key, value in changed.items() if key in tone["segments"][0]}
    tone["segments"][0].update(segment)
    tone.update({key: value for key, value in changed.items() if key not in segment})
    out = ffi.new("struct ve_tone_plan **")
    status = lib.ve_tone_plan_open(out, ffi.new("struct ve_tone[]", [tone]), 1)
    lib.ve_tone_plan_free(out[0])
    return status


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": 4},
        {"kind": 0},
        {"hz": (620, 480)},
        {"hz": (100, 480)},
        {"hz": (480, 3000)},
        {"hz": (float("nan"), 620)},
        {"tolerance_hz": -1},
        {"tolerance_hz": 200},
        {"min_ms": 700},
        {"count": 0},
        {"count": 9},
        {"needed": 0},
    ],
)
def test_a_plan_that_cannot_be_heard_is_refused(changed: dict) -> None:
    assert refused() == 0
    assert refused(**changed) < 0


def test_only_the_two_rates_are_taken(compiled) -> None:
    tones = ffi.new("struct ve_tones *")
    assert lib.ve_tones_open(tones, 44100, compiled["kr"]) < 0
