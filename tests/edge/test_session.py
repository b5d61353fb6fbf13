"""A call that goes wrong inside: it ends for its caller, and nobody else notices."""

import asyncio
from types import SimpleNamespace

import pytest

from voiceedge.audio.recording import Recorder
from voiceedge.clock import RealClock
from voiceedge.config import Config
from voiceedge.context.events.call import CallAnswered, CallEnded, CallStarted
from voiceedge.edge.call.phones import Phones
from voiceedge.edge.call.surroundings import Surroundings
from voiceedge.edge.worker import Switchboard
from voiceedge.errors import LegEndedError, SipError
from voiceedge.flow.book import FlowBook
from voiceedge.sip.events import Ended
from voiceedge.sip.leg import LegTimes
from voiceedge.switch.plan import AgentEntry, Plan, Route, Trunk
from voiceedge.switch.routing import Router

FLOW = """
flow: retail
language: ko
start: hello
steps:
  hello: {say: 안녕하세요., next: bye}
  bye: {hang_up: 안녕히 가세요.}
"""


class Leg:
    """Stands in for a leg of PJSIP's."""

    def __init__(self, pipeline, refusal=None):
        self.id, self.caller, self.called, self.headers, self.received_ns = "c1", "01012345678", "1000", {}, 0
        self.remote_uri = "sip:01012345678@192.0.2.1"
        self.channel = pipeline.channel()
        self.hung_up, self.is_answered, self.code = False, False, 0
        self.ended, self.times, self.is_placed = None, LegTimes(), False
        self._refusal = refusal
        self._over = asyncio.Event()

    async def events(self):
        await self._over.wait()
        yield self.ended

    async def answer(self, _headers):
        if self._refusal:
            raise self._refusal
        self.is_answered = True

    async def hang_up(self, code=0):
        if self.ended:
            raise LegEndedError("over")
        self.hung_up, self.code = True, code
        self.end(Ended("us", code or 200, ""))

    def end(self, ended):
        self.ended = ended
        self.channel.release()
        self._over.set()


class Journal:
    def __init__(self, unwritable=None):
        self.events, self.answered, self._unwritable = [], asyncio.Event(), unwritable

    def record(self, event, conversation=None):
        if type(event) is self._unwritable:
            raise RuntimeError("no pen")
        self.events.append(event)
        if isinstance(event, CallAnswered):
            self.answered.set()


class Voice:
    """Renders for ever, or fails."""

    def __init__(self, fault=None):
        self.library = SimpleNamespace(pieces=lambda utterance: [utterance])
        self._fault = fault

    async def samples(self, _piece):
        if self._fault:
            raise self._fault
        await asyncio.Event().wait()


async def serve(tmp_path, *, leg=None, journal=None, voice=None, hang_up=False, plan=None):
    """One call to a switchboard of its own; returns the leg when the switchboard has forgotten it."""
    (tmp_path / "retail.yaml").write_text(FLOW, encoding="utf-8")
    journal = journal or Journal()
    config, clock, plan = Config(), RealClock(), plan or Plan()
    lines = SimpleNamespace(phones=Phones(None, clock, "worker-1"), phone_of=lambda _: None)
    around = Surroundings(
        config=config, plan=plan, router=Router(plan, config.flows, clock), clock=clock,
        book=FlowBook(tmp_path), ears=None, voice=voice or Voice(), tickets=None,
        recorder=Recorder(), lines=lines,
        queues=None, transcripts=None, look_ups=None, journal_of=lambda _: journal,
        customer_of=lambda _: None,
    )  # fmt: skip
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        switchboard = Switchboard(around, group)
        leg = (leg or Leg)(switchboard.pipeline)
        switchboard.take(leg)
        if hang_up:
            await journal.answered.wait()
            leg.end(Ended("caller", 200, ""))
    asyncio.get_running_loop().remove_reader(switchboard.pipeline.fileno())
    return leg, journal


async def test_a_prompt_that_fails_by_our_own_fault_ends_the_call_and_says_so(tmp_path):
    leg, journal = await serve(tmp_path, voice=Voice(RuntimeError("a bug")))
    assert leg.hung_up
    assert isinstance(journal.events[-1], CallEnded)
    assert journal.events[-1].outcome == "failed"


@pytest.mark.parametrize("unwritable", [CallStarted, CallAnswered, CallEnded])
async def test_an_event_that_cannot_be_made_ends_its_call_only(tmp_path, unwritable):
    leg, _ = await serve(tmp_path, journal=Journal(unwritable), voice=Voice(RuntimeError("so that it ends")))
    assert leg.hung_up


@pytest.mark.parametrize("refusal", [SipError("not now"), LegEndedError("gone"), RuntimeError("a bug")])
async def test_a_leg_that_cannot_be_answered_is_let_go(tmp_path, refusal):
    leg, journal = await serve(tmp_path, leg=lambda pipeline: Leg(pipeline, refusal))
    assert leg.hung_up
    assert isinstance(journal.events[-1], CallEnded)


async def test_what_is_still_being_rendered_does_not_outlive_the_call(tmp_path):
    leg, journal = await serve(tmp_path, hang_up=True)
    assert not leg.hung_up
    assert journal.events[-1].cause == "caller"


async def test_a_call_that_the_plan_refuses_is_never_answered(tmp_path):
    plan = Plan(routes=(Route(called="*", reject=486),))
    leg, journal = await serve(tmp_path, plan=plan)
    assert (leg.is_answered, leg.code) == (False, 486)
    started, record, ended = journal.events
    assert (started.flow, started.trunk) == ("reject", None)
    assert (record.role, record.direction, record.far_end, record.answered_at) == ("caller", "in", "***5678", None)
    assert (ended.cause, ended.sip_code, ended.talk_ms) == ("rejected", 486, 0)


async def test_the_plan_chooses_the_flow_and_the_event_names_the_trunk(tmp_path):
    class FromTheCarrier(Leg):
        def __init__(self, pipeline):
            super().__init__(pipeline)
            self.headers = {"X-VoiceEdge-Trunk": "carrier", "User-to-User": "x"}

    carrier = Trunk(addresses=("198.51.100.10",))
    plan = Plan(trunks={"carrier": carrier}, routes=(Route(trunk="carrier", flow="retail"), Route(reject=403)))
    leg, journal = await serve(tmp_path, leg=FromTheCarrier, plan=plan, voice=Voice(RuntimeError("enough")))
    assert leg.is_answered
    assert (journal.events[0].flow, journal.events[0].trunk) == ("retail", "carrier")


async def test_whom_an_agent_calls_is_nobodys_business_and_which_number_of_ours_was_called_is(tmp_path):
    class FromAPhone(Leg):
        def __init__(self, pipeline):
            super().__init__(pipeline)
            self.called, self.headers = "01098765432", {"X-VoiceEdge-Agent": "kim"}

    class ToUs(Leg):
        def __init__(self, pipeline):
            super().__init__(pipeline)
            self.called = "0215881234"

    plan = Plan(agents={"kim": AgentEntry(phone="1001")}, routes=(Route(called="01098765432", reject=486),))
    _, journal = await serve(tmp_path, leg=FromAPhone, plan=plan)
    assert (journal.events[0].caller, journal.events[0].called) == ("kim", "***5432")
    _, journal = await serve(tmp_path, leg=ToUs, plan=Plan(routes=(Route(reject=486),)))
    assert journal.events[0].called == "0215881234"
