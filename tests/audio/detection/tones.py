"""Tones of the network: how many are missed or taken for others on each line, and how soon each kind is told."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from detection.hearing import SETTINGS, hear
from detection.line import Line
from detection.recordings import SPEECH_DBOV
from reference.tones import played

from voiceedge.audio.events import ToneBegun, ToneEnded
from voiceedge.audio.tones import Tone, ToneKind, TonePlan
from voiceedge.speech.telephone import LINE_RATE_HZ

LASTING_S = {ToneKind.BEEP: 0.4}
_LASTING_S = 9.0  # more than a cycle of any
_BEFORE_S, _AFTER_S = 3.0, 6.5
_DETUNED, _STRETCHED = 0.01, 0.05


@dataclass
class Tally:
    played: int = 0
    missed: int = 0
    again: int = 0  # the same once more: it was lost for a while
    false: int = 0  # others than what was played
    told_ms: dict[ToneKind, list[float]] = field(default_factory=dict)  # after it began; a beep: after it ended


def measure(line: Line, plans: Iterable[TonePlan], rounds: int = 2) -> Tally:
    """Each tone at the level of speech, each time a little off in pitch and time."""
    tally = Tally()
    for plan in plans:
        for seed in range(rounds):
            for tone in plan.tones:
                _play(tally, line, plan, tone, seed)
    return tally


def _play(tally: Tally, line: Line, plan: TonePlan, tone: Tone, seed: int) -> None:
    rng = np.random.default_rng([seed, list(ToneKind).index(tone.kind)])
    before_s, lasting_s = _BEFORE_S + float(rng.uniform(0, 0.1)), LASTING_S.get(tone.kind, _LASTING_S)
    signal = played(
        _pitched(tone, rng) if tone.kind is ToneKind.BEEP else tone,
        lasting_s,
        SPEECH_DBOV,
        detuned=float(rng.uniform(-_DETUNED, _DETUNED)),
        stretched=float(rng.uniform(-_STRETCHED, _STRETCHED)),
    )
    silence = [np.zeros(round(seconds * LINE_RATE_HZ)) for seconds in (before_s, _AFTER_S)]
    clean = np.concatenate([silence[0], signal, silence[1]])
    noticed = hear(line.carry(clean, seed), replace(SETTINGS, tones=plan), prompt=line.prompt(len(clean)))
    told_by = ToneEnded if tone.kind is ToneKind.BEEP else ToneBegun  # of a beep only the end is told
    told = [one for one in noticed if isinstance(one.event, ToneBegun) or _is_beep(one.event)]
    found = next((one for one in told if one.event.kind is tone.kind and isinstance(one.event, told_by)), None)
    tally.played += 1
    tally.missed += found is None
    tally.again += max(0, sum(one.event.kind is tone.kind for one in told) - 1)
    tally.false += sum(one.event.kind is not tone.kind for one in told)
    if found:
        since_s = before_s + (lasting_s if tone.kind is ToneKind.BEEP else 0.0)
        tally.told_ms.setdefault(tone.kind, []).append(found.at_ms - 1000 * since_s)


def _is_beep(event: object) -> bool:
    return isinstance(event, ToneEnded) and event.kind is ToneKind.BEEP


def _pitched(tone: Tone, rng: np.random.Generator) -> Tone:
    """A beep of one of the frequencies that it may have."""
    burst = tone.segments[0]
    hz = float(rng.uniform(*burst.hz))
    return replace(tone, segments=(replace(burst, hz=(hz,), min_ms=0, max_ms=2_000_000),))
