"""An inspected recording as one SVG file: waveform, spectrogram, and lanes of what was heard, over one time axis."""

import base64
import struct
import zlib
from collections.abc import Iterator
from html import escape
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from voiceedge.audio.inspection import Inspection, Side

_PIXELS_A_SECOND = 40.0
_NARROWEST, _WIDEST = 900.0, 6000.0
_LEFT, _RIGHT, _TOP = 70.0, 24.0, 64.0
_WAVE, _SPECTRUM, _LANE, _GAP, _HEADING = 96.0, 150.0, 22.0, 6.0, 30.0
_SIDE = _HEADING + _WAVE + _GAP + _SPECTRUM + 3 * (_LANE + _GAP)
_AXIS = 40.0
_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300)
_TICK_PIXELS = 70.0
_MOST_DOUBLINGS = 6
_CHARACTER = 6.6  # pixels, of a label

_WINDOW_MS, _HOP_MS = 32, 8
_DARKEST_DBOV, _BRIGHTEST_DBOV = -95.0, -30.0  # of a spectral line
# From silence to loud, like the magma map: lightness alone says it, also in print and to the colour-blind.
_COLOURS = ((0, 0, 4), (45, 17, 95), (114, 31, 129), (183, 55, 121), (241, 96, 93), (254, 159, 109), (252, 253, 191))

_STYLE = """
text { font: 12px 'Noto Sans', 'Noto Sans KR', 'DejaVu Sans', sans-serif; fill: #3c4450 }
.title { font-size: 17px; font-weight: 600; fill: #1b2330 } .side { font-size: 13px; font-weight: 600; fill: #1b2330 }
.quiet { fill: #78818f; font-size: 11px } .inside { fill: #fff; font-size: 11px }
.grid { stroke: #1b2330; stroke-opacity: .09 } .panel { fill: #f3f5f8 }
.wave { fill: #2f6db5 } .voice { fill: #2b9a66 } .key { fill: #d9731a } .tone { fill: #7a52c7 }
.clipped { fill: #d3263b }
"""


def draw(inspection: Inspection) -> str:
    width = min(max(inspection.seconds * _PIXELS_A_SECOND, _NARROWEST), _WIDEST)
    scale = width / max(inspection.seconds, 0.001)
    height = _TOP + len(inspection.sides) * _SIDE + _AXIS
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + width + _RIGHT:.0f}" height="{height:.0f}">',
        f"<title>{escape(inspection.path.name)}</title><style>{_STYLE}</style>",
        '<rect width="100%" height="100%" fill="#fff"/>',
        _text(24, 30, inspection.path.name, "title"),
        _text(24, 48, _summary(inspection), "quiet"),
    ]
    for number, side in enumerate(inspection.sides):
        parts += _side(side, inspection.rate, _TOP + number * _SIDE, width, scale)
    parts += _axis(inspection.seconds, scale, _TOP, height - _AXIS)
    return "\n".join([*parts, "</svg>\n"])


def _summary(inspection: Inspection) -> str:
    heard_at = "" if inspection.rate == inspection.file_rate else f", heard at {inspection.rate} Hz"
    judged = "" if inspection.judged else " · without Silero: music and tones count as voice"
    return f"{inspection.seconds:.1f} s, {inspection.file_rate} Hz{heard_at} · tones of {inspection.plan.title}{judged}"


def _side(side: Side, rate: int, top: float, width: float, scale: float) -> Iterator[str]:
    yield _text(24, top + 20, side.name, "side")
    yield _text(24 + _CHARACTER * (len(side.name) + 6), top + 20, _levels(side), "quiet")
    wave = top + _HEADING
    yield _panel(wave, width, _WAVE)
    yield from _wave(side, width, wave)
    for at_s in side.clipped_at_s:
        yield f'<rect class="clipped" x="{_LEFT + at_s * scale:.1f}" y="{wave}" width="2" height="5"/>'
    spectrum = wave + _WAVE + _GAP
    yield _image(_spectrogram(side.heard, rate, round(width)), spectrum, width)
    for khz in range(1, rate // 2000):
        y = spectrum + _SPECTRUM * (1 - khz * 2000 / rate)
        yield _text(_LEFT - 8, y + 4, f"{khz} kHz", "quiet", "end")
    lanes = spectrum + _SPECTRUM + _GAP
    yield from _lane("voice", [(span.start_s, span.end_s, "") for span in side.voice], lanes, width, scale)
    keys = [(key.start_s, key.start_s + key.duration_ms / 1000, key.key) for key in side.keys]
    yield from _lane("key", keys, lanes + _LANE + _GAP, width, scale)
    tones = [(tone.start_s, tone.end_s, tone.kind.replace("_", " ")) for tone in side.tones]
    yield from _lane("tone", tones, lanes + 2 * (_LANE + _GAP), width, scale)


def _levels(side: Side) -> str:
    loud = side.loudness
    speech = "no voice" if loud.speech_dbov is None else f"voice {loud.speech_dbov:.1f} dBov"
    return " · ".join(
        (
            speech,
            f"noise {loud.noise_dbov:.1f}",
            f"peak {loud.peak_dbov:.1f}",
            f"offset {loud.offset}",
            f"{loud.clipped} samples clipped",
        )
    )


def _wave(side: Side, width: float, top: float) -> Iterator[str]:
    """From the lowest to the highest sample of every pixel, enlarged as often as there is room for it."""
    starts = np.linspace(0, len(side.heard), round(width), endpoint=False).astype(int)
    times = 2 ** min(max(int(-side.loudness.peak_dbov / 6.03), 0), _MOST_DOUBLINGS)
    middle, scale = top + _WAVE / 2, times * _WAVE / 2 / 32768
    highest = middle - np.maximum.reduceat(side.heard, starts) * scale
    lowest = middle - np.minimum.reduceat(side.heard, starts) * scale + 0.5
    points = [f"{_LEFT + x:.0f},{y:.1f}" for edge in (highest, lowest) for x, y in enumerate(edge)]
    around = points[: len(starts)] + points[: len(starts) - 1 : -1]
    yield f'<polygon class="wave" points="{" ".join(around)}"/>'
    yield _text(_LEFT - 8, middle + 4, f"×{times}", "quiet", "end")


def _lane(name: str, spans: list[tuple[float, float, str]], top: float, width: float, scale: float) -> Iterator[str]:
    """Labels stand inside the spans where all have room, else above them, but for those that would cover another."""
    yield _text(_LEFT - 8, top + 15, {"key": "keys", "tone": "tones"}.get(name, name), "quiet", "end")
    yield _panel(top, width, _LANE)
    bars = [(_LEFT + start_s * scale, max((end_s - start_s) * scale, 2.0)) for start_s, end_s, _ in spans]
    lengths = [len(label) * _CHARACTER for _, _, label in spans]
    inside = all(length + 6 <= wide for length, (_, wide) in zip(lengths, bars, strict=True))
    bar_top, bar_height = (top + 3, _LANE - 6) if inside else (top + 15, 5.0)
    free = 0.0  # where the next label may begin
    for (start_s, end_s, label), (x, wide), length in zip(spans, bars, lengths, strict=True):
        told = escape(f"{label} {start_s:.2f}–{end_s:.2f} s".strip())
        yield (
            f'<rect class="{name}" x="{x:.1f}" y="{bar_top}" width="{wide:.1f}" height="{bar_height}" rx="2.5">'
            f"<title>{told}</title></rect>"
        )
        middle = x + wide / 2
        if label and middle - length / 2 >= free:
            yield _text(middle, top + (15 if inside else 12), label, "inside" if inside else "", "middle")
            free = middle + length / 2


def _axis(seconds: float, scale: float, top: float, bottom: float) -> Iterator[str]:
    step_s = next((step for step in _STEPS_S if step * scale >= _TICK_PIXELS), _STEPS_S[-1])
    for number in range(int(seconds / step_s) + 1):
        x = _LEFT + number * step_s * scale
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top + _HEADING}" y2="{bottom}"/>'
        yield _text(x, bottom + 18, _clock(number * step_s), "quiet", "middle")


def _clock(at_s: float) -> str:
    minutes, rest = divmod(round(at_s, 1), 60)
    return f"{int(minutes)}:{rest:02.0f}" if minutes else f"{rest:g} s"


def _panel(top: float, width: float, height: float) -> str:
    return f'<rect class="panel" x="{_LEFT}" y="{top}" width="{width:.0f}" height="{height}" rx="3"/>'


def _text(x: float, y: float, text: str, style: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">{escape(text)}</text>'


# --- the spectrogram ---


def _image(pixels: NDArray[np.uint8], top: float, width: float) -> str:
    data = base64.b64encode(_png(pixels)).decode()
    return (
        f'<image x="{_LEFT}" y="{top}" width="{width:.0f}" height="{_SPECTRUM}" preserveAspectRatio="none" '
        f'href="data:image/png;base64,{data}"/>'
    )


def _spectrogram(pcm: NDArray[np.int16], rate: int, width: int) -> NDArray[np.uint8]:
    """A row for each frequency, the highest first; a column is the loudest of what happens in it."""
    length, hop = rate * _WINDOW_MS // 1000, rate * _HOP_MS // 1000
    padded = np.pad(pcm, (length // 2, length))
    frames = sliding_window_view(padded, length)[::hop][: max(1, len(pcm) // hop)]
    window = np.hanning(length) / 32768.0 / (length / 4)  # a full-scale sine has the height 1
    edges = np.linspace(0, len(frames), width + 1).astype(int)
    columns = np.empty((length // 2, width), np.uint8)
    for x, (start, end) in enumerate(pairwise(edges)):
        first = min(start, len(frames) - 1)
        spectra = np.abs(np.fft.rfft(frames[first : max(end, first + 1)] * window))
        levels = 20 * np.log10(spectra[:, 1:].max(axis=0) + 1e-9)
        share = (levels - _DARKEST_DBOV) / (_BRIGHTEST_DBOV - _DARKEST_DBOV)
        columns[:, x] = (255 * share.clip(0, 1)).astype(np.uint8)
    return columns[::-1]


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """A picture of indexed colours (RFC 2083)."""
    height, width = pixels.shape
    anchors = np.linspace(0, 255, len(_COLOURS))
    palette = np.stack([np.interp(np.arange(256), anchors, [c[i] for c in _COLOURS]) for i in range(3)], axis=1)
    rows = np.hstack([np.zeros((height, 1), np.uint8), pixels])  # each begins with its filter: none
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", palette.round().astype(np.uint8).tobytes()),
            _chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
