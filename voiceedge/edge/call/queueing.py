"""A flow's `queue` on a live call: waits with music for an agent, tells the place, rings whom control offers."""

import asyncio
from collections.abc import Mapping
from typing import Literal

import structlog

from voiceedge.audio.comfort import Pcm
from voiceedge.audio.events import Played
from voiceedge.clock import sleep
from voiceedge.edge.call import announcing
from voiceedge.edge.call.announcing import CALL_BACK_KEY, LEAVE_KEY
from voiceedge.edge.call.customer import Caller
from voiceedge.edge.call.inbox import Rung, Seen, Signal
from voiceedge.edge.call.lines import Candidate, Way
from voiceedge.edge.call.number_wish import NumberWish, Wish
from voiceedge.edge.call.party import Party
from voiceedge.edge.call.queue_desk import QueueDesk
from voiceedge.edge.call.ringing import Background, Ringing
from voiceedge.edge.call.speaker import Speaker
from voiceedge.edge.call.talk import Parted, Talk
from voiceedge.errors import LinkError
from voiceedge.flow.call import CallEnded, DialResult, Enqueue, QueueResult, RecordAction, Utterance
from voiceedge.sip.events import Key
from voiceedge.switch.queues.messages import ENDS, Join, TicketState, View

AGAIN_S = 1.0  # after control could not be asked how the ticket stands
FIRST = 1  # the priority of somebody whose agent's line broke, or whom an agent has sent on

_ENDS: Mapping[TicketState, QueueResult] = {
    TicketState.FULL: QueueResult.FULL,
    TicketState.CLOSED: QueueResult.CLOSED,
    TicketState.NO_AGENT: QueueResult.CLOSED,
    TicketState.TIMEOUT: QueueResult.TIMEOUT,
    TicketState.LEFT: QueueResult.LEFT,
}
IN_VAIN: Mapping[DialResult, Literal["busy", "no_answer", "failed"]] = {
    DialResult.BUSY: "busy",
    DialResult.REFUSED: "no_answer",
    DialResult.NO_ANSWER: "no_answer",
    DialResult.FAILED: "failed",
}

FIRST_VIEW_S = 1.0  # until control has told the place

log = structlog.get_logger()


class Queueing:
    def __init__(self, caller: Caller, desk: QueueDesk, speaker: Speaker) -> None:
        self._caller, self._desk, self._speaker = caller, desk, speaker

    async def wait(self, wish: Enqueue) -> QueueResult:
        """Raises CallEnded."""
        entry = self._caller.lines.plan.queues.get(wish.queue)
        if entry is None:
            log.warning("queue_failed", queue=wish.queue, remedy="add it under [queues] of the switch plan")
            return QueueResult.FAILED
        music = await asyncio.to_thread(self._desk.music, entry.music)
        self._speaker.start([announcing.connecting(wish.language)])
        priority = wish.priority
        result: QueueResult | None = None
        try:
            while result is None:
                self._caller.sound.music(music)
                joined = await self._ticket(wish, priority)
                if isinstance(joined, QueueResult):
                    return joined
                place = self._place(wish, music, joined)
                result = await place.wait()
                if place.sent_to:
                    return await self.wait(sent_on(place.sent_to, wish.language))
                priority = FIRST  # control has forgotten the caller, or takes a talk that broke for over
            return result
        finally:
            self._caller.sound.quiet()
            if not self._caller.leg.ended:
                await self._speaker.stop()

    def _place(self, wish: Enqueue, music: Pcm, ticket: str) -> "_Place":
        return _Place(self._caller, self._desk, self._speaker, wish=wish, music=music, ticket=ticket)

    async def _ticket(self, wish: Enqueue, priority: int | None) -> str | QueueResult:
        """Whoever hangs up meanwhile leaves the queue when they have come into it."""
        joining = self._caller.lines.begin(self._join(wish, priority))

        def leave(joined: "asyncio.Task[str | QueueResult]") -> None:
            if not joined.cancelled() and isinstance(joined.result(), str):
                self._desk.report(str(joined.result()), self._caller.lines.spawn).leave("abandoned")

        try:
            return await self._caller.inbox.unless_over(_done(joining))
        except CallEnded:
            joining.add_done_callback(leave)
            raise

    async def _join(self, wish: Enqueue, priority: int | None) -> str | QueueResult:
        """The ticket, or why there is none."""
        facts = self._caller.facts
        try:
            joined = await self._desk.join(
                Join(
                    queue=wish.queue,
                    call=facts.call_id,
                    conversation=facts.conversation_id,
                    caller_hash=self._caller.customer,
                    priority=priority,
                    skills=dict(wish.skills),
                    language=wish.language,
                )
            )
        except LinkError as error:
            log.warning("queue_failed", queue=wish.queue, problem=str(error))
            return QueueResult.FAILED
        return joined.ticket if joined.state not in ENDS else _ENDS.get(joined.state, QueueResult.FAILED)


class _Place:
    """One ticket, from the place in the queue to the end of the talk."""

    def __init__(
        self, caller: Caller, desk: QueueDesk, speaker: Speaker, *, wish: Enqueue, music: Pcm, ticket: str
    ) -> None:
        self._caller, self._desk, self._speaker = caller, desk, speaker
        self._wish, self._music, self._ticket = wish, music, ticket
        self._clock, self._inbox, self._lines = caller.clock, caller.inbox, caller.lines
        self._report = desk.report(ticket, caller.lines.spawn)
        self._rings = Background(caller.lines, caller.inbox.post)
        self._number: NumberWish | None = None  # while it is being asked for
        self._view: View | None = None
        self._began = self._announce_at = self._clock.monotonic()
        self._is_over = False
        self._result: QueueResult | None = None
        self._must_leave = True  # whoever just goes must say so
        self.sent_to = ""  # the queue in which the caller goes on

    async def wait(self) -> QueueResult | None:
        """None: the place is lost, and the caller may join again. Raises CallEnded."""
        polling = self._lines.spawn(self._poll())
        try:
            while not self._is_over:
                await self._take(await self._inbox.next(self._patience_s()))
            return self._result
        finally:
            self._rings.stop()
            if self._must_leave:
                self._report.leave("abandoned")
            self._lines.spawn(self._report.then(polling.cancel))

    async def _take(self, signal: Signal | None) -> None:
        match signal:
            case None if self._number:
                await self._wished(self._number, self._number.paused())
            case None:
                self._announce()
            case Seen(view=view):
                self._see(view)
            case Rung():
                await self._rung(self._rings.claim(signal))
            case Key(key=key) if self._number:
                await self._wished(self._number, self._number.key(key))
            case Key(key=key):
                await self._key(key)
            case Played():
                self._speaker.played(signal)

    def _end(self, result: QueueResult | None, *, must_leave: bool = False) -> None:
        self._is_over, self._result, self._must_leave = True, result, must_leave

    # --- the ticket ---

    async def _poll(self) -> None:
        seen = ""
        while True:
            try:
                view = await self._desk.wait(self._ticket, seen)
            except LinkError as error:
                if not error.can_retry:
                    log.warning("queue_forgot", problem=str(error))
                    self._post(None)
                    return
                await sleep(self._clock, AGAIN_S)  # with the same ticket: the place is kept
                continue
            seen = view.seen
            self._post(view)
            if view.state in ENDS:
                return

    def _post(self, view: View | None) -> None:
        if not self._is_over:  # else the caller may have another ticket already
            self._inbox.post(Seen(view))

    def _see(self, view: View | None) -> None:
        self._view = view
        if view is None or (view.state in ENDS and view.state not in _ENDS):
            self._end(None)
        elif view.state in _ENDS:
            self._end(_ENDS[view.state])
        elif view.state is not TicketState.OFFERED:
            self._rings.stop()
        elif not self._rings.active:
            self._ring(view)

    # --- agents ---

    def _ring(self, view: View) -> None:
        shown = self._caller.shown
        candidates = [Candidate((Way(agent.uri),), agent.name, agent.ring_s).showing(shown) for agent in view.agents]
        said = Utterance(view.whisper, self._wish.language) if view.whisper else None
        whisper = self._wish.whisper or ((said,) if said else ())
        ringing = Ringing(
            self._lines, self._caller.legs, whisper=whisper, told=lambda one, why: tell(one.agent or "", why)
        )

        def tell(agent: str, why: DialResult) -> None:
            self._report.offer_result(agent, "no_line" if agent in ringing.not_placed else IN_VAIN[why])

        self._rings.start(ringing, candidates)

    async def _rung(self, found: Party | DialResult | None) -> None:
        if not isinstance(found, Party):
            return  # each of them was told of; control offers somebody else
        agent = found.agent or ""
        kept = False
        try:
            said = await self._inbox.unless_over(self._desk.answered(self._ticket, agent))
            if said is None:  # control is away, which is no reason to let either of them wait
                self._report.offer_result(agent, "answered")
            if said is None or said.state is TicketState.TALKING:
                await self._speaker.stop()
                kept = True
        finally:
            if not kept:  # it came too late, or the caller has gone
                self._lines.spawn(found.close())
        if kept:
            await self._talk(found)

    async def _talk(self, agent: Party) -> None:
        self._number, self._must_leave = None, False
        recordings = self._caller.recordings
        recorded = bool(self._view and self._view.record) and not recordings.running
        if recorded:
            await recordings.take(RecordAction.START)
        wait_ms = round((self._clock.monotonic() - self._began) * 1000)
        talk = Talk(self._caller, self._wish.language, queue=self._wish.queue, left=self._left)
        parted = await talk.run(agent, "queue", wait_ms)
        if recorded:
            await recordings.take(RecordAction.STOP)
        if parted is Parted.HUNG_UP:
            self._end(QueueResult.TALKED)
            return
        if parted is Parted.SENT_ON:
            self._end(None)
            self.sent_to = talk.sent_to
            await self._inbox.unless_over(self._report.told())  # else the same queue would give the old place
            return
        self._must_leave = True
        self._began = self._announce_at = self._clock.monotonic()
        self._caller.sound.music(self._music)

    def _left(self, agent: Party, broke: bool) -> None:  # noqa: FBT001 - a callback
        self._report.talk_over(agent.agent or "", back_to_queue=broke)

    # --- what the caller hears and keys ---

    def _patience_s(self) -> float:
        if self._number:
            return self._number.patience_s
        return max(0.0, self._announce_at - self._clock.monotonic())

    def _announce(self) -> None:
        """The place and what can be keyed, now and then; not over something else, nor while an agent's phone rings."""
        view = self._view
        self._announce_at = self._clock.monotonic() + (view.announce_every_s if view else FIRST_VIEW_S)
        if view is None or self._rings.active or self._speaker.busy:
            return
        said = announcing.place(max(1, view.position), view.expected_wait_s, self._wish.language)
        said += announcing.keys(
            may_leave=self._wish.may_leave,
            may_be_called_back=self._may_be_called_back,
            language=self._wish.language,
        )
        self._speaker.start(said)

    @property
    def _may_be_called_back(self) -> bool:
        return self._wish.may_be_called_back and bool(self._view and self._view.may_call_back)

    async def _key(self, key: str) -> None:
        if key == LEAVE_KEY and self._wish.may_leave:
            self._report.leave("left")
            self._end(QueueResult.LEFT)
        elif key == CALL_BACK_KEY and self._may_be_called_back:
            await self._speaker.stop()
            self._number = NumberWish(
                self._caller.facts.caller,
                self._wish.language,
                lambda number: isinstance(self._lines.find(number), Candidate),
            )
            self._speaker.start(self._number.question)

    async def _wished(self, number: NumberWish, wish: Wish) -> None:
        await self._speaker.stop()  # each key does
        if wish is Wish.OPEN:
            if number.question:
                self._speaker.start(number.question)
            return
        self._number = None
        if wish is Wish.CONFIRMED and await self._inbox.unless_over(self._desk.call_back(self._ticket, number.number)):
            self._end(QueueResult.CALL_BACK)
        else:
            self._announce_at = self._clock.monotonic()


def sent_on(queue: str, language: str) -> Enqueue:
    """Whom an agent sends to a queue is served there before those who have talked with nobody yet."""
    return Enqueue(queue, language, priority=FIRST)


async def _done(work: "asyncio.Task[str | QueueResult]") -> str | QueueResult:
    return await asyncio.shield(work)
