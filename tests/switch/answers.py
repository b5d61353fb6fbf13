"""Calls answered by persons, machines, faxes and nobody, as audio; and what the classifier makes of them.

`python tests/switch/answers.py` prints its figures; `--kokoro` has better voices speak, which takes a few minutes.
"""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voiceedge.audio import synthesis
from voiceedge.audio.pipeline import Pipeline
from voiceedge.audio.prompts import PromptLibrary
from voiceedge.audio.silero import Silero, model_file
from voiceedge.config import Audio, Prompts
from voiceedge.edge.call.line import channel_settings
from voiceedge.errors import ModelMissingError
from voiceedge.flow.call import Utterance
from voiceedge.speech.telephone import mu_law_round_trip
from voiceedge.switch.outbound.answering import Answering, Verdict

Pcm = NDArray[np.int16]
RATE, FRAME = 8000, 160
LONGEST_S = 6.0
VOICES = ("jm_kumo", "jf_nezumi", "jf_alpha")

PERSONS = (
    "여보세요?", "네.", "예, 여보세요.", "여보세요, 누구세요?", "네, 김민수입니다.", "네, 전화 받았습니다.",
    "네 말씀하세요.", "네, 한빛상사입니다.", "네, 총무과 이영희입니다.", "지금 운전 중인데요.", "응, 왜?",
    "네, 감사합니다. 한빛상사입니다.",
)  # fmt: skip
MACHINES = (
    "안녕하세요. 지금은 전화를 받을 수 없습니다. 삐 소리가 나면 메시지를 남겨 주세요.",
    "고객님이 전화를 받지 않아 삐 소리 후 소리샘으로 연결되며, 통화료가 부과됩니다.",
    "전원이 꺼져 있어 삐 소리 후 소리샘으로 연결되며 통화료가 부과됩니다.",
    "지금 거신 번호는 없는 번호입니다. 다시 확인하시고 걸어 주시기 바랍니다.",
    "네, 김민수입니다. 지금은 회의 중이라 전화를 받기 어렵습니다. 성함과 연락처를 남겨 주시면 곧 연락드리겠습니다.",
    "통화량이 많아 연결이 지연되고 있습니다. 잠시만 기다려 주시면 상담원이 연결해 드리겠습니다.",
    "한빛상사입니다. 업무 시간은 평일 오전 아홉 시부터 오후 여섯 시까지입니다. 업무 시간에 다시 걸어 주세요.",
    "연결이 되지 않아 음성사서함으로 연결됩니다.",
)


@dataclass(frozen=True)
class Call:
    name: str
    truth: Verdict
    pcm: Pcm
    word_s: float | None = None  # when the first word is over


@dataclass(frozen=True)
class Judged:
    call: Call
    verdict: Verdict
    at_s: float  # after the answer


def calls(say: Callable[[str], Pcm]) -> Iterator[Call]:
    """Each greeting after different delays, loud and soft, over quiet and noisy lines."""
    lines = ((0.2, 0, None), (0.9, -8, 30), (1.8, 4, 20))  # seconds before, dB, dB of signal over noise
    for number, text in enumerate(PERSONS):
        voice = say(text)
        for delay_s, gain_db, snr_db in lines:
            pcm = _line(np.concatenate([_silence(delay_s), voice, _silence(4)]), gain_db, snr_db, number)
            yield Call(f"{text} {delay_s}", "person", pcm, delay_s + len(voice) / RATE)
    for number, text in enumerate(MACHINES):
        voice = say(text)
        for delay_s, gain_db, snr_db in lines:
            beep = np.sin(2 * np.pi * (800 + 50 * number) * np.arange(RATE * 2 // 5) / RATE) * 6000
            pcm = np.concatenate([_silence(delay_s), voice, _silence(0.4), beep, _silence(3)])
            yield Call(f"{text[:24]} {delay_s}", "machine", _line(pcm, gain_db, snr_db, number))
    fax = np.sin(2 * np.pi * 2100 * np.arange(RATE * 3) / RATE) * 5000
    time_s = np.arange(RATE * 5) / RATE
    busy = (np.sin(2 * np.pi * 480 * time_s) + np.sin(2 * np.pi * 620 * time_s)) * 3000 * (time_s % 1 < 0.5)
    for snr_db in (None, 30, 20):
        yield Call(f"fax {snr_db}", "fax", _line(np.concatenate([_silence(1), fax]), 0, snr_db, 1))
        yield Call(f"busy {snr_db}", "busy", _line(np.concatenate([_silence(0.3), busy]), 0, snr_db, 2))
    for seed, level in enumerate((0, 30, 100)):
        noise = np.random.default_rng(seed).standard_normal(RATE * 5) * level
        yield Call(f"silence {level}", "silence", _line(noise, 0, None, 3))


def judge(pipeline: Pipeline, call: Call) -> Judged:
    """Frame by frame, as the worker hears it."""
    channel = pipeline.channel()
    try:
        answering = Answering()
        for start in range(0, len(call.pcm) - FRAME + 1, FRAME):
            channel.feed(call.pcm[start : start + FRAME])
            for event in pipeline.read_events():
                answering.hear(event, 0)
            now_s = (start + FRAME) / RATE
            if verdict := answering.verdict(now_s):
                return Judged(call, verdict, now_s)
        raise AssertionError(f"{call.name}: no verdict in {len(call.pcm) / RATE} s")
    finally:
        channel.release()


def listening() -> Pipeline:
    """As workers have it, with the judge of voice where its model is installed."""
    try:
        silero = Silero(model_file())
    except ModelMissingError:
        silero = None
    return Pipeline(channel_settings(Audio()), silero)


def speaking(directory: Path, *, engine: str = "espeak", voice: str = VOICES[0]) -> Callable[[str], Pcm]:
    library = PromptLibrary(directory, synthesis.choose(Prompts(engine=engine, voice=voice), directory))

    def say(text: str) -> Pcm:
        return np.concatenate([library.render(piece) for piece in library.pieces(Utterance(text, "ko"))])

    return say


def figures(judged: list[Judged]) -> Iterator[str]:
    for truth in ("person", "machine", "fax", "busy", "silence"):
        of_it = [one for one in judged if one.call.truth == truth]
        right = [one for one in of_it if one.verdict == truth]
        wrong = Counter(one.verdict for one in of_it if one.verdict != truth)
        times = sorted(one.at_s for one in right) or [0.0]
        taken = ", ".join(f"{count} for {verdict}" for verdict, count in wrong.items()) or "none wrong"
        told = f"told after {times[len(times) // 2]:.1f} s (median), {times[-1]:.1f} s at most"
        yield f"{truth:8} {len(right):3} of {len(of_it):3} right ({taken}); {told}"
    right = [one for one in judged if one.verdict == one.call.truth == "person"]
    waits = [one.at_s - one.call.word_s for one in right if one.call.word_s]
    yield f"         a person waits {np.median(waits):.2f} s after the last word (median), {max(waits):.2f} s at most"


def _silence(seconds: float) -> NDArray[np.float64]:
    return np.zeros(round(seconds * RATE))


def _line(pcm: NDArray[np.float64], gain_db: float, snr_db: float | None, seed: int) -> Pcm:
    """Through G.711, louder or softer, with noise that is so far below the voice."""
    out = pcm.astype(float) * 10 ** (gain_db / 20)
    if snr_db is not None:
        power = np.sqrt(np.mean(out[np.abs(out) > 200] ** 2))
        out += np.random.default_rng(seed).standard_normal(len(out)) * power * 10 ** (-snr_db / 20)
    return mu_law_round_trip(np.clip(out, -32768, 32767)).astype(np.int16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kokoro", action="store_true", help="three neural voices instead of espeak-ng's one")
    parser.add_argument("--each", action="store_true", help="every wrong verdict too")
    asked = parser.parse_args()
    judged: list[Judged] = []
    with tempfile.TemporaryDirectory() as folder, listening() as pipeline:
        voices = VOICES if asked.kokoro else VOICES[:1]
        for voice in voices:
            say = speaking(Path(folder), engine="kokoro" if asked.kokoro else "espeak", voice=voice)
            judged += [judge(pipeline, call) for call in calls(say)]
    for one in judged if asked.each else ():
        if one.verdict != one.call.truth:
            sys.stdout.write(f"{one.call.name}: {one.verdict} after {one.at_s:.1f} s\n")
    sys.stdout.write("\n".join(figures(judged)) + "\n")


if __name__ == "__main__":
    main()
