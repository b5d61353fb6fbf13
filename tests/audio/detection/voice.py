"""Voice: is the beginning of speech noticed, how soon, and is anything else taken for it?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from detection.hearing import Noticed
from detection.recordings import Recording, Samples
from detection.truth import Span, spoken

from voiceedge.audio.events import Offset, Onset
from voiceedge.audio.speech_level import MARGIN_DB
from voiceedge.speech.telephone import LINE_RATE_HZ

PAUSE_MS = 1500  # between two recordings of a call
GAP_MS = 300  # a pause this short is part of the speech
FRESH_MS = 900  # only speech after at least so much quiet is sure to be a new onset
EARLY_MS, LATE_MS = 150, 250  # an onset this far outside of speech still belongs to it


@dataclass
class Call:
    clean: Samples
    spans: list[Span]

    @property
    def minutes(self) -> float:
        return len(self.clean) / LINE_RATE_HZ / 60


def calls(recordings: Iterable[Recording], seed: int, a_call: int = 8, margin_db: float = MARGIN_DB) -> list[Call]:
    """Some recordings after one another, never at the same place of a frame twice."""
    rng = np.random.default_rng(seed)
    listed = list(recordings)
    return [_call(listed[first : first + a_call], rng, margin_db) for first in range(0, len(listed), a_call)]


def _call(recordings: Sequence[Recording], rng: np.random.Generator, margin_db: float) -> Call:
    parts, spans, length = [], [], 0
    for recording in recordings:
        pause = LINE_RATE_HZ * PAUSE_MS // 1000 + int(rng.integers(LINE_RATE_HZ // 5))
        begun_ms = (length + pause) * 1000 / LINE_RATE_HZ
        spans += [span.moved(begun_ms) for span in spoken(recording.samples, GAP_MS, margin_db)]
        parts += [np.zeros(pause), recording.samples]
        length += pause + len(recording.samples)
    return Call(np.concatenate([*parts, np.zeros(LINE_RATE_HZ * PAUSE_MS // 1000)]), spans)


@dataclass
class Score:
    minutes: float = 0.0
    onset_ms: list[float] = field(default_factory=list)  # after speech began, for each onset that was due
    missed: int = 0  # no onset during the speech
    hidden: int = 0  # speech began while something else still counted as speech
    false: int = 0  # onsets without speech
    clipped: int = 0  # onsets that point behind the beginning of speech
    offset_ms: list[float] = field(default_factory=list)  # after speech ended
    cut: int = 0  # ends of speech noticed while it went on

    def count(self, call: Call, noticed: Sequence[Noticed]) -> None:
        self.minutes += call.minutes
        heard = _intervals(noticed)
        fresh = [
            span
            for before, span in zip([Span(0, 0), *call.spans], call.spans, strict=False)
            if span.start_ms - before.end_ms >= FRESH_MS
        ]
        for span in fresh:
            self._count_onset(span, heard)
        for onset, _ in heard:
            if not any(s.start_ms - EARLY_MS <= onset.at_ms <= s.end_ms + LATE_MS for s in call.spans):
                self.false += 1
        for end in (offset for _, offset in heard if offset):
            self._count_offset(end, call.spans)

    def _count_onset(self, span: Span, heard: list[tuple[Noticed, Noticed | None]]) -> None:
        for onset, offset in heard:
            begins_in_time = span.start_ms - EARLY_MS <= onset.at_ms <= span.end_ms + LATE_MS
            if begins_in_time:
                self.onset_ms.append(onset.at_ms - span.start_ms)
                self.clipped += onset.event.position / 16 > span.start_ms
                return
            if onset.at_ms < span.start_ms and (offset is None or offset.at_ms > span.start_ms):
                self.hidden += 1
                return
        self.missed += 1

    def _count_offset(self, end: Noticed, spans: list[Span]) -> None:
        before = [span for span in spans if span.start_ms <= end.at_ms]
        if not before:
            return
        if end.at_ms < before[-1].end_ms:
            self.cut += int(end.at_ms - before[-1].start_ms > LATE_MS)  # else it is the end of what was before
        else:
            self.offset_ms.append(end.at_ms - before[-1].end_ms)


def _intervals(noticed: Sequence[Noticed]) -> list[tuple[Noticed, Noticed | None]]:
    """Each onset with its offset; None: the call ended first."""
    changes = [one for one in noticed if isinstance(one.event, Onset | Offset)]
    following = [*changes[1:], None]
    return [(one, after) for one, after in zip(changes, following, strict=True) if isinstance(one.event, Onset)]
