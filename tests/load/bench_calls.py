"""What a caller waits for: set-up, silence after a voice or a key, the next prompt after the last word.

Each call is a raw SIP and RTP peer with a whole service of its own on loopback; times are those of packets here:

    invite_200_ms            INVITE sent → 200 received
    barge_in_ms              packet with the speech's onset sent → first packet without the prompt received
    speech_end_to_prompt_ms  packet with the speech's end sent → first packet of the next prompt with sound received
    key_to_silence_ms        key's first RFC 4733 packet sent → first packet without the prompt received

Speech begins and ends with the first and last 10 ms above -40 dBov, sound is above -50 dBov, and silence lasts 100 ms.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from shutil import copy
from typing import Any

import numpy as np
from machine import machine
from peer import Peer, PeerCall
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rtp import RATE, Pcm, tone
from service import Events, RunningService

from voiceedge.audio import synthesis, wav
from voiceedge.audio.prompts import PromptLibrary
from voiceedge.config import Prompts, Speech
from voiceedge.edge.between.link import LinkClient
from voiceedge.errors import VoiceEdgeError
from voiceedge.flow.call import Utterance
from voiceedge.speech import models

ROOT = Path(__file__).resolve().parents[2]
STATE = ROOT / "var" / "data"  # models, and what the caller says, from one run to the next

MEASURES = {
    "invite_200_ms": "INVITE → 200",
    "key_to_silence_ms": "key → prompt silent",
    "barge_in_ms": "onset of speech → prompt silent",
    "speech_end_to_prompt_ms": "end of speech → next prompt",
}
PARTS = {
    "decision_ms": "… until what was said is decided",
    "prompt_start_ms": "… from then on",
    "packet_gap_ms": "longest gap between packets",
    "fade_step": "largest step in a fade, of the tone's",
}
PHRASES = {"배송 조회": "delivery", "교환 반품": "return", "영업 시간": "hours", "상담원 연결": "agent"}
CALLER = Prompts(voice="jf_gongitsune")  # the voice whose short commands are understood best
CALLS, QUICK_CALLS = 60, 10

FRAME = RATE // 100
SPEECH_DBOV, SOUND_DBOV = -40.0, -50.0
SOUND = 10 ** (SOUND_DBOV / 20)
TONE_HZ, TONE_PEAK, TONE_MS = 250, 0.14, 10_000
TONE_LEVEL, ALIKE = TONE_PEAK / 2**0.5, 0.1
INTO_THE_PROMPT_S = 0.3  # when the caller interrupts
STEADY = 8  # packets of tone in a row: neither speech nor a fade
SILENCE_MS = 100
WAIT_S = 20.0
PROMPTS_S = 60.0


@dataclass(frozen=True)
class Phrase:
    """What the caller says, with its soft beginning and end around what counts as speech."""

    text: str
    value: str
    lead: Pcm
    speech: Pcm
    tail: Pcm


@dataclass
class Trial:
    """What one call showed: figures as far as it came, and what went wrong."""

    figures: dict[str, float] = field(default_factory=dict)
    misunderstood: str = ""
    problem: str = ""


class CallFailedError(Exception):
    """The call did not go as it should; the message says how."""


class Ear:
    """Follows what comes in while a call lasts; a packet's level is computed once."""

    def __init__(self, call: PeerCall) -> None:
        self.rtp = call.rtp
        self._levels: list[float] = []
        self._times: list[int] = []

    async def until(self, heard: Callable[[], Any], what: str) -> Any:
        """The first true answer of `heard`. Raises CallFailedError saying what has not come."""
        try:
            async with asyncio.timeout(WAIT_S):
                while True:
                    for packet in list(self.rtp.packets)[len(self._times) :]:
                        self._levels.append(packet.level)
                        self._times.append(packet.at_ns)
                    if found := heard():
                        return found
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise CallFailedError(f"no {what} within {WAIT_S:g} s") from None

    async def tone(self) -> None:
        await self.until(
            lambda: (
                len(self._levels) >= STEADY
                and all(abs(level - TONE_LEVEL) < ALIKE * TONE_LEVEL for level in self._levels[-STEADY:])
            ),
            "question",
        )

    async def sound(self, since_ns: int) -> int:
        """When the first sound after `since_ns` came."""
        return int(
            await self.until(
                lambda: next((at for at, level in self._after(since_ns) if level >= SOUND), None), "next prompt"
            )
        )

    async def silence(self, since_ns: int) -> int:
        """When the prompt had ended: the first packet after its last sound."""

        def found() -> int | None:
            start = None
            for at, level in self._after(since_ns):
                start = None if level >= SOUND else start or at
                if start and at - start >= SILENCE_MS * 1_000_000:
                    return start
            return None

        return int(await self.until(found, "silence"))

    def _after(self, since_ns: int) -> Iterator[tuple[int, float]]:
        return (pair for pair in zip(self._times, self._levels, strict=True) if pair[0] >= since_ns)

    def longest_gap_ms(self) -> float:
        return float(np.diff(self._times).max()) / 1e6

    def fade_step(self, silent_ns: int) -> float:
        """The largest difference of two samples in the last 60 ms before a silence, by that of the tone."""
        packets = [packet for packet in list(self.rtp.packets) if packet.at_ns <= silent_ns][-3:]
        steps = np.abs(np.diff(np.concatenate([packet.pcm for packet in packets]).astype(int)))
        return float(steps.max() / np.abs(np.diff(tone(TONE_HZ, 100, TONE_PEAK).astype(int))).max())


async def try_call(service: RunningService, events: Events, peer: Peer, phrase: Phrase) -> Trial:
    trial = Trial()
    call = await peer.invite(service.uri())
    try:
        try:
            await _go_through(call, events, phrase, trial)
        finally:
            await call.bye()
    except (CallFailedError, TimeoutError) as error:
        trial.problem = str(error) or "the service did not answer in time"
    return trial


async def _go_through(call: PeerCall, events: Events, phrase: Phrase, trial: Trial) -> None:
    response = await call.final()
    if response.status != 200:
        raise CallFailedError(f"refused: {response.first}")
    trial.figures["invite_200_ms"] = (response.at_ns - call.invited_ns) / 1e6
    ear = Ear(call)
    await ear.tone()
    await asyncio.sleep(INTO_THE_PROMPT_S)
    _, speech, _ = (call.rtp.say(part) for part in (phrase.lead, phrase.speech, phrase.tail))
    await ear.until(speech.done.is_set, "end of what we say")
    silent_ns = await ear.silence(speech.sent_ns)
    if silent_ns >= speech.last_ns:
        raise CallFailedError("the prompt went on while the caller spoke")
    trial.figures["barge_in_ms"] = (silent_ns - speech.sent_ns) / 1e6
    fade_steps = [ear.fade_step(silent_ns)]

    next_ns = await ear.sound(speech.last_ns)
    turn, decided_ns = await _turn(events, response["x-conversation-id"])
    if (turn["by"], turn["decision"], turn["value"]) != ("speech", "accept", phrase.value):
        trial.misunderstood = f"{phrase.text} was heard as {turn['transcript']!r}: {turn['decision']}"
        return
    trial.figures |= {
        "speech_end_to_prompt_ms": (next_ns - speech.last_ns) / 1e6,
        "decision_ms": (decided_ns - speech.last_ns) / 1e6,
        "prompt_start_ms": (next_ns - decided_ns) / 1e6,
    }
    await ear.tone()
    await asyncio.sleep(INTO_THE_PROMPT_S)
    press = await call.press("1")
    silent_ns = await ear.silence(press.sent_ns)
    trial.figures["key_to_silence_ms"] = (silent_ns - press.sent_ns) / 1e6
    trial.figures["fade_step"] = max(*fade_steps, ear.fade_step(silent_ns))
    trial.figures["packet_gap_ms"] = ear.longest_gap_ms()


async def _turn(events: Events, conversation: str) -> tuple[dict[str, Any], int]:
    """What the service made of the speech, and when in monotonic nanoseconds."""
    turn = await events.until("turn.heard", lambda turn: turn in events.of("turn.heard", conversation))
    event = next(event for event in events.all if event["data"] is turn)
    ago_ns = time.time_ns() - int(datetime.fromisoformat(event["time"]).timestamp() * 1e9)
    return turn, time.monotonic_ns() - ago_ns


# What the calls need


def phrases() -> list[Phrase]:
    """Spoken by Kokoro once; kept in the state folder. Raises VoiceEdgeError where it is not installed."""
    library = PromptLibrary(STATE / "prompts", synthesis.choose(CALLER, STATE))
    return [_cut(text, value, library) for text, value in PHRASES.items()]


def _cut(text: str, value: str, library: PromptLibrary) -> Phrase:
    audio = np.concatenate([library.render(piece) for piece in library.pieces(Utterance(text, "ko"))])
    frames = audio[: len(audio) // FRAME * FRAME].reshape(-1, FRAME) / 32768
    active = np.flatnonzero(np.mean(frames**2, axis=1) > 10 ** (SPEECH_DBOV / 10))
    first, last = int(active[0]) * FRAME, (int(active[-1]) + 1) * FRAME
    return Phrase(text, value, audio[:first], audio[first:last], audio[last:])


def make_flow(directory: Path) -> Path:
    flows = directory / "flows"
    flows.mkdir()
    copy(Path(__file__).parent / "flows" / "bench.yaml", flows)
    wav.save(flows / "tone.wav", tone(TONE_HZ, TONE_MS, TONE_PEAK), RATE)
    wav.save(flows / "silence.wav", np.zeros(2 * RATE, np.int16), RATE)
    return flows


async def prompts_ready(run_dir: Path) -> None:
    """Wait until the flow's sentences are rendered: no call shall pay for the first time."""
    speech = LinkClient(run_dir / "speech.sock")
    try:
        async with asyncio.timeout(PROMPTS_S):
            while not (await speech.request("health", {}, timeout_s=PROMPTS_S))["prompts_ready"]:  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.1)
    finally:
        await speech.close()


async def bench(calls: int, console: Console) -> list[Trial]:
    spoken = phrases()
    with tempfile.TemporaryDirectory(prefix="voiceedge-bench-") as name:
        directory = Path(name)
        settings = {
            "flows": {"default": "bench"},
            "speech": {"whisper_model": str(models.whisper_directory(Speech(), STATE))},
        }
        with RunningService(directory, make_flow(directory), settings) as service:
            await prompts_ready(directory / "run")
            async with service.events() as events, Peer() as peer:
                return [
                    await try_call(service, events, peer, spoken[number % len(spoken)])
                    for number in track(range(calls), "calls", console=console)
                ]


# What came of it


def summary(trials: Sequence[Trial]) -> dict[str, Any]:
    return {
        **{
            name: spread([trial.figures[name] for trial in trials if name in trial.figures])
            for name in MEASURES | PARTS
        },
        "calls": len(trials),
        "failed": sum(bool(trial.problem) for trial in trials),
        "misunderstood": sum(bool(trial.misunderstood) for trial in trials),
        "problems": [trial.problem or trial.misunderstood for trial in trials if trial.problem or trial.misunderstood],
        "each": [{name: round(value, 2) for name, value in trial.figures.items()} for trial in trials],
    }


def spread(values: Sequence[float]) -> dict[str, float | int | None]:
    if not values:
        return {"n": 0, "p50": None, "p95": None, "max": None}
    p50, p95 = np.percentile(values, (50, 95))
    return {"n": len(values), "p50": round(float(p50), 2), "p95": round(float(p95), 2), "max": round(max(values), 2)}


def table(result: dict[str, Any]) -> Table:
    table = Table(
        "", "p50", "p95", "max", "calls", title=f"{result['machine']['cpu']}, {result['machine']['cores']} cores"
    )
    for name, meaning in (MEASURES | PARTS).items():
        unit = " ms" if name.endswith("_ms") else ""
        found = [result[name][key] for key in ("p50", "p95", "max")]
        table.add_row(
            meaning, *("-" if value is None else f"{value:.1f}{unit}" for value in found), f"{result[name]['n']}"
        )
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_CALLS} calls instead of {CALLS}")
    parser.add_argument("--calls", type=int, help="so many calls, one after another")
    parser.add_argument("--json", action="store_true", help="figures as JSON on standard output")
    options = parser.parse_args()
    console = Console(stderr=True)
    load = os.getloadavg()
    try:
        trials = asyncio.run(bench(options.calls or (QUICK_CALLS if options.quick else CALLS), console))
    except VoiceEdgeError as error:
        console.print(f"bench-calls: {error}", style="red")
        return 2
    result = summary(trials) | {"machine": machine(), "load_average": {"before": load, "after": os.getloadavg()}}
    if options.json:
        sys.stdout.write(json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    else:
        Console().print(table(result))
    for problem in result["problems"]:
        console.print(problem, style="yellow")
    return 1 if result["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
