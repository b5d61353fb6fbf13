"""The speech process: Whisper's decisions and the prompts' rendering for all workers, at a lower priority than the calls."""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import structlog

from voiceedge.audio import synthesis
from voiceedge.audio.prompts import Piece, PromptLibrary
from voiceedge.clock import Clock
from voiceedge.config import Config
from voiceedge.edge import paths
from voiceedge.edge.link import Head, LinkServer
from voiceedge.edge.supervisor import Facts, Reporter
from voiceedge.edge.wire import expectation_from_json, piece_from_json
from voiceedge.errors import FlowError, LinkError, ModelMissingError, PromptError
from voiceedge.flow.book import FlowBook
from voiceedge.speech.models import whisper_directory
from voiceedge.speech.service import Decider

BELOW_CALLS, BELOW_DECISIONS = 5, 15  # nice values

log = structlog.get_logger()


async def main(config: Config, clock: Clock, reporter: Reporter, _: Facts) -> None:
    os.nice(BELOW_CALLS)
    library = PromptLibrary(paths.prompt_cache(config), synthesis.choose(config.prompts, config.site.data_dir))
    decider = _decider(config, clock)
    on_demand = ThreadPoolExecutor(1, "render")
    ahead = ThreadPoolExecutor(1, "render-ahead", initializer=_step_back)
    progress = {"prompts_done": 0, "prompts_all": 0}

    async def decide(head: Head, payload: bytes) -> Head:
        if decider is None:
            raise LinkError("no deciding recogniser is installed")
        evidence = await decider.decide(payload, expectation_from_json(head["expectation"]))
        return evidence.to_json()

    async def render(head: Head, _: bytes) -> Head:
        await asyncio.get_running_loop().run_in_executor(on_demand, library.render, piece_from_json(head["piece"]))
        return {}

    async def health(_head: Head, _payload: bytes) -> Head:
        return {"whisper": decider is not None, "synthesis": library.renderer.name, **progress}

    handlers = {"decide": decide, "render": render, "health": health}
    async with LinkServer(paths.speech_socket(config), handlers):
        reporter.ready({"whisper": decider is not None})
        pieces = _pieces_of(config, library)
        progress["prompts_all"] = len(pieces)
        for piece in pieces:
            await asyncio.get_running_loop().run_in_executor(ahead, _render_ahead, library, piece)
            progress["prompts_done"] += 1
        await asyncio.Event().wait()


def _decider(config: Config, clock: Clock) -> Decider | None:
    if not config.speech.enabled:
        return None
    try:
        return Decider(whisper_directory(config.speech, config.site.data_dir), config.speech, clock)
    except ModelMissingError as error:
        log.warning("speech_reduced", problem=str(error), effect="Vosk alone: callers confirm what they said, or use keys")
        return None


def _pieces_of(config: Config, library: PromptLibrary) -> list[Piece]:
    """Every sentence of every flow that is the same for all callers, in the flows' order, once."""
    try:
        book = FlowBook.load(config.flows)
    except FlowError:
        return []  # the worker says what is wrong with it
    return list(dict.fromkeys(piece for utterance in book.utterances() for piece in library.pieces(utterance)))


def _render_ahead(library: PromptLibrary, piece: Piece) -> None:
    try:
        if library.lookup(piece) is None:
            library.render(piece)
    except PromptError as error:
        log.error("prompt_not_rendered", problem=str(error))  # noqa: TRY400 - the message says it all


def _step_back() -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BELOW_DECISIONS)
