"""A caller for trying things out: a real SIP user agent that speaks, presses keys and waits its turn."""

import asyncio
import functools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from voiceedge.audio import synthesis, wav
from voiceedge.audio.channel import HEARD_RATE
from voiceedge.audio.events import Offset, Onset
from voiceedge.audio.pipeline import Pipeline
from voiceedge.audio.prompts import PromptLibrary
from voiceedge.audio.synthesis import RATE, Pcm
from voiceedge.clock import Clock, sleep, timeout
from voiceedge.config import Prompts, Sip
from voiceedge.errors import SipError
from voiceedge.flow.call import Utterance
from voiceedge.sip.endpoint import SipEndpoint
from voiceedge.sip.events import Answered, Ended
from voiceedge.sip.leg import Leg

QUIET_S = 1.3  # of silence: longer than between two sentences of a prompt
PATIENCE_S = 60.0
KEY_MS, BETWEEN_KEYS_S = 120, 0.25
RECORD_EVERY_S = 0.1  # what was said less than this before the end is not kept
BUSY_HERE = 486


class Caller:
    """One call at a time. Waits raise TimeoutError after PATIENCE_S; the far end's hang-up ends every wait."""

    def __init__(self, leg: Leg, library: PromptLibrary, language: str, clock: Clock) -> None:
        self._leg, self._library, self._language, self._clock = leg, library, language, clock
        self._far_end_speaks = False
        self._changed = asyncio.Event()
        self._silent_since = self._dialled = clock.monotonic()
        self._recorded: list[Pcm] = []
        self.answered_ms: int | None = None
        self.ended: Ended | None = None

    def far_end(self, event: Onset | Offset) -> None:
        self._far_end_speaks = isinstance(event, Onset)
        self._silent_since = self._clock.monotonic()
        self._changed.set()

    async def watch(self) -> None:
        async for event in self._leg.events():
            if isinstance(event, Ended):
                self.ended = event
            elif isinstance(event, Answered):
                self.answered_ms = round((self._clock.monotonic() - self._dialled) * 1000)
            self._changed.set()

    async def until_answered(self) -> None:
        async with timeout(self._clock, PATIENCE_S):
            while self.answered_ms is None and self.ended is None:
                await self._change()

    async def record(self) -> None:
        """Keep what the far end says, until it hangs up; `save` writes it."""
        position = 0
        while self.ended is None:
            samples, position = self._leg.channel.read(position, HEARD_RATE)
            self._recorded.append(samples)
            await sleep(self._clock, RECORD_EVERY_S)

    def save(self, path: Path) -> None:
        wav.save(path, np.concatenate([*self._recorded, np.zeros(0, np.int16)]), HEARD_RATE)

    async def until_spoken_to(self) -> None:
        async with timeout(self._clock, PATIENCE_S):
            while not self._far_end_speaks and self.ended is None:
                await self._change()

    async def until_quiet(self) -> None:
        """Wait until the far end has finished speaking."""
        await self.until_spoken_to()
        async with timeout(self._clock, PATIENCE_S):
            while self.ended is None:
                quiet_s = self._clock.monotonic() - self._silent_since
                if not self._far_end_speaks and quiet_s >= QUIET_S:
                    return
                await self._change(QUIET_S - quiet_s if not self._far_end_speaks else None)

    async def until_ended(self) -> Ended:
        async with timeout(self._clock, PATIENCE_S):
            while self.ended is None:
                await self._change()
            return self.ended

    async def say(self, text: str) -> None:
        utterance = Utterance(text, self._language)
        for piece in self._library.pieces(utterance):
            await self._play(await asyncio.to_thread(self._library.render, piece))

    async def play(self, path: Path) -> None:
        await self._play(wav.load(path, RATE))

    async def press(self, keys: str) -> None:
        for key in keys:
            await self._leg.send_key(key, KEY_MS)
            await sleep(self._clock, BETWEEN_KEYS_S)

    async def hang_up(self) -> None:
        if self.ended is None:
            await self._leg.hang_up()

    async def _play(self, audio: Pcm) -> None:
        self._leg.channel.play(audio)
        await sleep(self._clock, len(audio) / RATE)

    async def _change(self, within_s: float | None = None) -> None:
        self._changed.clear()
        try:
            async with timeout(self._clock, within_s):
                await self._changed.wait()
        except TimeoutError:
            return


@asynccontextmanager
async def dial(
    uri: str,
    *,
    prompts: Prompts,
    language: str,
    data_dir: Path,
    clock: Clock,
    headers: Mapping[str, str] | None = None,
    caller_id: str = "voiceedge",
) -> AsyncIterator[Caller]:
    """Place a call from a free port and hang up at the end. Raises SipError when nobody answers."""
    library = PromptLibrary(data_dir / "prompts", synthesis.choose(prompts, data_dir))
    sip = Sip(port=0, headers_out=tuple(headers or ()), rtp_ports=(16000, 16999))
    with Pipeline() as pipeline:
        async with asyncio.TaskGroup() as group:

            def refuse(leg: Leg) -> None:
                group.create_task(leg.reject(BUSY_HERE))

            endpoint = SipEndpoint(sip, pipeline, refuse)
            await endpoint.start()
            try:
                caller = Caller(await endpoint.call(uri, headers, caller_id=caller_id), library, language, clock)
                group.create_task(caller.watch())
                hear = functools.partial(_hear, pipeline, caller)
                asyncio.get_running_loop().add_reader(pipeline.fileno(), hear)
                await caller.until_answered()
                if caller.ended:
                    raise SipError(f"{uri} did not take the call: {caller.ended.sip_code} {caller.ended.reason}")
                yield caller
                await caller.hang_up()
            finally:
                await endpoint.stop()  # ends the call too, where something went wrong
                asyncio.get_running_loop().remove_reader(pipeline.fileno())


def _hear(pipeline: Pipeline, caller: Caller) -> None:
    for event in pipeline.read_events():
        if isinstance(event, Onset | Offset):
            caller.far_end(event)
