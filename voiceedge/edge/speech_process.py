"""The speech process: Whisper's decisions and the prompts' rendering for all workers, behind the calls in priority."""

import asyncio
import contextlib
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import numpy as np
import structlog

from voiceedge.audio import synthesis
from voiceedge.audio.prompts import PromptLibrary
from voiceedge.clock import Clock
from voiceedge.config import Config
from voiceedge.edge.between import paths
from voiceedge.edge.between.link import Handler, Head, LinkServer
from voiceedge.edge.between.member import Facts, Reporter
from voiceedge.edge.between.wire import expectation_from_json, piece_from_json
from voiceedge.errors import FlowError, ModelMissingError, SpeechBusyError
from voiceedge.flow.book import FlowBook
from voiceedge.flow.frame import fixed_prompts
from voiceedge.speech.heard import Expectation, Phrase
from voiceedge.speech.models import whisper_directory
from voiceedge.speech.service import Decider

if TYPE_CHECKING:
    from voiceedge.speech.deciding import Whisper

BELOW_CALLS, BELOW_DECISIONS = 5, 10  # nice values, the second on top of the first
CALM_S = 10.0  # without a question from any call, before more is rendered ahead

log = structlog.get_logger()


async def main(config: Config, clock: Clock, reporter: Reporter, _: Facts) -> None:
    os.nice(BELOW_CALLS)
    whisper = _whisper(config)
    library = PromptLibrary(paths.prompt_cache(config), synthesis.choose(config.prompts, config.site.data_dir))
    async with AsyncExitStack() as stack:
        decider = None
        if whisper:
            decider = Decider(whisper, clock, queue=config.speech.queue, decide_s=config.speech.decide_s)
            await stack.enter_async_context(decider)
        desk = SpeechDesk(decider, library)
        # An older one decides until this one can.
        await stack.enter_async_context(LinkServer(paths.speech_socket(config), desk.handlers(), takes_over=True))
        flows_changed = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, flows_changed.set)
        reporter.ready({"whisper": whisper is not None})
        if decider:
            await _warm_up(decider, config.site.language)
        while True:
            await desk.render_ahead(config)
            await flows_changed.wait()
            flows_changed.clear()


class SpeechDesk:
    """Answers the workers' requests; what a call waits for goes before what is rendered ahead."""

    def __init__(self, decider: Decider | None, library: PromptLibrary) -> None:
        self._decider, self._library = decider, library
        self._on_demand = ThreadPoolExecutor(1, "render")
        self._ahead = ThreadPoolExecutor(1, "render-ahead", initializer=_step_back)
        self._done = self._of = 0
        self._asked = -CALM_S
        self._ready = False

    def handlers(self) -> dict[str, Handler]:
        return {"decide": self.decide, "render": self.render, "health": self.health}

    async def decide(self, head: Head, payload: bytes) -> Head:
        self._asked = time.monotonic()
        if self._decider is None:
            raise ModelMissingError("no deciding recogniser is installed; see `voiceedge doctor`")
        evidence = await self._decider.decide(payload, expectation_from_json(head["expectation"]))
        return {"evidence": evidence.to_json()}

    async def render(self, head: Head, _: bytes) -> Head:
        self._asked = time.monotonic()
        piece = piece_from_json(head["piece"])
        audio = await asyncio.get_running_loop().run_in_executor(self._on_demand, self._library.render, piece)
        return {"payload": audio.tobytes()}

    async def health(self, _head: Head, _payload: bytes) -> Head:
        return {
            "whisper": self._decider is not None,
            "prompts_done": self._done,
            "prompts_of": self._of,
            "prompts_ready": self._ready,
        }

    async def render_ahead(self, config: Config) -> None:
        """Every sentence of every flow that is the same for all callers, once, so that no caller waits for it."""
        try:
            book = FlowBook(config.flows.dir, config.flows.values)
        except FlowError:
            return  # the worker says what is wrong with it
        prompts = [utterance for flow in book.flows.values() for utterance in fixed_prompts(flow)]
        self._ready = False
        try:
            await asyncio.get_running_loop().run_in_executor(
                self._ahead, self._library.render_ahead, prompts, self._note_progress
            )
        except Exception:
            log.exception("render_ahead_failed", effect="prompts are rendered when they are needed")
        self._ready = True

    def _note_progress(self, done: int, of: int) -> None:
        """Called between two prompts, in the thread that renders ahead: it waits while calls ask for something."""
        self._done, self._of = done, of
        while (rest_s := self._asked + CALM_S - time.monotonic()) > 0:
            time.sleep(rest_s)


def _whisper(config: Config) -> "Whisper | None":
    if not config.speech.enabled:
        return None
    from voiceedge.speech.deciding import Whisper  # noqa: PLC0415 - 25 MB that no other process needs

    try:
        return Whisper(whisper_directory(config.speech, config.site.data_dir), config.speech.threads)
    except ModelMissingError as error:
        log.warning("speech_reduced", problem=str(error), effect="what Vosk hears is confirmed; keys always work")
        return None


async def _warm_up(decider: Decider, language: str) -> None:
    """The first decision pays for tables and memory: better with nobody on the line."""
    hiss = np.random.default_rng(1).normal(0, 300, 16_000).astype("<i2")
    with contextlib.suppress(SpeechBusyError):
        await decider.decide(hiss.tobytes(), Expectation(language, (Phrase("네", "yes"),)))


def _step_back() -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BELOW_CALLS + BELOW_DECISIONS)
