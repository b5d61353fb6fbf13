"""A worker process: SIP, audio, Vosk and flows for as many calls as one SIP stack carries."""

import asyncio
import contextlib
import functools
import os
import signal
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

import httpx
import structlog

from voiceedge import tls
from voiceedge.audio import synthesis
from voiceedge.audio.pipeline import Pipeline
from voiceedge.audio.prompts import PromptLibrary
from voiceedge.audio.recording import Recorder
from voiceedge.audio.sealed import sweep
from voiceedge.audio.silero import Silero
from voiceedge.clock import Clock
from voiceedge.config import Config, Sip
from voiceedge.connectors.service import Connectors
from voiceedge.context.cloudevents import StampedEvent
from voiceedge.context.privacy.pii import pseudonym, pseudonym_key
from voiceedge.context.publishing.journal import Outgoing, QueueJournal
from voiceedge.edge.between import paths
from voiceedge.edge.between.link import LinkClient, LinkServer
from voiceedge.edge.between.member import Facts, Reporter
from voiceedge.edge.between.process_name import process_name
from voiceedge.edge.blueprint import Blueprint
from voiceedge.edge.call.calling_back import CallBacks
from voiceedge.edge.call.calling_out import CallsOut
from voiceedge.edge.call.counting import LinkCaps
from voiceedge.edge.call.ears import WorkerEars
from voiceedge.edge.call.line import channel_settings
from voiceedge.edge.call.lines import Lines
from voiceedge.edge.call.live_view import LiveView
from voiceedge.edge.call.origin import AGENT_HEADER, wanted_headers
from voiceedge.edge.call.outbound_desk import OutboundDesk
from voiceedge.edge.call.phones import Phones
from voiceedge.edge.call.queue_desk import QueueDesk
from voiceedge.edge.call.sending_on import SendingOn
from voiceedge.edge.call.session import INTERNAL_ERROR, Session
from voiceedge.edge.call.surroundings import Surroundings
from voiceedge.edge.call.tickets import TicketOffice
from voiceedge.edge.call.transcript import Transcripts
from voiceedge.edge.call.voice import WorkerVoice
from voiceedge.edge.front.place import LOOPBACK, free_port
from voiceedge.edge.rooms import keeping
from voiceedge.edge.rooms.typing_room import TypedAnswers
from voiceedge.edge.tracing.asking import Tracing
from voiceedge.errors import ConfigError, FlowError, LegEndedError, SipError
from voiceedge.flow.book import FlowBook
from voiceedge.flow.look_up import SiteLookUps
from voiceedge.flow.outside import Outside
from voiceedge.sip.endpoint import SipEndpoint
from voiceedge.sip.leg import Leg
from voiceedge.speech.streaming import VoskModel
from voiceedge.switch.plan import load_plan
from voiceedge.switch.routing import Router

INGEST_S = 10.0
FAREWELL_S = 2.0  # of the time to stop: for the calls' last words …
RECORDINGS_S = 1.0  # … what of them is not yet on disk …
FLUSH_S = 3.0  # … and for the last events
RETIRED_FLUSH_S = 60.0  # for those of a worker that nobody waits for

log = structlog.get_logger()


async def main(
    blueprint: Blueprint,
    clock: Clock,
    reporter: Reporter,
    before: Facts,
    *,
    vosk: VoskModel | None,
    silero: Silero | None,
    prepare_media: Callable[[], None],
) -> None:
    """`before` holds the SIP port of a predecessor: without a front it is kept, so that the world finds it again.

    SIGUSR1: end with the last call. Behind the front no new call is taken meanwhile, as others take them.
    """
    config, sip = blueprint.config, _sip(blueprint, reporter.seat, before)
    connectors = Connectors.load(config.connectors.file, clock)
    book, switch = _book(config, connectors), load_plan(config.switch.plan)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, book.reload)
    control, speech = LinkClient(paths.control_socket(config)), LinkClient(paths.speech_socket(config))
    outgoing = Outgoing(clock)
    customer_of = functools.partial(_customer, key=pseudonym_key(config.site.data_dir))
    recorder = await _recorder(config)
    holder = process_name(os.getpid())

    async def send(events: Sequence[StampedEvent]) -> None:
        dumped = [event.model_dump(mode="json") for event in events]
        await control.request("ingest", {"events": dumped, "holder": holder}, timeout_s=INGEST_S)

    async with httpx.AsyncClient(verify=tls.client_context()) as http, connectors, asyncio.TaskGroup() as group:
        draining = group.create_task(outgoing.drain(send))
        voice = WorkerVoice(_library(config), speech)
        caps = LinkCaps(control, clock)
        lines = Lines(
            config,
            switch,
            voice=voice,
            caps=caps,
            clock=clock,
            group=group,
            phones=Phones(control, clock, reporter.name),
        )
        ears = WorkerEars(vosk, speech, config.speech.decide_s)
        around = Surroundings(
            config=config,
            plan=switch,
            router=Router(switch, config.flows, clock),
            clock=clock,
            book=book,
            ears=ears,
            voice=voice,
            recorder=recorder,
            lines=lines,
            queues=QueueDesk(control, clock),
            transcripts=Transcripts(ears, lines.spawn) if config.speech.transcribe_talks else None,
            tickets=TicketOffice(
                control, clock, continue_numbers=config.context.continue_numbers, customer_of=customer_of
            ),
            look_ups=SiteLookUps(http, clock, connectors),
            journal_of=lambda conversation: QueueJournal(outgoing, conversation, clock),
            customer_of=customer_of,
        )
        switchboard = Switchboard(around, group, silero)
        endpoint = SipEndpoint(
            sip,
            switchboard.pipeline,
            switchboard.take,
            proxy=(LOOPBACK, blueprint.inner_port) if blueprint.front else None,
            most_incoming=blueprint.calls_each,
            prepare=prepare_media,
            pulse=Pulse(reporter, switchboard),
        )
        renewing = group.create_task(_renew(caps, lines.phones))
        lines.open(endpoint)
        await endpoint.start()

        def retire() -> None:
            if blueprint.front:
                endpoint.take_no_more()
            switchboard.retire()

        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, retire)
        flush_s = FLUSH_S
        try:
            calls_each = min(endpoint.capacity, blueprint.calls_each or endpoint.capacity)
            tracing = Tracing(around.known_legs, endpoint.traced)
            call_backs = CallBacks(around, switchboard.begin)
            out = CallsOut(
                around,
                OutboundDesk(control, clock),
                switchboard.begin,
                switchboard.serving,
                lambda: switchboard.stopping,
            )
            handlers = {
                **call_backs.handlers(),
                **out.handlers(),
                **LiveView(
                    lambda: [*switchboard.sessions(), *call_backs.calls()], around.tally, outgoing, connectors
                ).handlers,
                **tracing.handlers,
                **TypedAnswers(switchboard.sessions).handlers,
                **SendingOn(lines).handlers,
            }
            async with LinkServer(paths.worker_socket(config, reporter.name), handlers):
                reporter.ready({"sip_port": endpoint.port, "capacity": endpoint.capacity, "calls_each": calls_each})
                await switchboard.retired()
            flush_s = RETIRED_FLUSH_S
        finally:
            switchboard.stopping = True
            await endpoint.stop()
            await switchboard.all_over(FAREWELL_S)
            await asyncio.to_thread(recorder.stop, RECORDINGS_S)
            await outgoing.flushed(flush_s)
            renewing.cancel()
            draining.cancel()


def _customer(number: str, key: bytes) -> str | None:
    return pseudonym(number, key) if any(map(str.isdigit, number)) else None


async def _renew(caps: LinkCaps, phones: Phones) -> None:
    """What control knows of our calls lasts only for as long as it hears of them."""
    async with asyncio.TaskGroup() as group:
        group.create_task(caps.run())
        group.create_task(phones.tell_forever())


def _sip(blueprint: Blueprint, seat: int, before: Facts) -> Sip:
    """The SIP settings of the worker in this seat."""
    sip = blueprint.config.sip
    free = free_port(LOOPBACK, sip.rtp_ports) if blueprint.front else 0
    own = {
        "port": free or sip.port or before.get("sip_port", 0),
        "rtp_ports": blueprint.rtp_ports(seat),
        "headers_in": wanted_headers(sip.headers_in, behind_front=blueprint.front),
        "max_calls": None if blueprint.front else sip.max_calls,  # the front counts all workers' calls
    }
    return sip.model_copy(update=own)


def _library(config: Config) -> PromptLibrary:
    return PromptLibrary(paths.prompt_cache(config), synthesis.choose(config.prompts, config.site.data_dir))


async def _recorder(config: Config) -> Recorder:
    await asyncio.to_thread(sweep, paths.drafts(config))  # of a predecessor that was killed
    return Recorder(vault=keeping.vault(config))


def _book(config: Config, connectors: Connectors) -> FlowBook:
    try:
        return FlowBook(config.flows.dir, config.flows.values, Outside(connectors.profiles))
    except FlowError as error:
        raise ConfigError(str(error)) from error


class Pulse:
    """The worker's heartbeat, driven by the SIP pump so that it stops with it; tells the number of calls too."""

    def __init__(self, reporter: Reporter, switchboard: "Switchboard") -> None:
        self._reporter, self._switchboard = reporter, switchboard
        self._told = 0

    def __call__(self) -> None:
        calls = self._switchboard.calls
        if calls == self._told:
            self._reporter.beat()
        else:
            self._told = calls
            self._reporter.tell({"calls": calls})


class Switchboard:
    """The calls of this worker, each with what it hears."""

    def __init__(self, around: Surroundings, group: asyncio.TaskGroup, silero: Silero | None = None) -> None:
        self.pipeline = Pipeline(channel_settings(around.config.audio), silero)
        self.stopping = False
        self._around, self._group = around, group
        self._sessions: dict[int, Session] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._retiring, self._empty = False, asyncio.Event()
        asyncio.get_running_loop().add_reader(self.pipeline.fileno(), self._hear)

    @property
    def calls(self) -> int:
        return len(self._tasks)

    def sessions(self) -> list[Session]:
        return list(self._sessions.values())

    def take(self, leg: Leg) -> None:
        self._around.tally.taken += 1
        self.begin(self._serve(leg))

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """A call: it counts as one, and a worker that retires waits for its end."""
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    @contextlib.contextmanager
    def serving(self, leg: Leg, session: Session) -> Iterator[None]:
        """What is heard on the leg is told to the session meanwhile."""
        self._sessions[id(leg.channel)] = session
        try:
            yield
        finally:
            del self._sessions[id(leg.channel)]

    def retire(self) -> None:
        self._retiring = True
        if not self._tasks:
            self._empty.set()

    async def retired(self) -> None:
        """Wait until it is asked to retire and no call is left."""
        await self._empty.wait()

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._retiring and not self._tasks:
            self._empty.set()

    async def all_over(self, within_s: float) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within_s)

    async def _serve(self, leg: Leg) -> None:
        try:
            session = Session(leg, self._around, lambda: self.stopping)
            lines = self._around.lines
            with self.serving(leg, session), lines.phones.on_a_call(lines.phone_of(leg.headers.get(AGENT_HEADER))):
                await session.run()
        except Exception:
            log.exception("call_lost")  # this call only: the others know nothing of it
            with contextlib.suppress(LegEndedError, SipError):
                await leg.hang_up(INTERNAL_ERROR)

    def _hear(self) -> None:
        for event in self.pipeline.read_events():
            if session := self._sessions.get(id(event.channel)):
                session.hear(event)
            else:
                self._around.lines.hear(event)
