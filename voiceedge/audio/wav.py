"""WAV files in and out: what studios and telephone systems hand over becomes 16-bit mono at the rate we need."""

import struct
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from voiceedge.errors import PromptError

LONGEST_BYTES = 64 << 20
LONGEST_S = 1800
MOST_SAMPLES = LONGEST_BYTES // 2  # in memory each has 32 bits, and some steps have two of it
MOST_CHUNKS = 1000  # studios write some twenty
_PCM, _FLOAT, _A_LAW, _MU_LAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_RATES = range(4000, 192_001)


def load(path: Path, rate: int) -> NDArray[np.int16]:
    """A prompt, mixed to one channel: PCM of 8–32 bits, float, A-law or µ-law. Raises PromptError naming the file."""
    samples, source_rate = _read(path, whole=True)
    mono = samples.mean(axis=1, dtype=np.float32)
    if source_rate != rate:
        mono = np.asarray(soxr.resample(mono, source_rate, rate, quality="HQ"), np.float32)
    return _sixteen_bits(mono)


def load_channels(path: Path) -> tuple[NDArray[np.int16], int]:
    """A recording as it is: an array of channels × samples, and its rate. Raises PromptError naming the file.

    A file that ends before its header says is taken as far as it goes: its recorder may have lost power.
    """
    samples, rate = _read(path, whole=False)
    return np.ascontiguousarray(_sixteen_bits(samples).T), rate


def save(path: Path, pcm: NDArray[np.int16], rate: int) -> None:
    """Write 16-bit mono. Raises OSError."""
    body = pcm.astype("<i2").tobytes()
    format_ = struct.pack("<HHIIHH", _PCM, 1, rate, rate * 2, 2, 16)
    header = struct.pack("<4sI8sI16s4sI", b"RIFF", 36 + len(body), b"WAVEfmt ", 16, format_, b"data", len(body))
    path.write_bytes(header + body)


def _read(path: Path, *, whole: bool) -> tuple[NDArray[np.float32], int]:
    """Samples in -1..1, a row for each moment and a column for each channel, and their rate."""
    try:
        if path.stat().st_size > LONGEST_BYTES:
            raise PromptError(f"{path}: longer than {LONGEST_BYTES >> 20} MB; cut it into shorter files.")
        data = path.read_bytes()
    except OSError as error:
        raise PromptError(f"{path}: cannot be read: {error.strerror}.") from error
    try:
        return _decode(*_chunks(data, whole=whole))
    except (ValueError, struct.error) as error:
        reason = str(error) if isinstance(error, ValueError) else "its header is cut short"
        raise PromptError(f"{path}: not a WAV file we can play: {reason}. Save it as 16-bit PCM.") from error


def _sixteen_bits(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """What was 16 bits before stays exactly so."""
    return (samples * 32768.0).round().clip(-32768, 32767).astype(np.int16)


def _chunks(data: bytes, *, whole: bool) -> tuple[bytes, bytes]:
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise ValueError("it does not begin as one")
    format_, position, chunks = b"", 12, 0
    while position + 8 <= len(data):
        chunks += 1
        if chunks > MOST_CHUNKS:
            raise ValueError(f"it has more than {MOST_CHUNKS} chunks")
        name, size = struct.unpack_from("<4sI", data, position)
        body = data[position + 8 : position + 8 + size]
        if name == b"fmt ":
            format_ = body
        elif name == b"data":
            if not format_:
                raise ValueError("its format is missing")
            if whole and len(body) < size:
                raise ValueError("it is cut short")
            return format_, body
        position += 8 + size + size % 2
    raise ValueError("it holds no audio")


def _decode(format_: bytes, body: bytes) -> tuple[NDArray[np.float32], int]:
    code, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", format_)
    if code == _EXTENSIBLE:
        (code,) = struct.unpack_from("<H", format_, 24)
    if rate not in _RATES or not 1 <= channels <= 8:  # noqa: PLR2004
        raise ValueError(f"{rate} Hz in {channels} channels")
    width = bits // 8 * channels
    body = body[: len(body) // width * width] if width else b""
    if not body:
        raise ValueError("it holds no audio")
    if len(body) // width > LONGEST_S * rate:
        raise ValueError(f"it lasts more than {LONGEST_S // 60} minutes")
    if len(body) // (bits // 8) > MOST_SAMPLES:
        raise ValueError(f"it has more than {MOST_SAMPLES // 1_000_000} million samples")
    return _samples(code, bits, body).reshape(-1, channels), rate


def _samples(code: int, bits: int, body: bytes) -> NDArray[np.float32]:  # noqa: PLR0911 - a table
    match code, bits:
        case (1, 8):
            return (np.frombuffer(body, np.uint8).astype(np.float32) - 128.0) / 128.0
        case (1, 16):
            return np.frombuffer(body, "<i2").astype(np.float32) / 32768.0
        case (1, 24):
            padded = np.zeros((len(body) // 3, 4), np.uint8)
            padded[:, 1:] = np.frombuffer(body, np.uint8).reshape(-1, 3)
            return padded.view("<i4").ravel().astype(np.float32) / 2147483648.0
        case (1, 32):
            return np.frombuffer(body, "<i4").astype(np.float32) / 2147483648.0
        case (3, 32):
            return np.nan_to_num(np.frombuffer(body, "<f4").astype(np.float32))
        case (6, 8):
            return _a_law()[np.frombuffer(body, np.uint8)]
        case (7, 8):
            return _mu_law()[np.frombuffer(body, np.uint8)]
    raise ValueError(f"format {code} with {bits} bits")


def _mu_law() -> NDArray[np.float32]:
    """ITU-T G.711 µ-law: what each code means."""
    inverted = 255 - np.arange(256)
    magnitude = (((inverted & 15) << 3) + 132 << (inverted >> 4 & 7)) - 132
    return (np.where(inverted & 128, -magnitude, magnitude) / 32768.0).astype(np.float32)


def _a_law() -> NDArray[np.float32]:
    """ITU-T G.711 A-law: what each code means."""
    toggled = np.arange(256) ^ 0x55
    exponent = toggled >> 4 & 7
    mantissa = ((toggled & 15) << 4) + 8
    magnitude = np.where(exponent > 0, (mantissa + 256) << np.maximum(exponent - 1, 0), mantissa)
    return (np.where(toggled & 128, magnitude, -magnitude) / 32768.0).astype(np.float32)
