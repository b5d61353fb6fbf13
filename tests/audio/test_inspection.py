"""Recordings from the field, and test signals, through the C code: what is told of them, and how it is drawn."""

import base64
import re
import struct
import wave
import zlib
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import soxr
from detection import recordings

from voiceedge.audio import inspection, signals
from voiceedge.audio.inspection import Inspection, inspect
from voiceedge.audio.picture import draw
from voiceedge.audio.silero import model_file
from voiceedge.audio.tones import ToneKind, load_plan
from voiceedge.errors import ModelMissingError, PromptError

KOREA = load_plan("kr")
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def _with_the_model() -> None:
    try:
        model_file()
    except ModelMissingError as error:
        pytest.skip(str(error))


@pytest.fixture(name="save")
def _save(tmp_path: Path):
    def save(*channels: np.ndarray, rate: int = 8000, name: str = "recording.wav") -> Path:
        path = tmp_path / name
        with wave.open(str(path), "wb") as file:
            file.setparams((len(channels), 2, rate, 0, "NONE", ""))
            file.writeframes(np.stack(channels, axis=1).astype("<i2").tobytes())
        return path

    return save


@pytest.fixture(name="heard")
def _heard(save):
    def heard(*channels: np.ndarray, rate: int = 8000, name: str = "recording.wav") -> Inspection:
        return inspect(save(*channels, rate=rate, name=name), KOREA)

    return heard


def sine(hz: float, seconds: float, dbov: float, rate: int = 8000) -> np.ndarray:
    time_s = np.arange(round(seconds * rate)) / rate
    return np.sin(2 * np.pi * hz * time_s) * np.sqrt(2) * 32768 * 10 ** (dbov / 20)


# --- test signals ---


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100, 48000])
def test_all_keys_of_the_test_signal_are_heard_at_any_rate(heard, rate: int) -> None:
    (side,) = heard(soxr.resample(signals.keys(KOREA), 8000, rate), rate=rate).sides
    assert "".join(key.key for key in side.keys) == signals.KEYS
    for number, key in enumerate(side.keys):
        assert key.start_s == pytest.approx(0.5 + 0.2 * number, abs=0.004)
        assert key.duration_ms == pytest.approx(80, abs=4)
        assert key.level_dbov == pytest.approx(signals.LEVEL_DBOV, abs=0.5)
        assert key.twist_db == pytest.approx(0, abs=0.5)
    assert side.voice == side.tones == []


@pytest.mark.parametrize("name", ["kr", "us", "uk", "itu"])
def test_all_tones_of_the_test_signal_are_heard_in_their_order(save, name: str) -> None:
    plan = load_plan(name)
    (side,) = inspect(save(signals.tones(plan)), plan).sides
    assert [tone.kind for tone in side.tones] == [tone.kind for tone in plan.tones]
    assert all(tone.level_dbov == pytest.approx(signals.LEVEL_DBOV, abs=1) for tone in side.tones)
    assert side.voice == side.keys == []


def test_a_sweep_keeps_its_level_and_is_nothing_else(heard) -> None:
    (side,) = heard(signals.sweep(KOREA)).sides
    assert side.voice == side.keys == side.tones == []
    assert side.loudness.noise_dbov == pytest.approx(signals.LEVEL_DBOV, abs=0.2)


# --- recordings ---


def test_each_side_of_a_call_is_told_by_itself(heard) -> None:
    busy = signals.tones(KOREA)[18 * 8000 : 25 * 8000]
    keys = np.zeros(len(busy))
    keys[4000 : 4000 + 8000] = signals.keys(KOREA)[4000:12000]
    found = heard(keys, busy)
    left, right = found.sides
    assert (left.name, right.name) == ("left (caller)", "right (heard by the caller)")
    assert ("".join(key.key for key in left.keys), left.tones) == ("123A4", [])
    assert (right.keys, [tone.kind for tone in right.tones]) == ([], [ToneKind.BUSY])
    assert found.seconds == 7


def test_what_the_end_of_the_file_interrupts_is_told_to_there(heard) -> None:
    (side,) = heard(np.concatenate([np.zeros(4000), sine(697, 0.2, -20) + sine(1209, 0.2, -20)])).sides
    assert [(key.key, key.duration_ms) for key in side.keys] == [("1", pytest.approx(200, abs=5))]
    (side,) = heard(np.concatenate([np.zeros(4000), sine(350, 2, -20) + sine(440, 2, -20)])).sides
    assert [tone.kind for tone in side.tones] == [ToneKind.DIAL]
    assert side.tones[0].end_s == pytest.approx(2.5, abs=0.05)


def test_levels_offset_and_clipping_are_told(heard) -> None:
    hiss = np.random.default_rng(1).standard_normal(8 * 8000) * 32768 * 10 ** (-60 / 20)
    hiss[4 * 8000 : 5 * 8000] += sine(400, 1, 3)
    (side,) = heard(np.rint(hiss).clip(-20000, 20000) + 500).sides
    assert side.loudness.noise_dbov == pytest.approx(-60, abs=0.7)
    assert side.loudness.peak_dbov == pytest.approx(20 * np.log10(20500 / 32768), abs=0.1)
    assert side.loudness.offset == pytest.approx(500, abs=20)
    assert side.loudness.clipped > 1000
    assert side.loudness.speech_dbov is None
    assert all(3.85 < at_s < 5.05 for at_s in side.clipped_at_s)


def test_a_sentence_is_found_between_noise(heard) -> None:
    if recordings.missing_packages():
        pytest.skip("needs the recordings")
    spoken = next(one for one in recordings.speakers() if one.name == "goforward").samples
    hiss = np.random.default_rng(1).standard_normal(len(spoken) + 16000) * 32768 * 10 ** (-65 / 20)
    hiss[8000 : 8000 + len(spoken)] += spoken
    (side,) = heard(hiss).sides
    assert side.loudness.speech_dbov == pytest.approx(recordings.SPEECH_DBOV, abs=1.5)
    assert 1.3 < side.voice[0].start_s < 1.6
    assert 3 < side.voice[-1].end_s < 4
    assert side.keys == side.tones == []


def test_without_the_model_a_tone_counts_as_voice_and_the_report_says_so(
    heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = signals.tones(KOREA)[18 * 8000 : 22 * 8000]
    judged = heard(busy)
    assert judged.judged
    assert judged.sides[0].voice == []

    def missing() -> Path:
        raise ModelMissingError("no model")

    monkeypatch.setattr(inspection, "model_file", missing)
    found = heard(busy)
    assert not found.judged
    assert found.sides[0].voice
    assert "without Silero" in draw(found)


def test_the_shortest_file_and_one_of_many_channels_are_no_trouble(heard) -> None:
    for found in (heard(np.array([1])), heard(*[np.zeros(800)] * 8)):
        assert all(side.voice == side.keys == side.tones == [] for side in found.sides)
        ET.fromstring(draw(found))


def test_a_file_that_is_no_recording_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no audio")
    with pytest.raises(PromptError, match=r"notes\.txt: not a WAV file"):
        inspect(path, KOREA)


# --- the picture ---


def pixels(svg: str) -> np.ndarray:
    """The first spectrogram, read as PNG."""
    data = base64.b64decode(re.findall(r"data:image/png;base64,([^\"]+)", svg)[0])
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, body, size = 8, b"", (0, 0)
    while at < len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        part = data[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", data, at + 8 + length)[0] == zlib.crc32(name + part)
        size = struct.unpack(">II", part[:8]) if name == b"IHDR" else size
        body += part if name == b"IDAT" else b""
        at += 12 + length
    rows = np.frombuffer(zlib.decompress(body), np.uint8).reshape(size[1], size[0] + 1)
    assert not rows[:, 0].any()
    return rows[:, 1:]


def test_the_spectrogram_shows_a_tone_where_and_when_it_sounds(heard) -> None:
    shown = pixels(draw(heard(np.concatenate([np.zeros(8000), sine(1000, 1, -20), np.zeros(8000)]))))
    height, width = shown.shape
    column = shown[:, width // 2]
    assert int(column.argmax()) == pytest.approx(height * (1 - 1000 / 4000), abs=1.5)
    assert column.max() > 200
    assert shown[:, : width // 4].max() == 0


def test_the_picture_names_what_was_heard_and_stays_within_its_width(heard) -> None:
    for repeats, wide in ((1, 994), (20, 94 + 40 * 4.2 * 20)):
        svg = ET.fromstring(draw(heard(np.tile(signals.keys(KOREA), repeats), name="통화 <1>.wav")))
        assert float(svg.get("width")) == pytest.approx(wide, abs=1)
        labels = [text.text for text in svg.iter(f"{SVG}text")]
        assert labels[0] == "통화 <1>.wav"
        assert set(signals.KEYS) <= set(labels)
        for box in svg.iter(f"{SVG}rect"):
            if box.get("class"):
                assert float(box.get("x")) + float(box.get("width")) <= float(svg.get("width"))
