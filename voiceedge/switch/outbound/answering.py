"""Who has answered: a person, a machine, a fax or nobody, from when voice and tones begin and end on the answered leg.

```
person   ____여보세요?______________            answered, a word or two, and then they wait for us
                      ├ gap_s ┤ person
machine  __안녕하세요. 지금은 전화를 받을 수 없…      goes on speaking without a gap
           ├────── long_s ──────┤ machine     or a beep, which says it at once
nobody   ______________________
         ├──── silence_s ─────┤ silence
```
A gap shorter than `gap_s` is part of what is being said. Times are seconds from the answer on.
"""

from dataclasses import dataclass
from typing import Literal

from voiceedge.audio.channel import HEARD_RATE
from voiceedge.audio.events import AudioEvent, Offset, Onset, ToneBegun, ToneEnded
from voiceedge.audio.tones import ToneKind

Verdict = Literal["person", "machine", "fax", "silence", "busy", "announcement"]

_TONES: dict[ToneKind, Verdict] = {
    ToneKind.BEEP: "machine",
    ToneKind.FAX_ANSWERING: "fax",
    ToneKind.FAX_CALLING: "fax",
    ToneKind.BUSY: "busy",
    ToneKind.CONGESTION: "busy",
    ToneKind.INFORMATION: "announcement",  # the special information tone comes before one (ITU-T E.180)
}


@dataclass(frozen=True, slots=True)
class AnswerRules:
    gap_s: float = 0.75  # of silence after which whoever spoke waits for us
    long_s: float = 3.3  # so much in one go is no greeting of a person
    short_s: float = 0.2  # less is no word, but a click or the beginning of a tone
    silence_s: float = 2.8  # without a word
    leftover_s: float = 0.25  # what was heard before and ends by then is ringback music, and nobody's greeting


class Answering:
    """To be told what happens in order, and asked `verdict` then and at `deadline_s`."""

    def __init__(self, *, speaking: bool = False, rules: AnswerRules | None = None) -> None:
        """`speaking`: voice was heard when it was answered."""
        self._rules = rules or AnswerRules()
        self._began: float | None = 0.0 if speaking else None  # of what is said in one go
        self._ended: float | None = None  # since when they are silent
        self._told: Verdict | None = None

    def hear(self, event: AudioEvent, answered_at: int) -> None:
        """What the pipeline tells of the leg. `answered_at` is the channel's position then."""
        match event:
            case Onset():
                pre_roll = event.channel.voice.pre_roll_ms * HEARD_RATE // 1000
                self.onset((event.position + pre_roll - answered_at) / HEARD_RATE)
            case Offset():
                self.offset((event.position - answered_at) / HEARD_RATE)
            case ToneBegun(kind=kind) | ToneEnded(kind=ToneKind.BEEP as kind):  # a beep is told at its end only
                self.tone(kind)

    def onset(self, at_s: float) -> None:
        if self._began is None:
            self._began = max(0.0, at_s)
        elif self._ended is not None and at_s - self._ended >= self._rules.gap_s:
            self._told = self._told or "person"  # the gap was there, only told late
        self._ended = None

    def offset(self, at_s: float) -> None:
        if self._began is None:
            return
        is_leftover = self._began <= 0 and at_s <= self._rules.leftover_s
        if is_leftover or at_s - self._began < self._rules.short_s:
            self._began = self._ended = None
        else:
            self._ended = at_s

    def tone(self, kind: ToneKind) -> None:
        self._told = self._told or _TONES.get(kind)

    def key(self) -> None:
        """Machines press none."""
        self._told = self._told or "person"

    def verdict(self, now_s: float) -> Verdict | None:
        """None: not clear yet; asked again when something happens, and at `deadline_s`."""
        if self._told:
            return self._told
        if self._began is None:
            return "silence" if now_s >= self._rules.silence_s else None
        until = now_s if self._ended is None else self._ended
        if until - self._began >= self._rules.long_s:
            return "machine"
        if self._ended is not None and now_s - self._ended >= self._rules.gap_s:
            return "person"
        return None

    @property
    def deadline_s(self) -> float:
        """When it is clear where nothing happens before."""
        if self._began is None:
            return self._rules.silence_s
        if self._ended is not None:
            return self._ended + self._rules.gap_s
        return self._began + self._rules.long_s
