"""What is too old goes by its class, and of a person who wishes it everything: in whichever table, in each database."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from making import stamped
from sqlalchemy import insert, select

from voiceedge.clock import VirtualClock
from voiceedge.config_digital import Retention as Settings
from voiceedge.context.cloudevents import CloudEvent, new_id
from voiceedge.context.events.call import CallEnded, CallStarted, EventData, LegEnded, RecordingStarted
from voiceedge.context.events.digital import ConversationErased, MessageSent
from voiceedge.context.people import person
from voiceedge.context.people.access import AccessLog
from voiceedge.context.people.customers import Claim, Customers
from voiceedge.context.people.retention import Retention
from voiceedge.context.privacy.pii import pseudonym
from voiceedge.context.record import Slot
from voiceedge.context.storage.chat_tables import chat_messages, chats
from voiceedge.context.storage.continuing_tables import messages_out, pins
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.digital_tables import customer_trail, customers, identities
from voiceedge.context.storage.store import Store
from voiceedge.context.storage.tables import (
    conversations,
    legs,
    metadata,
    outbound_orders,
    outbox,
    queue_tickets,
    tokens,
)
from voiceedge.errors import JoinRefusedError

KEY = b"k" * 32
NUMBER, NAME, WORDS = "01012345678", "김철수", "제 강아지 이름은 복실이입니다"
LEG = LegEnded(
    call_id="call", role="caller", direction="in", trunk=None, agent=None, far_end="x", began_at="",
    answered_at=None, ended_at="", request_delay_ms=None, disconnect_delay_ms=None, talk_ms=0, cause="us",
    sip_code=200, q850=None,
)  # fmt: skip
AGES = {"sensitive_days": 30, "personal_days": 100, "transcripts_days": 200, "conversations_days": 300}


class House:
    def __init__(self, database: Database, store: Store, data_dir: Path) -> None:
        self.clock = VirtualClock(datetime(2026, 11, 22, 9, tzinfo=UTC))
        self.database, self.store, self.data_dir = database, store, data_dir
        self.access = AccessLog(database, KEY, self.clock, data_dir)
        self.customers = Customers(database, store, KEY, self.clock, self.note)
        self.retention = Retention(
            database, self.ingest, self.access, Settings.model_validate(AGES), KEY, data_dir, self.clock
        )

    async def ingest(self, batch) -> None:
        await self.store.ingest(batch)

    async def note(self, conversation: str, event: EventData, **changes: object) -> None:
        await self.store.ingest([stamped(event, conversation, **changes).model_copy(update={"time": self.clock.now()})])

    async def call(self, conversation: str, customer: str | None = None) -> None:
        await self.note(
            conversation,
            CallStarted(call_id="call", direction="in", caller="x", customer=customer, called="1588", flow="f"),
            slots={
                "name": {"value": NAME, "personal_data": "personal"},
                "illness": {"value": "감기", "personal_data": "sensitive"},
                "order": {"value": "77"},
            },
        )
        await self.note(conversation, MessageSent(interaction="call", channel="phone", by="customer", text=WORDS))

    async def erased(self) -> list[tuple[str, tuple[str, ...]]]:
        events = [CloudEvent.model_validate_json(event.body) for event in await self.store.pending(10_000)]
        return [(one.subject, tuple(one.data["classes"])) for one in events if one.type == ConversationErased.type]

    async def everything(self) -> str:
        """All that the database holds."""
        found = []
        async with self.database.begin() as connection:
            for table in metadata.sorted_tables:
                rows = (await connection.execute(select(table))).all()
                found += [f"{table.name}: {row}" for row in rows]
        return "\n".join(found)


@pytest.fixture
def house(database: Database, store: Store, tmp_path: Path) -> House:
    return House(database, store, tmp_path)


async def test_each_class_goes_at_its_age_and_the_rest_stays(house: House) -> None:
    await house.call("c")
    held = []
    for days in (29, 2, 69, 2, 97, 2, 98, 2, 1):
        await house.clock.advance(timedelta(days=days).total_seconds())
        await house.retention.sweep()
        record = await house.store.conversation("c")
        held.append((sorted(record.slots), len(record.turns)) if record else None)
    everything, no_illness, no_name = ["illness", "name", "order"], ["name", "order"], ["order"]
    assert held == [
        (everything, 1), (no_illness, 1), (no_illness, 1), (no_name, 1), (no_name, 1), (no_name, 0), (no_name, 0),
        None, None,
    ]  # fmt: skip
    assert await house.erased() == [
        ("c", ("sensitive",)), ("c", ("personal",)), ("c", ("transcript",)), ("c", ("all",)),
    ]  # fmt: skip
    async with house.database.begin() as connection:
        assert (await connection.execute(select(conversations))).all() == []


async def test_age_counts_from_the_last_event_and_what_is_gone_stays_gone(house: House) -> None:
    await house.call("c")
    await house.clock.advance(timedelta(days=31).total_seconds())
    await house.retention.sweep()
    await house.note("c", MessageSent(interaction="call", channel="phone", by="customer", text="다시 왔어요"))
    fresh = Store(house.database, "seoul")
    for store in (house.store, fresh):
        assert "illness" not in (await store.conversation("c")).slots
    await house.clock.advance(timedelta(days=80).total_seconds())
    await house.retention.sweep()
    assert "name" in (await house.store.conversation("c")).slots
    await house.clock.advance(timedelta(days=21).total_seconds())
    await house.retention.sweep()
    assert list((await house.store.conversation("c")).slots) == ["order"]


async def test_where_there_is_nothing_of_a_class_nobody_is_told_and_it_is_looked_at_once(house: House) -> None:
    call = CallStarted(call_id="call", direction="in", caller="x", customer=None, called="1588", flow="f")
    events = [stamped(call, f"c{number}").model_copy(update={"time": house.clock.now()}) for number in range(150)]
    await house.store.ingest(events)
    await house.clock.advance(timedelta(days=250).total_seconds())
    assert await house.retention.sweep() == 150
    assert await house.retention.sweep() == 0
    assert await house.erased() == []


async def test_nodes_that_sweep_at_once_tell_it_once(house: House) -> None:
    await house.call("c")
    await house.clock.advance(timedelta(days=31).total_seconds())
    due = await house.retention._due("sensitive")
    await house.retention._erase_old(due)
    await house.retention._erase_old(due)
    assert await house.erased() == [("c", ("sensitive",))]


async def lived(house: House) -> tuple[str, str]:
    """A customer with something in every table; the customer's id and the conversation's."""
    name, visit = new_id(house.clock), new_id(house.clock)
    hashed = pseudonym(NUMBER, KEY)
    await house.call(name)
    customer = await house.customers.identify(name, Claim("phone", NUMBER, verified=True, source="test"), who="test")
    assert customer
    await house.customers.identify(name, Claim("email", "kim@a.kr", verified=False, source="test"), who="test")
    await house.customers.change("main", customer, {"name": Slot(value=NAME)})
    await house.call(visit)
    await house.store.join(visit=visit, into=name)
    await house.note(visit, LEG, number=NUMBER)
    await house.note(visit, RecordingStarted(call_id="call", path=f"2026-11-22/{visit}.wav", format="wav"))
    for folder, file in (
        ("recordings", f"{visit}.wav"),
        ("voicemail", f"20261122-{name}.wav"),
        ("recordings", "x.wav"),
    ):
        (house.data_dir / folder / "2026-11-22").mkdir(parents=True, exist_ok=True)
        (house.data_dir / folder / "2026-11-22" / file).write_bytes(b"RIFF")
    await house.store.mark_published([one.position for one in await house.store.pending(100)], house.clock.now())
    token = {"channel": "sms", "expires_at_ms": 0, "conversation_id": name}
    async with house.database.begin() as connection:
        await connection.execute(insert(tokens).values(id="t", **token))
        await connection.execute(insert(pins).values(id="p", tenant="main", **token))
        await connection.execute(
            insert(chats).values(_filled(chats, id="chat", conversation=name, given=NAME, ended_ms=1))
        )
        await connection.execute(insert(chat_messages).values(_filled(chat_messages, chat="chat", text=WORDS)))
        sent = _filled(messages_out, id="m", conversation_id="none", address=NUMBER, addressee=hashed, body=NAME)
        await connection.execute(insert(messages_out).values(sent))
        over = {"number": NUMBER, "customer": hashed, "over_ms": 1, "conversation": "none"}
        await connection.execute(insert(queue_tickets).values(_filled(queue_tickets, id="q", **over)))
        waiting = {**over, "over_ms": None, "state": "waiting", "slots": json.dumps({"name": NAME}, ensure_ascii=False)}
        await connection.execute(insert(outbound_orders).values(_filled(outbound_orders, id="o", **waiting)))
    return customer, name


def _filled(table, **values):
    """With something in each column that must have a value."""
    needed = [column for column in table.columns if not column.nullable and column.name not in values]
    return {
        column.name: False if column.type.python_type is bool else column.type.python_type() for column in needed
    } | values


async def test_one_persons_data_is_told_as_one_document(house: House) -> None:
    customer, name = await lived(house)
    await house.call("somebody-elses")
    await house.access.note("agent:kim", "read", conversation=name)
    told = await house.retention.export("main", customer)
    assert json.loads(json.dumps(told)) == told
    assert [one["id"] for one in told["conversations"]] == [name]
    assert told["conversations"][0]["slots"]["name"]["value"] == NAME
    assert [one["value"] for one in told["identities"]] == [NUMBER, "kim@a.kr"]
    assert told["customers"][0]["attributes"]["name"]["value"] == NAME
    assert [one["number"] for one in told["calls"]] == [NUMBER]
    assert [one["text"] for one in told["messages"]] == [WORDS]
    assert [one["actor"] for one in told["accesses"]] == ["agent:kim"]
    assert len(told["files"]) == 2
    assert all((house.data_dir / file).exists() for file in told["files"])
    assert [one["id"] for one in (await house.retention.export("main", "010-1234-5678"))["conversations"]] == [name]
    assert (await house.retention.export("shop", customer))["conversations"] == []


async def test_who_wishes_to_be_forgotten_is_in_no_table_and_no_file(house: House) -> None:
    customer, name = await lived(house)
    assert await house.retention.erase("shop", customer) == 0
    assert await house.retention.erase("main", customer) == 1
    left = await house.everything()
    for trace in (NUMBER, "kim@a.kr", NAME, WORDS, "감기", customer):
        assert trace not in left.replace("ConversationErased", "")
    assert [file.name for file in house.data_dir.rglob("*.wav")] == ["x.wav"]
    assert await house.erased() == [(name, ("all",))]
    assert await house.store.conversation(name) is None
    assert await house.retention.erase("main", customer) == 0


async def test_after_that_nothing_more_is_kept_of_a_call_that_goes_on(house: House) -> None:
    customer, name = await lived(house)
    await house.retention.erase("main", customer)
    ended = CallEnded(call_id="call", cause="caller", sip_code=200, reason="", duration_ms=1, talk_ms=1)
    await house.call(name, customer=pseudonym(NUMBER, KEY))
    await house.note(name, ended)
    await house.note(name, LEG, number=NUMBER)
    async with house.database.begin() as connection:
        (record,) = (await connection.scalars(select(conversations.c.record).where(conversations.c.id == name))).all()
        assert NAME not in record
        assert WORDS not in record
        assert (await connection.scalars(select(legs.c.number).where(legs.c.number != ""))).all() == []
    assert await house.store.conversation(name) is None
    with pytest.raises(JoinRefusedError):
        await house.store.join(visit="new", into=name)


async def test_what_somebody_only_says_does_not_open_anothers_data(house: House) -> None:
    await house.call("victim", customer=pseudonym(NUMBER, KEY))
    await house.call("thief")
    thief = await house.customers.identify("thief", Claim("external", "T", verified=True, source="test"), who="test")
    assert thief
    await house.customers.identify("thief", Claim("phone", NUMBER, verified=False, source="test"), who="test")
    assert [one["id"] for one in (await house.retention.export("main", thief))["conversations"]] == ["thief"]
    await house.retention.erase("main", thief)
    assert await house.store.conversation("victim")


def test_every_table_that_names_a_conversation_or_customer_is_known_to_the_erasure() -> None:
    """A new table must be added to `context.person`, or here with the reason why nothing of a person is in it."""
    nothing_personal = {
        "desk_contacts",  # which agent talked when
        "calls_up",  # a call's far end, masked, until the call is over
    }
    source = Path(person.__file__).read_text(encoding="utf-8")
    columns = {"conversation", "conversation_id", "customer", "customer_id"}
    for table in metadata.sorted_tables:
        if columns & set(table.columns.keys()) and table.name not in nothing_personal | {"do_not_call"}:
            assert f" {table.name}" in source or f"{table.name}." in source, table.name
    assert outbox.name in source


async def test_a_customer_of_whom_no_conversation_is_left_goes_with_all_that_they_are_known_by(house: House) -> None:
    await house.call("c")
    phone = Claim("phone", NUMBER, verified=True, source="test")
    customer = await house.customers.identify("c", phone, who="test")
    await house.customers.change("main", customer, {"name": Slot(value=NAME)})
    await house.clock.advance(timedelta(days=299).total_seconds())
    await house.retention.sweep()
    assert await house.customers.read("main", customer)
    await house.clock.advance(timedelta(days=2).total_seconds())
    with structlog.testing.capture_logs() as logs:
        assert await house.retention.sweep() == 2  # the conversation, and its customer
    assert {"event": "customers_erased", "customers": 1, "reason": "age", "log_level": "info"} in logs
    await house.store.mark_published([one.position for one in await house.store.pending(100)], house.clock.now())
    left = await house.everything()
    for personal in (NUMBER, NAME, customer):
        assert not re.search(rf"^(?!outbox).*{personal}", left, re.MULTILINE), personal


async def test_a_customer_is_kept_while_anything_is_told_of_them_or_a_conversation_of_theirs_is(house: House) -> None:
    def row(external: str, phone: str) -> dict[str, str]:
        return {"external": external, "phone": phone, "grade": "VIP"}

    table = {line: row(f"A-{line}", f"0101234000{line}") for line in range(5)}
    await house.customers.take("main", table, who="test")
    names = [(await house.customers.find("main", "external", f"A-{line}"))[0].id for line in table]
    imported, changed, merged, calling, nobody = names
    await house.clock.advance(timedelta(days=200).total_seconds())
    assert (await house.customers.take("main", {0: table[0]}, who="test")).same == 1
    await house.customers.change("main", changed, {"grade": Slot(value="gold")})
    kept = await house.customers.merge("main", merged, imported, who="test", why="one person")
    await house.call("c", customer=pseudonym("01012340003", KEY))  # from a number that only hints who it is
    await house.clock.advance(timedelta(days=101).total_seconds())
    assert await house.retention.sweep() == 2  # of the conversation that which is personal
    assert await house.customers.read("main", nobody) is None
    for name in (kept, imported, merged, changed, calling):
        assert await house.customers.read("main", name), name
    await house.clock.advance(timedelta(days=200).total_seconds())
    await house.retention.sweep()
    async with house.database.begin() as connection:
        for table_ in (customers, identities, customer_trail):
            assert (await connection.execute(select(table_))).all() == [], table_.name


async def test_customers_may_be_kept_longer_than_conversations(house: House) -> None:
    settings = Settings.model_validate({**AGES, "customers_days": 1_000})
    patient = Retention(house.database, house.ingest, house.access, settings, KEY, house.data_dir, house.clock)
    lines = {line: {"external": f"A-{line}"} for line in range(250)}
    await house.customers.take("main", lines, who="test")
    await house.customers.take("shop", {0: {"external": "A-0"}}, who="test")
    await house.clock.advance(timedelta(days=999).total_seconds())
    assert await patient.sweep() == 0
    await house.clock.advance(timedelta(days=2).total_seconds())
    assert await patient.sweep() == 251
