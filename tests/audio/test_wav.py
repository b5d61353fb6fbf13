import struct
import tracemalloc
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceedge.audio import wav
from voiceedge.errors import PromptError


def tone(rate: int, hz: float = 440.0, seconds: float = 0.5, peak: float = 0.5) -> np.ndarray:
    return peak * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)


def riff(code: int, *, channels: int, rate: int, bits: int, body: bytes, declared: int | None = None) -> bytes:
    width = channels * max(1, bits // 8)
    form = struct.pack("<HHIIHH", code, channels, rate, rate * width & 0xFFFFFFFF, width, bits)
    size = len(body) if declared is None else declared
    return (
        b"RIFF"
        + struct.pack("<I", 36 + len(body))
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + form
        + b"data"
        + struct.pack("<I", size)
        + body
    )


def snr_db(reference: np.ndarray, got: np.ndarray) -> float:
    return 10 * np.log10((reference**2).sum() / max(((reference - got) ** 2).sum(), 1e-9))


def test_sixteen_bit_mono_at_the_wanted_rate_comes_back_unchanged(tmp_path: Path) -> None:
    samples = np.arange(-32768, 32768, 3, dtype=np.int16)
    wav.save(tmp_path / "a.wav", samples, 8000)
    assert np.array_equal(wav.load(tmp_path / "a.wav", 8000), samples)
    with wave.open(str(tmp_path / "a.wav")) as standard:
        assert (standard.getnchannels(), standard.getsampwidth(), standard.getframerate()) == (1, 2, 8000)
        assert standard.readframes(100_000) == samples.tobytes()


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100, 48000])
def test_any_studio_format_becomes_the_same_tone(tmp_path: Path, width: int, channels: int, rate: int) -> None:
    path = tmp_path / "studio.wav"
    scaled = np.round(tone(rate) * 2 ** (8 * width - 1)).astype(np.int64)
    unsigned = scaled + (128 if width == 1 else 0)
    body = b"".join(int(value).to_bytes(width, "little", signed=width > 1) * channels for value in unsigned)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(body)
    got = wav.load(path, 8000)
    middle = slice(400, 3600)  # the resampler rings at the edges
    wanted = tone(8000) * 32768
    assert abs(len(got) - len(wanted)) <= 1
    assert snr_db(wanted[middle], got[middle].astype(float)) > (30 if width == 1 else 60)


@pytest.mark.parametrize("wanted", [8000, 16000])
@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
def test_in_the_telephone_band_any_rate_loads_with_60_db(tmp_path: Path, rate: int, wanted: int) -> None:
    path = tmp_path / "studio.wav"
    for hz in [50, *range(300, 3400, 155), 3400]:
        wav.save(path, np.round(tone(rate, hz, seconds=1) * 32768).astype(np.int16), rate)
        inner = slice(wanted // 10, -wanted // 10)  # the resampler rings at the edges
        expected = tone(wanted, hz, seconds=1) * 32768
        assert snr_db(expected[inner], wav.load(path, wanted)[inner].astype(float)) > 60


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_what_lies_above_the_telephone_band_does_not_fold_into_it(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "bright.wav"
    as_loud = tone(8000, 1000)[800:-800] * 32768
    for hz in range(4600, 8000, 170):
        wav.save(path, np.round(tone(rate, hz) * 32768).astype(np.int16), rate)
        folded = wav.load(path, 8000)[800:-800].astype(float)
        assert snr_db(as_loud, as_loud + folded) > 60


@pytest.mark.parametrize("code", [6, 7])
def test_g711_files_are_decoded(tmp_path: Path, code: int) -> None:
    path = tmp_path / "carrier.wav"
    path.write_bytes(riff(code, channels=1, rate=8000, bits=8, body=bytes(range(256))))
    got = wav.load(path, 8000).astype(int)
    assert len(set(got.tolist())) >= 255
    assert 32000 < got.max() < 32768  # ITU-T G.711: the top of both laws lies near full scale
    assert sorted(-got) == sorted(got.tolist())  # both are symmetrical


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "does not begin"),
        (b"ID3\x04" + bytes(100), "does not begin"),
        (b"RIFF\x00\x00\x00\x00WAVE", "no audio"),
        (riff(1, channels=1, rate=8000, bits=16, body=bytes(100), declared=0x7FFFFFFF), "cut short"),
        (riff(1, channels=1, rate=8000, bits=16, body=b""), "no audio"),
        (riff(1, channels=1, rate=1, bits=16, body=bytes(100)), "1 Hz"),
        (riff(1, channels=0, rate=8000, bits=16, body=bytes(100)), "0 channels"),
        (riff(85, channels=1, rate=8000, bits=16, body=bytes(100)), "format 85"),
        (riff(1, channels=1, rate=4000, bits=8, body=bytes(4000 * 1801)), "30 minutes"),
        (riff(1, channels=1, rate=8000, bits=16, body=bytes(100))[:30], "no audio|cut short"),
    ],
)
def test_a_file_that_is_not_a_wav_is_named_with_the_reason_and_the_remedy(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "greeting.wav"
    path.write_bytes(content)
    with pytest.raises(PromptError, match=reason) as error:
        wav.load(path, 8000)
    assert "greeting.wav" in str(error.value)
    assert "16-bit PCM" in str(error.value)


def test_a_recording_keeps_its_channels_and_its_rate(tmp_path: Path) -> None:
    both = np.array([[1, -2, 3, 32767], [-32768, 5, -6, 7]], np.int16)
    (tmp_path / "call.wav").write_bytes(riff(1, channels=2, rate=16000, bits=16, body=both.T.tobytes()))
    pcm, rate = wav.load_channels(tmp_path / "call.wav")
    assert rate == 16000
    assert pcm.flags.c_contiguous
    assert np.array_equal(pcm, both)


def test_of_a_recording_that_lost_power_what_there_is_is_kept(tmp_path: Path) -> None:
    body = np.arange(20, dtype=np.int16).tobytes()
    (tmp_path / "cut.wav").write_bytes(riff(1, channels=2, rate=8000, bits=16, body=body[:-3], declared=400))
    pcm, _ = wav.load_channels(tmp_path / "cut.wav")
    assert pcm.tolist() == [list(range(0, 18, 2)), list(range(1, 18, 2))]
    with pytest.raises(PromptError, match="cut short"):
        wav.load(tmp_path / "cut.wav", 8000)


def test_a_missing_file_and_a_huge_one_are_refused_unread(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=r"absent\.wav"):
        wav.load(tmp_path / "absent.wav", 8000)
    huge = tmp_path / "huge.wav"
    with huge.open("wb") as file:
        file.truncate(wav.LONGEST_BYTES + 1)
    with pytest.raises(PromptError, match="MB"):
        wav.load(huge, 8000)


def test_a_file_of_nothing_but_empty_chunks_is_refused_early(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").write_bytes(b"RIFF\x00\x00\x00\x00WAVE" + b"LIST\x00\x00\x00\x00" * 1001)
    with pytest.raises(PromptError, match="chunks"):
        wav.load(tmp_path / "empty.wav", 8000)


@pytest.mark.parametrize(("code", "bits"), [(1, 8), (1, 16), (1, 24), (3, 32), (6, 8), (7, 8)])
def test_no_file_unfolds_to_many_times_what_may_be_read(tmp_path: Path, code: int, bits: int) -> None:
    """The largest of all, at a rate that must be converted."""
    (tmp_path / "large.wav").write_bytes(
        riff(code, channels=1, rate=44100, bits=bits, body=bytes(wav.LONGEST_BYTES - 100))
    )
    tracemalloc.start()
    try:
        if bits == 8:
            with pytest.raises(PromptError, match="samples"):
                wav.load(tmp_path / "large.wav", 8000)
        else:
            wav.load(tmp_path / "large.wav", 8000)
        assert tracemalloc.get_traced_memory()[1] < 7 * wav.LONGEST_BYTES
    finally:
        tracemalloc.stop()


@settings(max_examples=200, deadline=None)
@given(
    form=st.binary(max_size=48),
    body=st.binary(max_size=200),
    declared=st.integers(0, 2**32 - 1),
)
def test_hostile_headers_raise_nothing_but_prompt_errors(
    tmp_path_factory: pytest.TempPathFactory, form: bytes, body: bytes, declared: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "hostile.wav"
    path.write_bytes(
        b"RIFF\xff\xff\xff\xffWAVEfmt "
        + struct.pack("<I", len(form))
        + form
        + b"data"
        + struct.pack("<I", declared)
        + body
    )
    try:
        samples = wav.load(path, 8000)
    except PromptError:
        return
    assert samples.dtype == np.int16


@settings(max_examples=200, deadline=None)
@given(
    file=st.builds(
        riff,
        code=st.sampled_from([1, 3, 6, 7, 0xFFFE]),
        channels=st.integers(0, 9),
        rate=st.sampled_from([0, 3999, 4000, 8000, 44100, 192000, 2**32 - 1]),
        bits=st.sampled_from([0, 4, 8, 12, 16, 24, 32, 64]),
        body=st.binary(max_size=300),
    )
)
def test_odd_formats_are_played_or_refused(tmp_path_factory: pytest.TempPathFactory, file: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "odd.wav"
    path.write_bytes(file)
    try:
        assert wav.load(path, 8000).dtype == np.int16
    except PromptError:
        return
