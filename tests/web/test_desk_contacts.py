"""What an agent's desk knows of talks and chats, however late, often and by how many nodes it is told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from postgres import PostgresServer

from voiceedge.channels.chat_model import Chat, ChatMessage, ChatState
from voiceedge.channels.chat_words import words
from voiceedge.channels.desks import Desks
from voiceedge.clock import RealClock, VirtualClock
from voiceedge.config import Config
from voiceedge.context.events.call import BridgeEnded, BridgeStarted
from voiceedge.context.service import ContextService
from voiceedge.context.storage.database import Database
from voiceedge.errors import StoreError
from voiceedge.web.desk import chatting
from voiceedge.web.desk.coming import Coming
from voiceedge.web.desk.contacts import MOST_SHOWN, Contact, Contacts
from voiceedge.web.desk.room import AGAIN_S, DeskRoom
from voiceedge.web.problems import Problem

NOW_MS = int(VirtualClock().now().timestamp() * 1000)
NewDatabase = Callable[[str], Database]


@pytest.fixture(params=["sqlite", "postgres"])
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> NewDatabase:
    """Another node's way into the same database each time."""
    tables = {}
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        tables["store"] = {"url": server.url(server.new_database()), "password_file": server.password_file}
    return lambda node: Database.of(
        Config.model_validate({"site": {"data_dir": tmp_path}, "switch": {"node": node}, **tables})
    )


@pytest.fixture
async def both(new_database: NewDatabase) -> AsyncIterator[tuple[Contacts, Contacts]]:
    """As two nodes see them."""
    async with AsyncExitStack() as stack:
        databases = [new_database(f"node-{number}") for number in range(2)]
        for database in databases:
            await database.open()
            stack.push_async_callback(database.close)
        yield Contacts(databases[0], VirtualClock()), Contacts(databases[1], VirtualClock())


@pytest.fixture
def contacts(both: tuple[Contacts, Contacts]) -> Contacts:
    return both[0]


async def begin(contacts: Contacts, reference: str = "call-1", at_ms: int = NOW_MS) -> None:
    await contacts.begin("kim", "c1", "phone", reference, "orders", at_ms)


async def test_a_contact_begins_once_ends_and_is_wrapped_up(contacts: Contacts) -> None:
    for _ in range(2):  # events may come twice
        await begin(contacts)
    (contact,) = await contacts.open_of("kim")
    assert await contacts.end("call-1", NOW_MS + 1, "lee") == set()
    assert await contacts.end("call-1", NOW_MS + 1) == {"kim"}
    assert await contacts.end("call-1", NOW_MS + 1) == set()
    await contacts.joined("c1", "c0")
    await contacts.close(contact)
    assert (await contacts.open_of("kim"), await contacts.has_had("kim", ["c0"])) == ([], True)
    assert not await contacts.has_had("lee", ["c0"])


async def test_two_nodes_hear_of_the_same_talks_at_once(both: tuple[Contacts, Contacts]) -> None:
    for number in range(20):
        await asyncio.gather(*(begin(contacts, f"call-{number}") for contacts in both))
    assert len(await both[0].open_of("kim")) == 20


async def test_what_is_told_late_opens_nothing_again_and_ends_nothing_later(both: tuple[Contacts, Contacts]) -> None:
    early, late = both
    await begin(early)
    await early.end("call-1", NOW_MS + 10)
    await begin(late)
    (contact,) = await late.open_of("kim")
    assert contact.ended_ms == NOW_MS + 10
    await begin(early, at_ms=NOW_MS + 20)  # they talk once more
    assert await late.end("call-1", NOW_MS + 10) == set()
    (contact,) = await late.open_of("kim")
    assert (contact.began_ms, contact.ended_ms) == (NOW_MS + 20, None)


async def test_what_goes_on_is_shown_however_much_waits_to_be_wrapped_up(contacts: Contacts) -> None:
    await begin(contacts, "long talk", NOW_MS - 1)
    for number in range(MOST_SHOWN + 5):
        await begin(contacts, f"call-{number}", NOW_MS + number)
        await contacts.end(f"call-{number}", NOW_MS + number)
    await begin(contacts, "present", NOW_MS + 1_000)
    shown = [one.reference for one in await contacts.open_of("kim")]
    assert (shown[0], shown[1], shown[-2:]) == ("long talk", "call-7", [f"call-{MOST_SHOWN + 4}", "present"])


class Floor:
    """Everything around a room but the store: agents, and chats that a test moves."""

    def __init__(self, context: ContextService) -> None:
        self.clock, self.context = VirtualClock(RealClock().now()), context
        self.chats, self.news = dict[str, Chat](), asyncio.Queue[Chat]()
        self.messages: list[ChatMessage] = []
        self.away = 0  # so many times chats cannot be told
        rules = SimpleNamespace(agents={"kim": None}, agents_of={}, queues={})
        queues = SimpleNamespace(rules=rules)
        services = SimpleNamespace(
            clock=self.clock, context=context, queues=queues, ask_workers=self._workers,
            desks=Desks(queues, self.clock),
            chats=SimpleNamespace(
                changes=self._changes, of_agent=self._of_agent, messages=self._messages, waiting=self._waiting
            ),
            config=SimpleNamespace(retention=SimpleNamespace(conversations_days=30)),
        )  # fmt: skip
        self.room = DeskRoom(services)

    async def _workers(self, *_: object) -> dict:
        return {}

    async def _waiting(self) -> list[Chat]:
        return []

    async def _messages(self, _chat: str, after: int) -> list[ChatMessage]:
        return [one for one in self.messages if one.number > after]

    async def _of_agent(self, agent: str) -> list[Chat]:
        if self.away:
            self.away -= 1
            raise StoreError("away for a moment")
        return [chat for chat in self.chats.values() if chat.agent == agent]

    @asynccontextmanager
    async def _changes(self) -> AsyncIterator[AsyncIterator[Chat]]:
        async def each() -> AsyncIterator[Chat]:
            while True:
                yield await self.news.get()

        yield each()

    async def told(self, *data: BridgeStarted | BridgeEnded) -> None:
        for one in data:
            await self.context.note("c1", one)

    async def until(self, *expected: tuple[str, bool]) -> None:
        """Kim's contacts, and whether each has ended."""
        async with asyncio.timeout(60):
            while (found := [(one.reference, one.ended_ms is not None) for one in await self.open_of()]) != [*expected]:  # noqa: ASYNC110 - in the database
                await asyncio.sleep(0.01)
        assert found == [*expected]

    async def open_of(self) -> list[Contact]:
        return await self.room.contacts.open_of("kim")


@pytest.fixture
async def floor(tmp_path: Path) -> AsyncIterator[Floor]:
    config = Config.model_validate({"site": {"data_dir": tmp_path, "run_dir": tmp_path}, "mqtt": {"embedded_port": 0}})
    async with ContextService(config, RealClock()) as context:
        yield Floor(context)


@asynccontextmanager
async def running(floor: Floor, work: str) -> AsyncIterator[None]:
    task = asyncio.create_task(getattr(floor.room, work)())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def started(call: str) -> BridgeStarted:
    return BridgeStarted(call_id=call, with_leg="leg", agent="kim", queue="orders", by="queue", wait_ms=0)


def ended(call: str) -> BridgeEnded:
    return BridgeEnded(call_id=call, with_leg="leg", agent="kim", queue="orders", ended_by="caller", talk_ms=0)


async def test_events_that_came_while_the_store_was_away_are_not_missed(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, fails = floor.room.contacts.begin, asyncio.Event()

    async def away(*_: object) -> None:
        fails.set()
        raise StoreError("away for a moment")

    async with running(floor, "_follow_events"):
        while not floor.context.hub._subscriptions:  # noqa: ASYNC110 - who subscribes tells nobody
            await asyncio.sleep(0.01)
        monkeypatch.setattr(floor.room.contacts, "begin", away)
        await floor.told(started("call-1"))
        await fails.wait()
        monkeypatch.setattr(floor.room.contacts, "begin", begin)
        while floor.context.hub._subscriptions:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await floor.told(ended("call-1"), started("call-2"))
        await floor.clock.advance(AGAIN_S)
        await floor.until(("call-1", True), ("call-2", False))


async def test_an_agent_reads_a_chat_while_it_is_theirs_and_no_longer(floor: Floor) -> None:
    now_ms = int(floor.clock.now().timestamp() * 1000)
    floor.messages = [
        ChatMessage(number, now_ms + 10 * number, "customer", "text", f"text {number}") for number in range(1, 6)
    ]
    asker = SimpleNamespace(name="kim", actor="agent:kim", session=SimpleNamespace(digest="d"))

    async def read() -> list[int]:
        return [one["number"] for one in await chatting.messages("chat-1", asker, floor.room)]

    await floor.room.contacts.begin("kim", "c1", "web-chat", "chat-1", "orders", now_ms + 20)
    assert await read() == [2, 3, 4, 5]
    await floor.room.contacts.end("chat-1", now_ms + 40)
    assert await read() == [2, 3, 4]


async def test_a_chat_of_before_a_restart_ends_for_its_agent(floor: Floor) -> None:
    now_ms = int(floor.clock.now().timestamp() * 1000)
    await floor.room.contacts.begin("kim", "c1", "web-chat", "chat-1", "orders", now_ms)
    chat = Chat("chat-1", "c1", "web-chat", "main", "ko", ChatState.AGENT, now_ms, now_ms, agent="kim")
    floor.away = 1
    async with running(floor, "_follow_chats"):
        async with asyncio.timeout(60):
            while floor.away:  # noqa: ASYNC110 - the room asks, and tells nobody
                await asyncio.sleep(0.01)
        floor.chats["chat-1"] = chat
        await floor.clock.advance(AGAIN_S)
        floor.news.put_nowait(replace(chat, state=ChatState.ENDED, agent=None, changed_ms=now_ms + 1))
        await floor.until(("chat-1", True))


async def test_who_is_given_a_chat_reads_all_that_was_written_to_agents_and_nothing_that_was_told_the_flow(
    floor: Floor,
) -> None:
    now_ms = int(floor.clock.now().timestamp() * 1000)
    told = ("text", "010-1234-5678"), ("note", words("ko", "waiting")), ("text", "to anybody"), ("text", "to kim")
    floor.messages = [
        ChatMessage(number, now_ms + 10 * number, "customer", kind, text)
        for number, (kind, text) in enumerate(told, start=1)
    ]
    asker = SimpleNamespace(name="lee", actor="agent:lee", session=SimpleNamespace(digest="d"))
    await floor.room.contacts.begin("kim", "c1", "web-chat", "chat-1", "orders", now_ms + 35)
    with pytest.raises(Problem):
        await chatting.messages("chat-1", asker, floor.room)
    await floor.room.contacts.begin("lee", "c1", "web-chat", "chat-1", "orders", now_ms + 50)
    assert [one["number"] for one in await chatting.messages("chat-1", asker, floor.room)] == [2, 3, 4]
    assert [one["number"] for one in await chatting.messages("chat-1", asker, floor.room, 3)] == [4]


def test_the_note_for_whoever_is_given_a_call_is_theirs_in_full_until_they_have_done() -> None:
    coming = Coming(VirtualClock())
    coming.begin("call-1", "c1", by="kim", to="lee", note="010-2222-3333")
    assert [sent.note for sent in coming.to("lee")] == ["010-2222-3333"]
    coming.answered("call-1", "lee")
    assert [*coming.to("lee")] == []
    assert (coming.note("call-1", "lee"), coming.note("call-1", "kim")) == ("010-2222-3333", "")
    coming.left("call-1", "lee")
    assert not coming.note("call-1", "lee")
