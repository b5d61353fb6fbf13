"""What the echo canceller cancels, when, and at what cost: `[VOICEEDGE_CORPUS=…] python native/bench/echo.py`."""

import os
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

NATIVE = Path(__file__).resolve().parents[1]
# Instead of this folder, whose reference.py is another.
sys.path[:1] = [str(NATIVE), str(NATIVE.parent / "tests" / "audio")]

from echo_rig import Canceller, voice_blocks
from reference.echo_line import at_level, echo_of, hybrid, loss_db, pcmu, received, speech_like

from voiceedge.audio.wav import load
from voiceedge.speech.telephone import voice_band

RATE = 8000
CALLS = 8
PROMPT_S, CALLER_AT_S = 16, 8
PROMPT_DBOV = -20.0
SOUNDS = 300  # above this a sample is no noise
STARTS_S = (0, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 8, 16)


def recordings() -> list[Path]:
    folder = os.environ.get("VOICEEDGE_CORPUS")
    return sorted(Path(folder).rglob("*.wav")) if folder else []


def voice(call: int, seconds: float, dbov: float) -> np.ndarray:
    """Someone speaking; another one, or something else, in each call."""
    files = recordings()
    if not files:
        return speech_like(seconds, dbov, seed=call)
    parts: list[np.ndarray] = []
    while sum(map(len, parts)) < seconds * RATE:
        narrow = voice_band(load(files[(call * 7 + len(parts)) % len(files)], RATE).astype(float))
        parts.append(narrow[np.flatnonzero(np.abs(narrow) > np.max(np.abs(narrow)) / 10)[0] :])
    return at_level(np.concatenate(parts)[: int(seconds * RATE)], dbov)


def line(call: int, echo_loss_db: float, caller: np.ndarray | float = 0.0) -> tuple[np.ndarray, np.ndarray, int]:
    """What is sent, what comes back, and the bulk delay: another hybrid and delay in each call."""
    delay = RATE * (20 + 30 * call) // 1000
    far = pcmu(voice(call, PROMPT_S, PROMPT_DBOV))
    return far, received(echo_of(far, hybrid(call % 8 + 1, echo_loss_db), delay), caller, seed=call), delay


def convergence() -> Iterator[str]:
    spans = list(pairwise(STARTS_S))
    yield f"echo return loss enhancement in dB, median of {CALLS} calls, seconds since the echo's first sound"
    yield ("ERL dB  " + "".join(f"{f'{start:g}…{end:g}':>10}" for start, end in spans))
    for echo_loss_db in (6, 10, 15, 20):
        table = []
        for call in range(CALLS):
            far, near, delay = line(call, echo_loss_db)
            out = Canceller().put(far, near)
            begin = delay / RATE + np.flatnonzero(np.abs(far) > SOUNDS)[0] / RATE
            table.append([loss_db(near, out, RATE, begin + start, begin + end) for start, end in spans])
        yield (f"{echo_loss_db:6}  " + "".join(f"{loss:10.1f}" for loss in np.median(table, axis=0)))


def barge_in() -> Iterator[str]:
    yield f"\nvoice blocks of 20 ms that the prompt's echo makes, of {CALLS * PROMPT_S * 50}"
    yield "ERL dB    no canceller    cancelled    and suppressed    caller heard late by ms: -20 dBov    -30 dBov"
    for echo_loss_db in (6, 10, 15):
        blocks, late = np.zeros(3, int), {-20: [], -30: []}
        for call in range(CALLS):
            far, near, _ = line(call, echo_loss_db)
            outs = (near, Canceller().put(far, near), Canceller(suppression=True).put(far, near))
            blocks += [np.sum(voice_blocks(out)) for out in outs]
            for level_dbov, delays in late.items():
                caller = np.zeros(len(far))
                caller[CALLER_AT_S * RATE :] = voice(call + CALLS, PROMPT_S - CALLER_AT_S, level_dbov)
                alone = received(np.zeros(len(far)), caller, seed=call)
                out = Canceller(suppression=True).put(*line(call, echo_loss_db, caller)[:2])
                heard, clean = (int(np.argmax(voice_blocks(side)[CALLER_AT_S * 50 :])) for side in (out, alone))
                delays.append(20 * (heard - clean))
        text = [f"{np.median(delays):g} (worst {max(delays)})" for delays in late.values()]
        yield f"{echo_loss_db:6}{blocks[0]:16}{blocks[1]:13}{blocks[2]:18}{text[0]:>36}{text[1]:>16}"


def cost_us(far: np.ndarray, near: np.ndarray, rate: int = RATE, skip_s: float = 0) -> float:
    """Of a 20 ms frame: the best of several runs, after the first `skip_s`."""
    best, skip, frame = np.inf, int(skip_s * rate), rate // 50
    for _ in range(5):
        canceller = Canceller(rate, suppression=True)
        canceller.put(far[:skip], near[:skip], [rate])
        start = time.perf_counter()
        canceller.put(far[skip:], near[skip:], [rate])
        best = min(best, (time.perf_counter() - start) * 1e6 / ((len(far) - skip) / frame))
    return best


def cost() -> Iterator[str]:
    far, near, _ = line(3, 10)
    wide = speech_like(PROMPT_S, PROMPT_DBOV, 2 * RATE)
    wide_near = received(echo_of(wide, hybrid(1, 10, 2 * RATE), 2000))
    silence = np.zeros(len(far))
    yield ("\ncost of a 20 ms frame in µs, 32 ms tail")
    for name, frame_us in {
        "first two seconds of an echo": cost_us(far[: 2 * RATE], near[: 2 * RATE]),
        "a whole prompt with an echo": cost_us(far, near),
        "its second half": cost_us(far, near, skip_s=PROMPT_S / 2),
        "a prompt, caller without an echo": cost_us(far, pcmu(voice(CALLS, PROMPT_S, PROMPT_DBOV)), skip_s=4),
        "nothing sent": cost_us(silence, near, skip_s=4),
        "a whole prompt at 16 kHz": cost_us(wide, wide_near, 2 * RATE),
    }.items():
        yield f"{name:36}{frame_us:6.2f}"


if __name__ == "__main__":
    for lines in (convergence(), barge_in(), cost()):
        for text in lines:
            print(text, flush=True)
