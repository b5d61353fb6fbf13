"""Conversations read and searched: one tenant's only, newest first, page by page, in each database."""

from datetime import UTC, datetime, timedelta

import pytest
from making import CLOCK, stamped

from voiceedge.context.cloudevents import StampedEvent, new_id
from voiceedge.context.events.call import AgentStateChanged, BridgeStarted, CallEnded, CallStarted, EventData
from voiceedge.context.events.digital import ConversationClosed, InteractionStarted, MessageSent
from voiceedge.context.people.archive import Archive, Wanted
from voiceedge.context.people.customers import Claim, Customers
from voiceedge.context.privacy.pii import PersonalDataClass, pseudonym
from voiceedge.context.record import Changes, Slot
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.store import Store
from voiceedge.errors import CursorError

KEY = b"k" * 32
START = datetime(2026, 11, 22, 9, tzinfo=UTC)
NUMBER = "010-1234-5678"


@pytest.fixture
def archive(database: Database, store: Store) -> Archive:
    return Archive(database, store, KEY)


def at(minutes: float, name: str, event: EventData, **changes: object) -> StampedEvent:
    return stamped(event, name, **changes).model_copy(update={"time": START + timedelta(minutes=minutes)})


def started(call: str = "call", customer: str | None = None, called: str = "1588") -> CallStarted:
    return CallStarted(call_id=call, direction="in", caller="x", customer=customer, called=called, flow="f")


def ids(page) -> list[str]:
    return [one.id for one in page.items]


async def test_a_list_is_of_one_tenant_newest_first_and_without_what_is_no_conversation(archive, store) -> None:
    state = AgentStateChanged(agent="kim", state="available", reason="", was="break", lasted_ms=1)
    await store.ingest([at(n, f"c{n}", started()) for n in range(5)])
    await store.ingest([at(9, "agent-kim", state), at(9, "theirs", started(), tenant="shop")])
    assert ids(await archive.search("main", Wanted())) == ["c4", "c3", "c2", "c1", "c0"]
    assert ids(await archive.search("shop", Wanted())) == ["theirs"]
    assert await archive.read("main", "theirs") is None
    assert await archive.read("main", "agent-kim") is None
    assert (await archive.read("shop", "theirs")).tenant == "shop"


async def test_whose_a_call_is_follows_from_the_number_called_and_never_changes(database) -> None:
    store = Store(database, "seoul", {"15881234": "shop"})
    await store.ingest([at(0, "a", started(called="15881234")), at(1, "a", started(), tenant="main")])
    assert (await store.conversation("a")).tenant == "shop"


async def test_pages_go_on_where_the_last_one_ended_whatever_comes_in_between(archive, store) -> None:
    await store.ingest([at(n // 3, f"c{n:02}", started()) for n in range(20)])  # several at the same moment
    seen, cursor, number = [], None, 100
    while True:
        page = await archive.search("main", Wanted(), limit=3, cursor=cursor)
        seen += ids(page)
        await store.ingest([at(number, f"late{number}", started())])
        number, cursor = number + 1, page.cursor
        if cursor is None:
            break
    assert seen == [f"c{n:02}" for n in reversed(range(20))]
    for wrong in ("", "x", "%%%", "LTEuYQ", "🙂"):
        with pytest.raises(CursorError):
            await archive.search("main", Wanted(), cursor=wrong)


async def test_each_filter_finds_its_own(archive, store, database) -> None:
    async def note(conversation: str, event: EventData) -> None:
        await store.ingest([stamped(event, conversation)])

    customers = Customers(database, store, KEY, CLOCK, note)
    bridged = BridgeStarted(call_id="call", with_leg="l", agent="kim", queue="sales", by="queue", wait_ms=1)
    ended = CallEnded(call_id="call", cause="flow", sip_code=200, reason="", duration_ms=1, talk_ms=1)
    chat = InteractionStarted(interaction="i", channel="web-chat", direction="in", customer=None)
    hashed = pseudonym(NUMBER, KEY)
    await store.ingest([at(0, "call", started(customer=hashed)), at(1, "call", bridged), at(2, "call", ended)])
    await store.ingest([at(3, "chat", chat), at(4, "other", started())])
    await store.ingest([at(5, "other", ConversationClosed(by="kim", outcome="solved"))])
    kim = await customers.identify("chat", Claim("phone", NUMBER, verified=True, source="test"), who="test")
    await customers.identify("chat", Claim("email", "a@b.kr", verified=True, source="test"), who="test")
    cases = {
        Wanted(number="+82-10-1234-5678"): ["chat", "call"],
        Wanted(email="A@B.kr"): ["chat"],
        Wanted(customer=kim): ["chat"],
        Wanted(customer="unknown"): [],
        Wanted(channel="web-chat"): ["chat"],
        Wanted(channel="web"): [],
        Wanted(channel="%"): [],
        Wanted(queue="sales"): ["call"],
        Wanted(agent="kim"): ["call"],
        Wanted(outcome="solved"): ["other"],
        Wanted(is_open=True): ["other", "chat"],
        Wanted(is_open=False): ["call"],
        Wanted(since=START + timedelta(minutes=3), until=START + timedelta(minutes=4)): ["chat"],
        Wanted(number=NUMBER, channel="phone"): ["call"],
    }
    for wanted, expected in cases.items():
        assert ids(await archive.search("main", wanted)) == expected, wanted
    assert ids(await archive.search("shop", Wanted(customer=kim))) == []
    assert ids(await archive.search("shop", Wanted(number=NUMBER))) == []


async def test_words_are_found_in_what_was_said_and_never_in_slots(archive, store, monkeypatch) -> None:
    monkeypatch.setattr("voiceedge.context.people.archive.LOOKED_AT", 4)
    secret = {"slots": {"name": {"value": "환불왕", "personal_data": "personal"}}}
    for number in range(12):
        text = 'He said "환불" 100%' if number % 5 == 1 else "배송"
        said = MessageSent(interaction="i", channel="web-chat", by="customer", text=text)
        await store.ingest([at(number, f"c{number:02}", said, **secret)])

    async def found(text: str, limit: int = 10) -> list[str]:
        names, cursor = [], None
        while True:
            page = await archive.search("main", Wanted(text=text), limit=limit, cursor=cursor)
            names += ids(page)
            if (cursor := page.cursor) is None:
                return names

    expected = ["c11", "c06", "c01"]
    for text in ("환불", '"환불" 100%', "he SAID"):
        assert await found(text) == await found(text, limit=1) == expected
    assert await found("환불왕") == []
    assert await found("%") == expected


async def test_a_joined_conversation_is_read_by_each_of_its_ids_and_listed_once(archive, store) -> None:
    await store.ingest([at(0, "a", started("1")), at(1, "b", started("2"))])
    await store.join(visit="b", into="a")
    assert ids(await archive.search("main", Wanted())) == ["a"]
    assert (await archive.read("main", "b")).id == "a"


async def test_card_numbers_are_in_no_record_wherever_they_come_from(store, database) -> None:
    card = Slot(value="4111111111111111", personal_data=PersonalDataClass.CARD)
    event = started()
    stamp = StampedEvent(
        id=new_id(CLOCK), time=START, conversation="a", type=event.type, data=event, changes=Changes(slots={"c": card})
    )
    await store.ingest([stamp])
    for one in (store, Store(database, "seoul")):  # as it is in memory, and as it is read back, again and again
        assert (await one.conversation("a")).slots["c"].value == "***1111"
        await one.ingest([at(1, "a", started())])
    assert (await store.conversation("a")).slots["c"].value == "***1111"


async def test_after_a_change_it_is_as_it_was_written_unless_the_change_was_written_elsewhere(
    archive: Archive, store: Store, database: Database
) -> None:
    def said(text: str) -> MessageSent:
        return MessageSent(interaction="call", channel="phone", by="customer", text=text)

    async def after(minutes: float, tenant: str = "main") -> list[str] | None:
        found = await archive.changed(tenant, "c", START + timedelta(minutes=minutes))
        return [turn.text for turn in found.turns] if found else None

    await store.ingest([at(0, "c", started())])
    await store.ingest([at(1, "c", said("하나"))])
    other = Store(database, "seoul")  # as another node has it
    await other.ingest([at(2, "c", said("둘"))])
    assert await after(1) == ["하나"]
    assert await after(2) == ["하나", "둘"]  # told there before, so nothing was written here
    assert await after(1, "shop") is None
    await store.ingest([at(3, "c", said("셋"))])
    written = await archive.changed("main", "c", START + timedelta(minutes=3))
    assert written == await archive.read("main", "c")
