"""When people really speak: from the clean recording alone, by a method that shares nothing with the detector.

Speech is active where its level over 10 ms is less than 15.9 dB below its active level: the margin of ITU-T P.56. The
level is that of the telephone band: what it does not carry nobody can hear. What is shorter than 40 ms is a click.
Held against the waveforms of 48 recordings: it begins with the first sound that can be seen, fricatives included.

       level    ┌──┐ ┌────┐   ┌──┐        ▁
       ─────────┘  └─┘    └───┘  └────────┘└──
                |     one span     |     click      (gaps up to `gap_ms` belong to the span)
"""

from dataclasses import dataclass

import numpy as np
from detection.recordings import SPEECH_DBOV, Samples

from voiceedge.audio.speech_level import MARGIN_DB
from voiceedge.speech.telephone import LINE_RATE_HZ

STEP_MS = 5
_WINDOW = LINE_RATE_HZ // 100
_CLICK_MS = 40


@dataclass(frozen=True)
class Span:
    start_ms: float
    end_ms: float

    def moved(self, by_ms: float) -> "Span":
        return Span(self.start_ms + by_ms, self.end_ms + by_ms)


def levels_dbov(samples: Samples) -> np.ndarray:
    """Every STEP_MS, over 10 ms centred there."""
    power = np.convolve((samples / 32768.0) ** 2, np.ones(_WINDOW) / _WINDOW, "same")
    return 10 * np.log10(power[:: LINE_RATE_HZ * STEP_MS // 1000] + 1e-12)


def spoken(samples: Samples, gap_ms: float, margin_db: float = MARGIN_DB) -> list[Span]:
    """The spans of a recording whose active level is SPEECH_DBOV."""
    active = levels_dbov(samples) > SPEECH_DBOV - margin_db
    edges = np.flatnonzero(np.diff(active, prepend=False, append=False)) * float(STEP_MS)
    loud = [Span(start, end) for start, end in edges.reshape(-1, 2).tolist()]
    return _joined([span for span in _joined(loud, _CLICK_MS) if span.end_ms - span.start_ms >= _CLICK_MS], gap_ms)


def _joined(spans: list[Span], gap_ms: float) -> list[Span]:
    joined: list[Span] = []
    for span in spans:
        if joined and span.start_ms - joined[-1].end_ms <= gap_ms:
            joined[-1] = Span(joined[-1].start_ms, span.end_ms)
        else:
            joined.append(span)
    return joined
