"""The queues at work: turns taken one after the other, workers that wait for them, and what time brings.

The store is the truth. Where no other node writes to it, its content is read once and then known.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.clock import Clock, timeout
from voiceedge.context.cloudevents import StampedEvent, new_id
from voiceedge.context.publishing.journal import Outgoing, QueueJournal
from voiceedge.context.storage.database import Database
from voiceedge.errors import StoreError, VoiceEdgeError
from voiceedge.switch.queues import store
from voiceedge.switch.queues.board import Board, QueueError, State
from voiceedge.switch.queues.call_back import Dial
from voiceedge.switch.queues.engaged import Engaged
from voiceedge.switch.queues.leases import Leases
from voiceedge.switch.queues.logins import Logins
from voiceedge.switch.queues.messages import (
    AgentChange,
    AgentDialled,
    AgentLogin,
    AgentState,
    AgentView,
    CallBack,
    CallBackOrder,
    CustomerResult,
    Join,
    Joined,
    Leave,
    Noted,
    OfferResult,
    PhonesBusy,
    Said,
    TalkOver,
    TicketState,
    View,
    Wait,
)
from voiceedge.switch.queues.model import Ticket
from voiceedge.switch.queues.nodes import GONE_S, SILENT_S, Nodes
from voiceedge.switch.queues.pace import PACED_BY, Pace
from voiceedge.switch.queues.picture import Picture
from voiceedge.switch.queues.rules import Rules

POLL_S = 25.0
BEAT_S = 1.0  # while anything waits for time to pass, or for another node
IDLE_BEAT_S = 10.0
PRUNE_EVERY_S = 3_600.0
KEPT = timedelta(days=2)  # closed tickets: the figures go back to midnight
REVIVED = timedelta(minutes=10)  # how long after it was given up a ticket is taken up again
DIAL_S = 10.0
ENDED_KNOWN = 5_000
FLUSH_S = 1.0

LOG_IN, BREAK = "*11", "*13"
DIALLED = {"*12": AgentState.LOGGED_OUT, BREAK: AgentState.BREAK, "*14": AgentState.AVAILABLE}

Result = TypeVar("Result")
Publish = Callable[[Sequence[StampedEvent]], Awaitable[None]]
log = structlog.get_logger()


@dataclass(eq=False, slots=True)
class _Waiter:
    seen: str
    news: asyncio.Event = field(default_factory=asyncio.Event)


class QueueService:
    """`async with QueueService(...) as queues:`. Its methods raise StoreError while the store is away."""

    def __init__(
        self, database: Database, rules: Rules, dial: Dial, publish: Publish, clock: Clock, *, node: str
    ) -> None:
        self._database, self._dial, self._publish, self._clock, self._node = database, dial, publish, clock, node
        self.rules = rules
        self.pace = Pace()
        self._picture = Picture(rules, State(), self.pace)
        self._known = False  # whether the picture is what the store holds
        self._in_turn = asyncio.Lock()
        self._leases, self._logins, self._engaged = Leases(clock), Logins(clock), Engaged()
        self._waiters: dict[str, set[_Waiter]] = {}
        self._ended: OrderedDict[str, Ticket] = OrderedDict()
        self._outgoing = Outgoing(clock)
        self._wake = asyncio.Event()
        self._nodes, self._prune_due = Nodes(node, clock), clock.monotonic()
        self._paced, self._resting = False, True
        self._problem: str | None = None
        self._running = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._tasks = await stack.enter_async_context(asyncio.TaskGroup())
            for work in (self._outgoing.drain(self._publish), self._live()):
                stack.callback(self._tasks.create_task(work).cancel)
            self._running = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._outgoing.flushed(FLUSH_S)
        await self._running.aclose()

    async def use(self, rules: Rules) -> None:
        """The plan has changed: states and places stay."""
        self.rules = rules
        async with self._in_turn:
            await self._take_turn(_nothing, beat=True)

    # What workers ask.

    async def join(self, wish: Join) -> Joined:
        """Raises QueueError where there is no such queue."""
        ticket = await self._turn(lambda board: board.join(wish, new_id(self._clock)))
        return Joined(ticket=ticket.id, state=ticket.state)

    async def wait(self, asked: Wait) -> View:
        with self._leases.renewed(asked.ticket):
            try:
                async with timeout(self._clock, POLL_S):
                    return await self._news(asked)
            except TimeoutError:
                return self._picture.view(await self._ticket(asked.ticket))

    async def offer_result(self, said: OfferResult) -> Said:
        return await self._said(said.ticket, lambda board: board.offer_result(said))

    async def talk_over(self, said: TalkOver) -> Said:
        return await self._said(said.ticket, lambda board: board.talk_over(said))

    async def leave(self, said: Leave) -> Said:
        return await self._said(said.ticket, lambda board: board.leave(said))

    async def call_back(self, said: CallBack) -> Said:
        """Raises QueueError where the queue calls nobody back."""
        return await self._said(said.ticket, lambda board: board.call_back(said))

    async def customer_failed(self, said: CustomerResult) -> Said:
        return await self._said(said.ticket, lambda board: board.customer_failed(said))

    # What agents and those who watch them ask.

    async def login(self, wish: AgentLogin) -> AgentView:
        """Raises QueueError for a code that is nobody's, and after too many of them."""
        name = self._logins.agent_of(wish, self.rules.agents)
        own = self.rules.agents[name].phone
        await self._turn(lambda board: board.log_in(name, None if wish.phone == own else wish.phone))
        return self._picture.agent(name, self._clock.now())

    async def dialled(self, wish: AgentDialled) -> AgentView:
        """Raises QueueError as `login` does."""
        if wish.phone not in self.rules.agents:
            raise QueueError(f"the switch plan has no agent {wish.phone} whose phone this could be.")
        action, rest = wish.keys[:3], wish.keys[3:]
        if action == LOG_IN and rest:
            return await self.login(AgentLogin(code=rest, phone=self.rules.agents[wish.phone].phone))

        def ask(board: Board) -> str:
            name = wish.phone if action == LOG_IN else board.at_phone(wish.phone)
            if action == LOG_IN:
                board.log_in(name, None)
            else:
                board.agent_asked(name, DIALLED[action], rest if action == BREAK else "")
            return name

        name = await self._turn(ask)
        return self._picture.agent(name, self._clock.now())

    async def phones_busy(self, said: PhonesBusy) -> Noted:
        """A worker's calls from and to agents' phones; what it does not renew is forgotten."""
        phones = self._engaged.heard(said, int(self._clock.now().timestamp() * 1000))
        if phones:
            await self._turn(lambda board: board.engage(phones))
        return Noted()

    async def agent_asked(self, wish: AgentChange) -> AgentView:
        """Raises QueueError where there is no such agent."""
        await self._turn(lambda board: board.agent_asked(wish.agent, AgentState(wish.state), wish.reason))
        return self._picture.agent(wish.agent, self._clock.now())

    async def picture(self) -> Picture:
        """As it is now, on all nodes."""
        if self._database.shared or not self._known:
            await self._turn(_nothing)
        return self._picture

    # Turns.

    async def _said(self, ticket_id: str, work: Callable[[Board], None]) -> Said:
        await self._turn(work)
        return Said(ticket=ticket_id, state=(await self._ticket(ticket_id)).state)

    async def _turn(self, work: Callable[[Board], Result]) -> Result:
        """Done to its end even where nobody waits for it any more: what is committed must be known."""
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._tasks.create_task(self._answer(work, done))
        return await done

    async def _answer(self, work: Callable[[Board], Result], done: "asyncio.Future[Result]") -> None:
        results: list[Result] = []
        problem: Exception | None = None
        try:
            async with self._in_turn:
                await self._take_turn(lambda board: results.append(work(board)))
        except Exception as error:  # noqa: BLE001 - it is the asker's
            problem = error
        if done.done():
            return
        if problem:
            done.set_exception(problem)
        else:
            done.set_result(results[0])

    async def _take_turn(self, work: Callable[[Board], None], *, beat: bool = False) -> None:
        """What is asked, what time has changed, and who is matched then, as one transaction; of a beat, with losses."""
        known, self._known = self._known and not self._database.shared, False
        try:
            if known:
                board = self._board(self._picture.state)
                work(board)
                board.settle(self._lost(board) if beat else (), beat=beat)
                if board.changed:
                    async with self._database.begin() as connection:
                        await store.save(connection, board)
            else:
                async with self._database.begin() as connection:
                    if not await store.take_turn(connection, skip=beat):
                        self._show(await store.load(connection))  # another node is at it this very moment
                        return
                    state = await self._read(connection)
                    if self._database.shared:
                        await self._nodes.listen(connection, {ticket.node for ticket in state.tickets.values()})
                    board = self._board(state)
                    work(board)
                    board.settle(self._lost(board) if beat else (), beat=beat)
                    await store.save(connection, board)
        except QueueError:
            self._known = known
            raise
        self._known = True
        self._take(board)

    async def _read(self, connection: AsyncConnection) -> State:
        if not self._paced:
            for ticket in await store.latest_answered(connection, PACED_BY):
                self.pace.observe(ticket)
            self._paced = True
        return await store.load(connection)

    def _board(self, state: State) -> Board:
        silent, now = self._nodes.silent(SILENT_S), self._clock.now()
        return Board(self.rules, state, node=self._node, at=now, pace=self.pace, silent=silent)

    def _take(self, board: Board) -> None:
        """It is committed."""
        for ticket in board.tickets_changed.values():
            self._ended.pop(ticket.id, None)
            if not ticket.live:
                self._ended[ticket.id] = ticket
            elif ticket.state is TicketState.TALKING:
                self.pace.observe(ticket)
        while len(self._ended) > ENDED_KNOWN:
            self._ended.popitem(last=False)
        for conversation, event in board.told:
            QueueJournal(self._outgoing, conversation, self._clock).record(event)
        for order in board.orders:
            self._leases.begin(order.ticket)
            self._tasks.create_task(self._place(order))
        self._show(board.state)

    def _show(self, state: State) -> None:
        """Those who wait are woken where something is new for them."""
        self._picture = Picture(self.rules, state, self.pace)
        for ticket_id, waiters in self._waiters.items():
            ticket = state.tickets.get(ticket_id)
            for waiter in waiters:
                if ticket is None or self._picture.seen(ticket) != waiter.seen:
                    waiter.news.set()
        if self._resting and self._picture.busy:
            self._wake.set()

    async def _place(self, order: CallBackOrder) -> None:
        try:
            async with timeout(self._clock, DIAL_S):
                await self._dial.call_back(order)
        except (VoiceEdgeError, TimeoutError) as error:
            problem = str(error) or "no worker answered"
            log.warning("call_back_not_placed", queue=order.queue, ticket=order.ticket, problem=problem)
            with suppress(StoreError):  # then the lease gives it up
                await self._turn(lambda board: board.order_failed(order.ticket))

    # Waiting.

    async def _news(self, asked: Wait) -> View:
        while True:
            ticket = await self._polled(asked.ticket)
            waiter = _Waiter(self._picture.seen(ticket))
            if waiter.seen != asked.seen or not ticket.live:
                return self._picture.view(ticket)
            with self._waits(asked.ticket, waiter):
                await waiter.news.wait()

    @contextmanager
    def _waits(self, ticket_id: str, waiter: _Waiter) -> Iterator[None]:
        waiters = self._waiters.setdefault(ticket_id, set())
        waiters.add(waiter)
        try:
            yield
        finally:
            waiters.discard(waiter)
            if not waiters:
                self._waiters.pop(ticket_id, None)

    async def _polled(self, ticket_id: str) -> Ticket:
        """One that was given up lives again: its worker is there after all."""
        ticket = await self._ticket(ticket_id)
        oldest = int((self._clock.now() - REVIVED).timestamp() * 1000)
        if ticket.state is not TicketState.LOST or ticket.call_back or (ticket.over_ms or 0) < oldest:
            return ticket
        await self._turn(lambda board: board.revive(ticket))
        return await self._ticket(ticket_id)

    async def _ticket(self, ticket_id: str) -> Ticket:
        if ticket := self._picture.state.tickets.get(ticket_id) or self._ended.get(ticket_id):
            return ticket
        async with self._database.begin() as connection:
            found = await store.ticket_by_id(connection, ticket_id)
        if found and found.live:  # asked for before our first turn
            await self._turn(_nothing)
            found = self._picture.state.tickets.get(ticket_id, found)
        return found or Ticket(ticket_id, "", self._node, "", "", 0, 0, 0, state=TicketState.LOST, over_ms=0)

    # Time.

    async def _live(self) -> None:
        """Take a turn each beat: no trouble of the store's ends this."""
        while True:
            self._wake.clear()
            try:
                async with self._in_turn:
                    await self._take_turn(_nothing, beat=True)
                await self._prune_now_and_then()
                self._note(None)
            except StoreError as error:
                self._note(error)
            except Exception:
                log.exception("queues_beat_failed")
            self._resting = not self._picture.busy
            with suppress(TimeoutError):
                async with timeout(self._clock, IDLE_BEAT_S if self._resting else BEAT_S):
                    await self._wake.wait()

    def _lost(self, board: Board) -> list[str]:
        """Tickets whose workers, or whose whole node, nobody has heard of for a while."""
        held = [ticket for ticket in board.tickets.values() if ticket.held]
        lost = self._leases.expired(ticket.id for ticket in held if ticket.node == self._node)
        gone = self._nodes.silent(GONE_S)
        return lost + [ticket.id for ticket in held if ticket.node in gone]

    async def _prune_now_and_then(self) -> None:
        if self._clock.monotonic() >= self._prune_due:
            self._prune_due = self._clock.monotonic() + PRUNE_EVERY_S
            async with self._database.begin() as connection:
                await store.prune(connection, int((self._clock.now() - KEPT).timestamp() * 1000))

    def _note(self, error: StoreError | None) -> None:
        problem = str(error) if error else None
        if problem and problem != self._problem:
            log.warning("queues_wait", problem=problem, effect="places are kept; nobody is matched until it is back")
        self._problem = problem
        if error:
            self._nodes.forget()


def _nothing(_board: Board) -> None:
    pass
