"""Somebody we called: the leg to them, what happens on it, and what they alone are told."""

import contextlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Protocol

import structlog

from voiceedge.audio.channel import Channel
from voiceedge.audio.events import AudioEvent, KeyDown, KeyUp, Level, Played, ToneBegun, ToneEnded
from voiceedge.clock import Clock, timeout
from voiceedge.context.privacy.pii import PersonalDataClass, mask
from voiceedge.edge.call.inbox import Inbox, Signal, Spawn, Told
from voiceedge.edge.call.line import HUNG_UP
from voiceedge.edge.call.sound import Sound
from voiceedge.edge.call.speaker import Speaker
from voiceedge.edge.call.voice import WorkerVoice
from voiceedge.errors import LegEndedError, NativeError, SipError
from voiceedge.flow.call import CallEnded, Utterance
from voiceedge.sip.events import Answered, Ended, Key, Progress, Replaced
from voiceedge.sip.leg import Leg

LONGEST_WHISPER_S = 30.0
ACCEPT_S = 10.0  # after the whisper
ACCEPT_KEY = "1"

log = structlog.get_logger()

Hear = Callable[[AudioEvent], None]


class Ears(Protocol):
    """Tells whoever listens what is heard on a channel."""

    def listen(self, channel: Channel, hear: Hear) -> None: ...
    def forget(self, channel: Channel) -> None: ...


class Party:
    """`agent` is their name where they are one. Waits raise CallEnded once their leg is over."""

    def __init__(
        self,
        leg: Leg,
        agent: str | None,
        *,
        ears: Ears,
        voice: WorkerVoice,
        clock: Clock,
        spawn: Spawn,
        over: Callable[[Leg], None],
    ) -> None:
        """`over` hears of each leg that has ended."""
        self.leg, self.agent = leg, agent
        self.inbox = Inbox(clock)
        self.sound = Sound(leg.channel)
        self.ended: Ended | None = None
        self.has_progressed = self._has_accepted = self._is_closed = False
        self._clock, self._spawn, self._ears, self._over = clock, spawn, ears, over
        self.speaker = Speaker(leg.channel, voice, self.inbox.post, spawn)
        self._post: Callable[[Signal], None] | None = None
        spawn(self._watch(leg))
        ears.listen(leg.channel, self._hear)

    async def answered(self, progressed: Callable[["Party", Progress], None]) -> None:
        while True:
            match await self.inbox.next(None):
                case Answered():
                    return
                case Progress() as progress:
                    self.has_progressed = True
                    progressed(self, progress)

    async def whisper(self, utterances: Sequence[Utterance]) -> None:
        """Tell them something that nobody else hears."""
        if not utterances:
            return
        self.speaker.start(utterances)
        try:
            async with timeout(self._clock, LONGEST_WHISPER_S):
                while self.speaker.busy:
                    match await self.inbox.next(None):
                        case Played() as played:
                            self.speaker.played(played)
                        case Key(key=key) if key == ACCEPT_KEY:
                            self._has_accepted = True
                            await self.speaker.stop()
        except TimeoutError:
            await self.speaker.stop()
        except NativeError:  # the channel is released a moment before the inbox tells
            raise CallEnded from None

    async def accepts(self) -> bool:
        """Whether they press the key for it, in time."""
        try:
            async with timeout(self._clock, ACCEPT_S):
                while not self._has_accepted:
                    match await self.inbox.next(None):
                        case Key(key=key) if key == ACCEPT_KEY:
                            self._has_accepted = True
        except TimeoutError:
            pass
        return self._has_accepted

    def tell(self, post: Callable[[Signal], None]) -> None:
        """From now on all that happens to them is told to `post`, last of all their Ended."""
        if self._post is None:
            self._spawn(self._pass_on())
        self._post = post

    @property
    def masked(self) -> str:
        """Who they are, for others to read."""
        return self.agent or mask(self.leg.called, PersonalDataClass.PERSONAL)

    async def quietly(self, work: Coroutine[None, None, None]) -> None:
        """Ask it of the leg; that it has ended is told elsewhere, and what its phone refuses is only logged."""
        try:
            await work
        except LegEndedError:
            return
        except SipError as error:
            log.info("phone_refused", problem=str(error))

    async def close(self) -> None:
        """Hang up, or take the call back where it was not answered. Harmless when they have hung up."""
        self._is_closed = True
        self.speaker.abandon()
        with contextlib.suppress(LegEndedError, SipError):  # they were quicker; or the leg ends by itself
            await self.leg.hang_up()
        self._ears.forget(self.leg.channel)
        self.inbox.end()

    async def _pass_on(self) -> None:
        assert self._post  # noqa: S101 - `tell` begins this
        with contextlib.suppress(CallEnded):
            while True:
                if signal := await self.inbox.next(None):
                    self._post(Told(self, signal))
        if self.ended:
            self._post(Told(self, self.ended))

    async def _watch(self, leg: Leg) -> None:
        async for event in leg.events():
            match event:
                case Replaced(by=heir):  # they have taken the call to another phone
                    self.leg, self.sound = heir, Sound(heir.channel)
                    self._ears.listen(heir.channel, self._hear)
                    self._spawn(self._watch(heir))
                    self.inbox.post(event)
                    if self._is_closed:  # they took it in the very moment in which we let them go
                        self._spawn(self.quietly(heir.hang_up()))
                case Ended() if leg is self.leg:
                    self.ended = event
                    self.speaker.abandon()
                    self.inbox.end()
                case _ if leg is self.leg:
                    self.inbox.post(event)
        self._ears.forget(leg.channel)
        self._over(leg)

    def _hear(self, event: AudioEvent) -> None:
        match event:
            case KeyDown():
                self._soon(self.leg.key_down(event.key, event.at_ns))
            case KeyUp():
                self._soon(self.leg.key_up(event.at_ns))
            case ToneBegun() if event.kind in HUNG_UP and self._post:  # before, it is their line's busy tone
                self._soon(self.leg.gone())
            case Level() | ToneBegun() | ToneEnded():
                pass
            case _:
                self.inbox.post(event)

    def _soon(self, work: Coroutine[None, None, None]) -> None:
        async def ask() -> None:
            with contextlib.suppress(LegEndedError):
                await work

        self._spawn(ask())
