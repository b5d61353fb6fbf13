"""One call from INVITE to its last event: binds a leg to a flow, and cleans up in one place however it ends."""

import asyncio
import contextlib
import functools
import time
from collections.abc import Callable, Coroutine
from typing import ClassVar, Literal

import structlog

from voiceedge.audio.channel import ChannelStats
from voiceedge.audio.events import AudioEvent, KeyDown, KeyUp, Level, ToneBegun, ToneEnded
from voiceedge.audio.tones import ToneKind
from voiceedge.connectors.answers import Answer
from voiceedge.context.cloudevents import new_id
from voiceedge.context.events.call import CallAnswered, CallEnded, CallStarted, Cause, ToneHeard
from voiceedge.context.privacy.pii import FEWEST_DIGITS_KEPT_OF, PersonalDataClass, mask, mask_text
from voiceedge.edge.between.link import Head
from voiceedge.edge.call import agent_codes
from voiceedge.edge.call.customer import Caller
from voiceedge.edge.call.dialling import Dialling
from voiceedge.edge.call.hearing import Hearing
from voiceedge.edge.call.inbox import Inbox
from voiceedge.edge.call.line import HUNG_UP, LineQuality
from voiceedge.edge.call.live_call import LiveCall
from voiceedge.edge.call.origin import Origin, origin_of
from voiceedge.edge.call.queueing import Queueing
from voiceedge.edge.call.recordings import CallRecordings
from voiceedge.edge.call.sound import Sound
from voiceedge.edge.call.speaker import Speaker
from voiceedge.edge.call.surroundings import Surroundings
from voiceedge.edge.call.voicemail import Mailboxes
from voiceedge.errors import LegEndedError, NativeError, SipError
from voiceedge.flow.book import Flows
from voiceedge.flow.engine import FlowRun
from voiceedge.flow.look_up import LookUps, Query, Request
from voiceedge.sip.events import Ended
from voiceedge.sip.leg import Leg
from voiceedge.switch.direct import direct
from voiceedge.switch.numbers import is_anonymous
from voiceedge.switch.routing import Destination

TEMPORARILY_UNAVAILABLE, INTERNAL_ERROR = 480, 500

log = structlog.get_logger()


class PatientLookUps:
    """Asks other systems for as long as the caller waits for their answer."""

    def __init__(self, look_ups: LookUps, inbox: Inbox) -> None:
        self._look_ups, self._inbox = look_ups, inbox

    async def ask(self, wish: Request | Query) -> Answer:
        return await self._inbox.unless_over(self._look_ups.ask(wish))


class Session:
    role: ClassVar[Literal["caller", "other"]] = "caller"  # in the leg's record

    def __init__(
        self,
        leg: Leg,
        around: Surroundings,
        stopping: Callable[[], bool],
        *,
        origin: Origin | None = None,
        conversation: str | None = None,
    ) -> None:
        """`origin` of a call that did not come in, `conversation` of one that goes on."""
        self._leg, self._around, self._stopping = leg, around, stopping
        self.inbox = Inbox(around.clock)
        self._line = LineQuality(leg.channel.rate)
        self._stats: ChannelStats | None = None
        self._helpers: asyncio.TaskGroup | None = None  # while the leg lasts
        self._began = around.clock.monotonic()
        self._answered: float | None = None
        self._set_up_ms = 0.0  # INVITE received to 200 sent
        self._unanswered: Exception | None = None
        self._ended: Ended | None = None
        self._outcome: str | None = None
        self._flow = ""
        self._run: FlowRun | None = None
        self._call: LiveCall | None = None
        self._is_refused = False
        self._origin = origin or origin_of(
            leg.called, leg.caller, leg.headers, around.plan, around.config.sip.headers_in, leg.remote_uri
        )
        self._facts = self._origin.facts(leg.id, conversation or new_id(around.clock), leg.called)
        self._journal = around.journal_of(self._facts.conversation_id)
        self._legs = around.legs_of(self._facts.conversation_id)

    async def run(self) -> None:
        """Serve the call to its end. Whatever goes wrong ends this call only."""
        call, around = self._origin.call, self._around
        destination = agent_codes.DESTINATION if agent_codes.is_agent_code(call) else around.router.route(call)
        flows, flow = self._flow_to(destination)
        self._flow = flow
        self._legs.open(self._leg, role=self.role, trunk=call.trunk)
        with structlog.contextvars.bound_contextvars(conversation=self._facts.conversation_id):
            if destination.kind != "reject" and destination is not agent_codes.DESTINATION:
                await self._answer_at_once()
            self._journal.record(
                CallStarted(
                    call_id=self._leg.id,
                    direction="in",
                    caller=self._caller,
                    customer=self._around.customer_of(self._facts.caller),
                    called=self._called,
                    flow=flow,
                    trunk=self._origin.call.trunk or None,
                ),
                {"number": self._facts.caller} if self._facts.attestation == "passed" else None,
            )
            log.info("routed", to=destination.kind, by=destination.by)
            if destination.kind == "reject":
                await self._live(self._refuse(destination.code))
            elif destination is agent_codes.DESTINATION:
                await self._live(self._obey())
            else:
                await self._live(self._serve(flows, flow))

    async def _live(self, work: Coroutine[None, None, None]) -> None:
        """Do it while the leg lasts, which is over, and told, at its end."""
        try:
            async with asyncio.TaskGroup() as self._helpers:
                self._helpers.create_task(self._watch())  # to the leg's end, which is always reported
                await work
                await self._let_go()
        finally:
            self._helpers = None
            self._note_end()
            self._note_line()

    async def _obey(self) -> None:
        call, around = self._origin.call, self._around
        await self._serve(await agent_codes.obey(around.queues, call, around.config.site.language), self._flow)

    def _flow_to(self, destination: Destination) -> tuple[Flows, str]:
        if destination.kind == "flow":
            return self._around.book.flows, destination.name
        if destination.kind == "reject":
            return {}, "reject"
        flow = direct(destination, self._around.config.site.language)
        return {flow.name: flow}, flow.name

    async def _refuse(self, code: int) -> None:
        self._is_refused = True
        with contextlib.suppress(LegEndedError, SipError):
            await self._leg.hang_up(code)

    @functools.cached_property
    def _called(self) -> str:
        """As others may see it: a number of ours as it is, a person's whom an agent or we have called by its end."""
        called = agent_codes.shown(self._leg.called)
        is_persons = self._leg.is_placed or self._origin.call.agent
        long = sum(map(str.isdigit, called)) >= FEWEST_DIGITS_KEPT_OF
        return mask(called, PersonalDataClass.PERSONAL) if is_persons and long else called

    @functools.cached_property
    def _caller(self) -> str:
        """The same of whoever calls: an agent by name."""
        return self._origin.call.agent or mask(self._facts.caller, PersonalDataClass.PERSONAL)

    @property
    def conversation(self) -> str:
        return self._facts.conversation_id

    @property
    def number(self) -> str:
        if self._leg.is_placed:
            return self._leg.called
        return "" if self._origin.is_hidden or is_anonymous(self._facts.caller) else self._facts.caller

    def picture(self) -> Head:
        """As it is now, for whoever looks; the caller's number is masked."""
        now = self._around.clock.monotonic()
        talk = self._around.lines.talks.get(self._leg.number)
        return {
            "conversation": self.conversation,
            "call_id": self._leg.id,
            "direction": "out" if self._leg.is_placed else "in",
            "caller": self._caller,
            "called": self._called,
            "trunk": self._origin.call.trunk or None,
            "flow": self._flow,
            "step": self._run.at if self._run else None,
            "with": talk.partner if talk else None,
            "answered": self._answered is not None,
            "seconds": round(now - self._began, 1),
            "level_dbov": self._line.level_dbov,
        }

    def typed(self, call: str, step: str, text: str | None, choice: str | None) -> bool:
        """The customer answers on a screen beside the call, which is named as events name it."""
        return self._call is not None and mask_text(self._leg.id) == call and self._call.typed(step, text, choice)

    async def end(self) -> None:
        with contextlib.suppress(LegEndedError, SipError):
            await self._leg.hang_up(TEMPORARILY_UNAVAILABLE, "ended by command")

    def hear(self, event: AudioEvent) -> None:
        match event:
            case Level():
                self._line.add(event)
                with contextlib.suppress(NativeError):  # the leg has just ended
                    self._stats = self._leg.channel.stats()
            case KeyDown():
                self._soon(self._leg.key_down(event.key, event.at_ns))
            case KeyUp():
                self._soon(self._leg.key_up(event.at_ns))
            case ToneBegun():
                self._hear_tone(event.kind, event.level_dbov)
            case ToneEnded():
                pass  # a beep is told only so, and means nothing to whoever is called
            case _:
                self.inbox.post(event)

    def _note_tone(self, kind: ToneKind, level_dbov: float) -> None:
        self._journal.record(ToneHeard(call_id=self._leg.id, tone=kind.value, level_dbov=round(level_dbov, 1)))

    def _hear_tone(self, kind: ToneKind, level_dbov: float) -> None:
        self._note_tone(kind, level_dbov)
        if kind in HUNG_UP and self._around.config.audio.hang_up_on_busy:
            self._soon(self._leg.gone())

    def _soon(self, work: Coroutine[None, None, None]) -> None:
        """Ask it of the leg, in order, unless the leg is over before."""

        async def ask() -> None:
            with contextlib.suppress(LegEndedError, SipError):
                await work

        if self._helpers:
            self._helpers.create_task(ask())
        else:
            work.close()

    async def _serve(self, flows: Flows, flow: str) -> None:
        try:
            async with asyncio.TaskGroup() as helpers:
                await self._converse(flows, flow, helpers)
        except* LegEndedError:
            pass  # told by the leg's last event
        except* Exception:
            log.exception("call_failed", flow=flow)
            self._outcome = "failed"

    async def _converse(self, flows: Flows, flow: str, helpers: asyncio.TaskGroup) -> None:
        leg, around = self._leg, self._around
        await self._connect()
        speaker = Speaker(leg.channel, around.voice, self.inbox.post, helpers.create_task)
        recordings = CallRecordings(
            around.recorder, around.config, leg=leg, facts=self._facts, journal=self._journal, clock=around.clock
        )
        call = self._call = self._live_call(speaker, recordings, helpers)
        look_ups = PatientLookUps(around.look_ups, self.inbox)
        run = self._run = FlowRun(flows, flow, call, self._journal, around.clock, look_ups)
        try:
            self._outcome = (await run.run()).outcome
        finally:
            speaker.abandon()  # nobody is there to hear the rest
            await recordings.close()

    async def _answer_at_once(self) -> None:
        """Before anything is written down of the call: the caller waits. What goes wrong is `_connect`'s to tell."""
        try:
            await self._answer()
        except Exception as error:  # noqa: BLE001 - raised again where all that goes wrong in a call is told
            self._unanswered = error

    async def _answer(self) -> None:
        await self._leg.answer({"X-Conversation-Id": self._facts.conversation_id})
        self._answered = self._around.clock.monotonic()
        self._set_up_ms = (time.monotonic_ns() - self._leg.received_ns) / 1e6

    async def _connect(self) -> None:
        if self._unanswered:
            raise self._unanswered
        if self._answered is None:
            await self._answer()
        self._journal.record(CallAnswered(call_id=self._leg.id, set_up_ms=int(self._set_up_ms)))
        self._around.tally.answer(self._set_up_ms)

    def _live_call(self, speaker: Speaker, recordings: CallRecordings, helpers: asyncio.TaskGroup) -> LiveCall:
        leg, around, inbox = self._leg, self._around, self.inbox
        caller = Caller(
            leg=leg,
            facts=self._facts,
            inbox=inbox,
            journal=self._journal,
            legs=self._legs,
            clock=around.clock,
            lines=around.lines,
            recordings=recordings,
            sound=Sound(leg.channel),
            transcripts=around.transcripts,
            customer=around.customer_of(self._facts.caller),
            hops=self._origin.hops,
            is_hidden=self._origin.is_hidden,
        )
        queueing = Queueing(caller, around.queues, speaker)
        return LiveCall(
            leg=leg,
            facts=self._facts,
            inbox=inbox,
            speaker=speaker,
            new_hearing=lambda number, expectation: Hearing(
                number,
                expectation,
                channel=leg.channel,
                ears=around.ears,
                clock=around.clock,
                post=inbox.post,
                spawn=helpers.create_task,
            ),
            tickets=around.tickets,
            dialling=Dialling(caller, queueing),
            queueing=queueing,
            mailboxes=Mailboxes(caller, around.recorder, around.config),
            recordings=recordings,
            journal=self._journal,
            clock=around.clock,
        )

    async def _watch(self) -> None:
        async for event in self._leg.events():
            if isinstance(event, Ended):
                self._ended = event
                self.inbox.end()
                return
            self.inbox.post(event)

    async def _let_go(self) -> None:
        if self._ended is None:
            with contextlib.suppress(LegEndedError, SipError):  # the caller was quicker; or the leg ends by itself
                await self._leg.hang_up(INTERNAL_ERROR)  # a refusal where it was not even answered

    def _note_end(self) -> None:
        self._legs.close(self._leg, role=self.role, trunk=self._origin.call.trunk)
        now = self._around.clock.monotonic()
        end = self._ended or Ended("failed", INTERNAL_ERROR, "internal error")
        cause: Cause = "flow" if end.cause == "us" else end.cause
        if self._stopping() and cause == "flow":
            cause = "shutdown"
        elif self._is_refused and cause == "flow":
            cause = "rejected"
        self._around.tally.ended[cause] += 1
        self._journal.record(
            CallEnded(
                call_id=self._leg.id,
                cause=cause,
                sip_code=end.sip_code,
                reason=end.reason,
                duration_ms=round((now - self._began) * 1000),
                talk_ms=round((now - self._answered) * 1000) if self._answered is not None else 0,
                outcome=self._outcome,
            )
        )

    def _note_line(self) -> None:
        line, stats = self._line, self._stats
        if stats:
            self._around.tally.hear(stats.longest_gap_ms, stats.samples_lost)
            log.info(
                "line",
                level_dbov=line.level_dbov,
                silent_s=line.silent,
                overdriven=line.overdriven,
                echo_delay_ms=line.echo_delay_ms,
                longest_gap_ms=round(stats.longest_gap_ms),
                unjudged_ms=stats.unjudged_ms,
                samples_lost=stats.samples_lost,
                events_dropped=stats.events_dropped,
            )
