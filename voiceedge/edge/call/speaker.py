"""Says utterances on a channel: the first sentence plays while the next is still being rendered."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from voiceedge.audio.channel import Channel
from voiceedge.audio.events import Played
from voiceedge.edge.call.inbox import Fed, Spawn
from voiceedge.edge.call.voice import WorkerVoice
from voiceedge.errors import NativeError, PromptError
from voiceedge.flow.call import Utterance

log = structlog.get_logger()


class Speaker:
    def __init__(self, channel: Channel, voice: WorkerVoice, post: Callable[[Fed], None], spawn: Spawn) -> None:
        self._channel, self._voice, self._post, self._spawn = channel, voice, post, spawn
        self._feeding: asyncio.Task[None] | None = None
        self._outstanding: set[int] = set()
        self.is_paused = False

    @property
    def busy(self) -> bool:
        return bool(self._outstanding) or (self._feeding is not None and not self._feeding.done())

    def start(self, utterances: Sequence[Utterance]) -> None:
        self._feeding = self._spawn(self._feed(utterances))

    def played(self, event: Played) -> None:
        self._outstanding.discard(event.item)

    def hold(self) -> None:
        self.is_paused = True
        self._channel.pause()

    def resume(self) -> None:
        self.is_paused = False
        self._channel.resume()

    def abandon(self) -> None:
        """The call is over, and its channel with it."""
        if self._feeding:
            self._feeding.cancel()

    async def stop(self) -> None:
        """Fade out and forget what is left to say."""
        if self._feeding:
            self._feeding.cancel()
            await asyncio.wait({self._feeding})
        self._channel.stop()
        self._outstanding.clear()
        if self.is_paused:
            self.resume()

    async def _feed(self, utterances: Sequence[Utterance]) -> None:
        for utterance in utterances:
            for piece in self._voice.library.pieces(utterance):
                try:
                    self._outstanding.add(self._channel.play(await self._voice.samples(piece)))
                except NativeError:
                    return  # the call is over
                except PromptError as error:
                    log.error("prompt_left_out", problem=str(error))  # noqa: TRY400 - the message says it all
        asyncio.get_running_loop().call_soon(self._post, Fed())  # when `busy` no longer counts this task
