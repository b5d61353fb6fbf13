"""Call-backs that control orders: an agent and a customer who kept a place are rung one after the other, and joined."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Literal

import structlog

from voiceedge.clock import sleep
from voiceedge.context.events.call import CallAnswered, CallEnded, CallStarted
from voiceedge.context.privacy.pii import PersonalDataClass, mask
from voiceedge.edge.between.link import Handler, Head
from voiceedge.edge.call import announcing
from voiceedge.edge.call.customer import Caller
from voiceedge.edge.call.leg_record import LegBook
from voiceedge.edge.call.lines import Candidate, Way
from voiceedge.edge.call.party import Party
from voiceedge.edge.call.queue_desk import Report
from voiceedge.edge.call.queueing import AGAIN_S, IN_VAIN, Queueing, sent_on
from voiceedge.edge.call.recordings import CallRecordings
from voiceedge.edge.call.ringing import Ringing
from voiceedge.edge.call.surroundings import Surroundings
from voiceedge.edge.call.talk import Parted, Talk
from voiceedge.errors import LinkError
from voiceedge.flow.call import CallEnded as CallIsOver
from voiceedge.flow.call import CallFacts, DialResult, Enqueue, RecordAction, Utterance
from voiceedge.switch.queues.messages import ENDS, CallBackOrder, TicketState

FIRST = 1

log = structlog.get_logger()


class CalledBack:
    """One call-back, from the order to its end, for whoever looks."""

    def __init__(self, order: CallBackOrder, around: Surroundings) -> None:
        self._order, self._around = order, around
        self._began = around.clock.monotonic()
        self._task = asyncio.current_task()
        self.is_ended = False  # by command
        self.caller: Caller | None = None  # the customer, when they have answered

    @property
    def conversation(self) -> str:
        return self._order.conversation

    @property
    def number(self) -> str:
        return self._order.number

    def picture(self) -> Head:
        caller = self.caller
        talk = self._around.lines.talks.get(caller.leg.number) if caller else None
        return {
            "conversation": self.conversation,
            "call_id": caller.facts.call_id if caller else None,
            "direction": "out",
            "caller": mask(self._order.number, PersonalDataClass.PERSONAL),
            "called": "",
            "trunk": None,
            "flow": self._order.queue,
            "step": "call-back",
            "with": talk.partner if talk else None,
            "answered": caller is not None,
            "seconds": round(self._around.clock.monotonic() - self._began, 1),
            "level_dbov": None,
        }

    async def end(self) -> None:
        if self._task and not self.is_ended:
            self.is_ended = True
            self._task.cancel()


class CallBacks:
    """`begin` runs one as a call of this worker: it counts, and is waited for, as those that came in."""

    def __init__(self, around: Surroundings, begin: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        self._around, self._begin = around, begin
        self._up: dict[str, CalledBack] = {}  # by ticket
        self._lines, self._desk, self._clock = around.lines, around.queues, around.clock
        self._reports: dict[str, Report] = {}  # by ticket, of the orders under way

    def handlers(self) -> dict[str, Handler]:
        async def call_back(head: Head, _: bytes) -> Head:
            self._begin(self._serve(CallBackOrder.model_validate(head)))
            return {}

        return {"call_back": call_back}

    def calls(self) -> list[CalledBack]:
        return list(self._up.values())

    async def _serve(self, order: CallBackOrder) -> None:
        polling = self._lines.spawn(self._keep(order.ticket))
        report = self._reports[order.ticket] = self._desk.report(order.ticket, self._lines.spawn)
        call = self._up[order.ticket] = CalledBack(order, self._around)
        try:
            with structlog.contextvars.bound_contextvars(conversation=order.conversation):
                await (self._agent_first(order) if order.first == "agent" else self._customer_first(order))
        except asyncio.CancelledError:
            if not call.is_ended:
                raise
            await self._desk.customer_failed(order.ticket, "failed")  # unless they talked, which is over
        except Exception:
            log.exception("call_back_failed")  # this one only
        finally:
            del self._reports[order.ticket], self._up[order.ticket]
            self._lines.spawn(report.then(polling.cancel))

    async def _keep(self, ticket: str) -> None:
        """Ask how the ticket stands all the while: that is how control knows that somebody sees to it."""
        seen = ""
        while True:
            try:
                view = await self._desk.wait(ticket, seen)
            except LinkError as error:
                if not error.can_retry:
                    return
                await sleep(self._clock, AGAIN_S)
                continue
            if view.state in ENDS:
                return
            seen = view.seen

    # --- who is rung first ---

    async def _agent_first(self, order: CallBackOrder) -> None:
        agent = await self._ring_agent(order)
        if agent is None:
            return
        try:
            agent.sound.ringing()
            async with self._customer(order, given_up=agent) as customer:
                if customer:
                    agent.sound.quiet()
                    await self._join(order, customer, agent)
        finally:
            self._lines.spawn(agent.close())

    async def _customer_first(self, order: CallBackOrder) -> None:
        async with self._customer(order) as customer:
            if customer is None:
                return
            party, caller = customer
            await party.whisper([announcing.connecting(order.language)])
            caller.sound.music()
            ringing = self._ringing(order)
            agent = await ringing.ring_for(caller.inbox, [self._agent(order)])
            if isinstance(agent, Party):
                try:
                    await self._join(order, customer, agent)
                finally:
                    self._lines.spawn(agent.close())
                return
            self._reports[order.ticket].offer_result(order.agent.name, IN_VAIN[agent])
            await self._wait_like_others(order, party, caller)

    async def _wait_like_others(self, order: CallBackOrder, party: Party, caller: Caller) -> None:
        """Whoever has been called and finds no agent is not sent away, but is the first to be served."""
        self._reports[order.ticket].leave("left")
        wish = Enqueue(order.queue, order.language, priority=FIRST)
        await Queueing(caller, self._desk, party.speaker).wait(wish)

    # --- the two ---

    def _agent(self, order: CallBackOrder) -> Candidate:
        return Candidate((Way(order.agent.uri),), order.agent.name, order.agent.ring_s).showing(order.number)

    def _legs(self, order: CallBackOrder) -> LegBook:
        return self._around.legs_of(order.conversation)

    def _ringing(self, order: CallBackOrder) -> Ringing:
        said = [announcing.call_back_follows(order.language)]
        said += [Utterance(order.whisper, order.language)] if order.whisper else []
        return Ringing(self._lines, self._legs(order), whisper=said)

    async def _ring_agent(self, order: CallBackOrder) -> Party | None:
        ringing = self._ringing(order)
        found = await ringing.ring([self._agent(order)])
        if isinstance(found, Party):
            return found
        result = "no_line" if order.agent.name in ringing.not_placed else IN_VAIN[found]
        self._reports[order.ticket].offer_result(order.agent.name, result)
        return None

    @asynccontextmanager
    async def _customer(
        self, order: CallBackOrder, given_up: Party | None = None
    ) -> AsyncIterator[tuple[Party, Caller] | None]:
        """The customer, as whom others are called for; None where they cannot be reached, which control is told.

        It is over when the agent who waits for them, `given_up`, hangs up.
        """
        candidate = self._lines.find(order.number, caller=order.number)
        found: Party | DialResult = DialResult.REFUSED
        if isinstance(candidate, Candidate):
            ringing = Ringing(self._lines, self._legs(order))
            try:
                found = await (ringing.ring_for(given_up.inbox, [candidate]) if given_up else ringing.ring([candidate]))
            except CallIsOver:
                self._reports[order.ticket].offer_result(order.agent.name, "no_answer")
                yield None
                return
        if isinstance(found, DialResult):
            if given_up:
                with contextlib.suppress(CallIsOver):
                    await given_up.whisper([announcing.not_reached(order.language)])
            await self._desk.customer_failed(order.ticket, IN_VAIN[found])
            yield None
            return
        caller = self._caller(order, found)
        began = self._clock.monotonic()
        ended_by: Literal["caller", "us"] = "us"
        self._up[order.ticket].caller = caller
        self._note_begin(caller, order)
        try:
            yield found, caller
        except CallIsOver:
            ended_by = "caller"
        finally:
            await caller.recordings.close()
            self._lines.spawn(found.close())
            self._note_end(caller, ended_by, self._clock.monotonic() - began)

    def _caller(self, order: CallBackOrder, party: Party) -> Caller:
        facts = CallFacts(party.leg.id, order.conversation, caller=order.number, called=order.number)
        journal, around = self._around.journal_of(order.conversation), self._around
        recordings = CallRecordings(
            around.recorder, around.config, leg=party.leg, facts=facts, journal=journal, clock=self._clock
        )
        return Caller(
            leg=party.leg,
            facts=facts,
            inbox=party.inbox,
            journal=journal,
            legs=self._legs(order),
            clock=self._clock,
            lines=self._lines,
            recordings=recordings,
            sound=party.sound,
            transcripts=around.transcripts,
            customer=around.customer_of(order.number),
        )

    async def _join(self, order: CallBackOrder, customer: tuple[Party, Caller], agent: Party) -> None:
        party, caller = customer
        report = self._reports[order.ticket]
        said = await self._desk.answered(order.ticket, order.agent.name)
        if said and said.state is not TicketState.TALKING:
            return
        if said is None:  # control is away, which is no reason to let either of them wait
            report.offer_result(order.agent.name, "answered")
        if order.record:
            await caller.recordings.take(RecordAction.START)

        def left(_: Party, broke: bool) -> None:  # noqa: ARG001, FBT001 - there is no queue to come back to
            report.talk_over(order.agent.name, back_to_queue=False)

        talk = Talk(caller, order.language, queue=order.queue, left=left)
        if await talk.run(agent, "queue", 0) is Parted.SENT_ON:
            await report.told()
            await Queueing(caller, self._desk, party.speaker).wait(sent_on(talk.sent_to, order.language))

    @staticmethod
    def _note_begin(caller: Caller, order: CallBackOrder) -> None:
        number = mask(order.number, PersonalDataClass.PERSONAL)
        caller.journal.record(
            CallStarted(
                call_id=caller.facts.call_id,
                direction="out",
                caller="",
                customer=caller.customer,
                called=number,
                flow=order.queue,
            )
        )
        caller.journal.record(CallAnswered(call_id=caller.facts.call_id, set_up_ms=0))

    @staticmethod
    def _note_end(caller: Caller, ended_by: Literal["caller", "us"], lasted_s: float) -> None:
        lasted_ms = round(lasted_s * 1000)
        caller.journal.record(
            CallEnded(
                call_id=caller.facts.call_id,
                cause="caller" if ended_by == "caller" else "flow",
                sip_code=200,
                reason="",
                duration_ms=lasted_ms,
                talk_ms=lasted_ms,
                outcome="called_back",
            )
        )
