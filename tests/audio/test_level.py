"""Level, peak, clipping and offset against their definitions, and the offset's removal against a filter."""

import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from blocks import load
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import level as reference
from scipy.signal import lfilter

from voiceedge.speech.telephone import mu_law_round_trip

ffi, lib = load("level")
dc_ffi, dc_lib = load("dc")


def meter(samples: np.ndarray, rate: int = 8000, report_ms: int = 1000, chops: list[int] | None = None) -> list:
    state = ffi.new("struct ve_level *")
    assert lib.ve_level_open(state, rate, ffi.new("struct ve_level_settings *", [report_ms])) == 0
    out, found, at = ffi.new("struct ve_level_report[1000]"), [], 0
    for chop in itertools.cycle(chops or [len(samples)]):
        if at >= len(samples):
            break
        part = np.ascontiguousarray(samples[at : at + chop], np.int16)
        made = lib.ve_level_put(state, ffi.from_buffer("int16_t[]", part), len(part), out, 1000)
        found += [reference.Report(one.level_dbov, one.offset, one.peak, one.clipped) for one in out[0:made]]
        at += chop
    return found


def centred(samples: np.ndarray, chops: list[int] | None = None) -> np.ndarray:
    state, parts, at = dc_ffi.new("struct ve_dc *"), [], 0
    dc_lib.ve_dc_open(state)
    for chop in itertools.cycle(chops or [len(samples)]):
        if at >= len(samples):
            break
        part = np.array(samples[at : at + chop], np.int16)
        memory = dc_ffi.from_buffer("int16_t[]", part)
        dc_lib.ve_dc_put(state, memory, memory, len(part))
        parts.append(part)
        at += chop
    return np.concatenate(parts)


def sine(hz: float, peak: float, rate: int = 8000, seconds: float = 1.0) -> np.ndarray:
    return np.round(peak * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)).astype(np.int16)


def noise(samples: int, seed: int = 3, peak: int = 32768) -> np.ndarray:
    return np.random.default_rng(seed).integers(-peak, peak, samples).astype(np.int16)


def plateaus(seed: int, count: int) -> np.ndarray:
    """What a clipping detector meets in a hundred years: runs of all lengths and heights, the top among them."""
    chance = np.random.default_rng(seed)
    heights = chance.choice([-32768, -32124, -32000, -31999, -20000, -100, 0, 5000, 20000, 32000, 32256, 32767], count)
    return np.repeat(heights, chance.integers(1, 7, count)).astype(np.int16)


class TestMeter:
    def test_a_full_scale_square_wave_is_the_zero_of_the_scale(self) -> None:
        square = np.where(np.arange(8000) % 20 < 10, 32767, -32768)
        assert meter(square)[0].level_dbov == pytest.approx(0, abs=0.001)

    @pytest.mark.parametrize("peak", [32767, 3277, 328])
    def test_a_sine_is_3_db_below_a_square_wave_of_its_height(self, peak: int) -> None:
        assert meter(sine(1000, peak))[0].level_dbov == pytest.approx(20 * np.log10(peak / 32768) - 3.01, abs=0.02)

    def test_silence_is_minus_100(self) -> None:
        assert meter(np.zeros(8000)) == [reference.Report(-100, 0, 0, 0)]

    def test_an_offset_is_reported_and_does_not_count_as_sound(self) -> None:
        (report,) = meter(sine(1000, 1000) + 500)
        assert report.offset == pytest.approx(500, abs=0.01)
        assert report.level_dbov == pytest.approx(meter(sine(1000, 1000))[0].level_dbov, abs=0.001)
        assert meter(np.full(8000, 500))[0].level_dbov == -100

    def test_the_lowest_value_has_a_peak_of_32768(self) -> None:
        assert meter(np.full(8000, -32768))[0].peak == 32768

    @settings(max_examples=60, deadline=None)
    @given(
        seed=st.integers(0, 999),
        report_ms=st.sampled_from([20, 37, 100, 1000]),
        rate=st.sampled_from([8000, 16000]),
        chops=st.lists(st.integers(1, 900), min_size=1, max_size=20),
        peak=st.sampled_from([3, 3000, 32768]),
    )
    def test_whatever_comes_however_chopped_the_report_is_that_of_the_definition(
        self, seed: int, report_ms: int, rate: int, chops: list[int], peak: int
    ) -> None:
        samples = np.concatenate([noise(3000, seed, peak), plateaus(seed, 3000), noise(3000, seed, peak)])
        got, wanted = meter(samples, rate, report_ms, chops), reference.reports(samples, rate // 1000 * report_ms)
        assert len(got) == len(wanted)
        for ours, theirs in zip(got, wanted, strict=True):
            assert ours.level_dbov == pytest.approx(theirs.level_dbov, abs=1e-3)
            assert ours.offset == pytest.approx(theirs.offset, rel=1e-5, abs=1e-4)
            assert (ours.peak, ours.clipped) == (theirs.peak, theirs.clipped)

    def test_reports_that_nobody_has_room_for_are_dropped(self) -> None:
        state, out = ffi.new("struct ve_level *"), ffi.new("struct ve_level_report[2]")
        lib.ve_level_open(state, 8000, ffi.new("struct ve_level_settings *", [20]))
        samples = ffi.from_buffer("int16_t[]", noise(1600))
        assert lib.ve_level_put(state, samples, 1600, out, 2) == 2
        assert lib.ve_level_put(state, samples, 1600, ffi.NULL, 0) == 0
        assert lib.ve_level_put(state, samples, 159, out, 2) == 0
        assert lib.ve_level_put(state, samples, 1, out, 2) == 1

    @pytest.mark.parametrize(("rate", "report_ms"), [(8000, 19), (8000, 60001), (44100, 1000), (0, 1000)])
    def test_settings_out_of_range_are_refused(self, rate: int, report_ms: int) -> None:
        state = ffi.new("struct ve_level *")
        assert lib.ve_level_open(state, rate, ffi.new("struct ve_level_settings *", [report_ms])) < 0


class TestClipping:
    def clipped(self, samples: np.ndarray) -> int:
        return meter(np.concatenate([samples, np.zeros(8000 - len(samples) % 8000)]))[0].clipped

    @pytest.mark.parametrize("top", [32767, 32256, 32124, -32768, -32256, -32124])
    def test_three_samples_at_the_top_of_16_bits_or_either_law_are_clipped(self, top: int) -> None:
        assert self.clipped(np.array([0, top, top, top, 0])) == 3
        assert self.clipped(np.array([0, top, top, 0, top, 0])) == 0

    @pytest.mark.parametrize("below", [31100, 31232])
    def test_the_second_highest_value_of_either_law_is_not_the_top(self, below: int) -> None:
        round_top = np.array([24000, 28000, below, below, below, 28000, 24000])
        assert self.clipped(round_top) == 0

    def test_a_plateau_between_steep_sides_is_clipped_wherever_it_lies(self) -> None:
        for height in (-20000, 4096, 12000):
            assert self.clipped(np.array([0, *[height] * 4, 0])) == 4
            assert self.clipped(np.array([0, *[height] * 3, 0])) == 0
            assert self.clipped(np.array([0, height * 3 // 4, *[height] * 9, 0])) == 0
        assert self.clipped(np.array([0, *[4095] * 9, 0])) == 0

    @pytest.mark.parametrize("hz", [60, 100, 150, 200, 250, 300, 400, 500, 700])
    @pytest.mark.parametrize("peak", [31000, 23000, 16200, 9000])
    def test_a_sine_that_mu_law_coded_is_not_clipped(self, hz: int, peak: int) -> None:
        assert self.clipped(np.rint(mu_law_round_trip(sine(hz, peak).astype(float)))) == 0

    @pytest.mark.parametrize("gain_db", [6, 12])
    def test_a_vowel_overdriven_by_6_db_is_found_before_and_after_mu_law(self, gain_db: int) -> None:
        vowel = sum(sine(hz, peak).astype(float) for hz, peak in ((120, 5000), (600, 6000), (960, 4000)))
        for end in (32767, 14000):
            driven = (vowel / np.abs(vowel).max() * end * 10 ** (gain_db / 20)).clip(-end, end)
            for heard in (np.rint(driven), np.rint(mu_law_round_trip(driven))):
                assert self.clipped(heard) > 80  # one in a hundred
        assert self.clipped(np.rint(mu_law_round_trip(vowel))) == 0

    def test_of_real_speech_on_a_telephone_line_nearly_nothing_is_clipped_and_overdriven_nearly_everything(
        self,
    ) -> None:
        pytest.importorskip("detection.recordings")
        from detection.recordings import korean  # noqa: PLC0415 - only where the corpus is

        if not os.environ.get("VOICEEDGE_CORPUS") or not Path(os.environ["VOICEEDGE_CORPUS"]).is_dir():
            pytest.skip("VOICEEDGE_CORPUS does not name the evaluation corpus")
        clean = driven = total = noticed = 0
        for recording in korean(every=10):
            samples = recording.samples / np.abs(recording.samples).max() * 28000
            clean += sum(one.clipped for one in meter(np.rint(mu_law_round_trip(samples)), report_ms=100))
            overdriven = np.rint(mu_law_round_trip((samples * 4).clip(-20000, 20000)))
            count = sum(one.clipped for one in meter(overdriven, report_ms=100))
            driven, noticed, total = driven + count, noticed + (count > 20), total + 1
        assert total
        assert clean < 20
        assert noticed == total


class TestOffset:
    def test_every_sample_is_that_of_the_textbook_filter_within_a_step(self) -> None:
        samples = noise(16000, peak=20000) + 5000
        assert np.abs(centred(samples) - reference.without_offset(samples)).max() <= 0.52

    @settings(max_examples=60, deadline=None)
    @given(chops=st.lists(st.integers(1, 400), min_size=1, max_size=20), seed=st.integers(0, 99))
    def test_any_chopping_of_the_input_gives_the_same_output(self, chops: list[int], seed: int) -> None:
        samples = noise(3000, seed)
        assert np.array_equal(centred(samples, chops), centred(samples))

    def test_ten_minutes_off_centre_leave_no_offset_and_no_drift(self) -> None:
        line = noise(600 * 8000, peak=200) + 1234
        last_minute = centred(line)[-60 * 8000 :]
        assert abs(last_minute.mean()) < 0.05
        assert last_minute.std() == pytest.approx(line.std(), rel=0.01)

    def test_silence_stays_silence_at_any_offset(self) -> None:
        for offset in (-32768, -300, -1, 0, 1, 300, 32767):
            assert not centred(np.full(16000, offset))[8000:].any()

    def test_the_voice_band_passes_and_10_hz_is_halved_in_power(self) -> None:
        def level_db(hz: float) -> float:
            tone = sine(hz, 10000, seconds=3.0)
            return float(20 * np.log10(centred(tone)[8000:].std() / tone[8000:].std()))

        assert level_db(10) == pytest.approx(-3, abs=0.1)
        assert level_db(80) > -0.1
        assert abs(level_db(300)) < 0.05
        assert abs(level_db(3400)) < 0.05

    def test_full_scale_saturates(self) -> None:
        square = np.where(np.arange(8000) % 800 < 700, 32767, -32768)
        wanted = lfilter([1, -1], [1, -127 / 128], square.astype(float)).clip(-32768, 32767)
        assert np.abs(centred(square) - wanted).max() <= 0.52
