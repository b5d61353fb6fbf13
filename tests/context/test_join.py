"""A visit becomes a part of an earlier conversation: nothing of either is lost or doubled, whoever writes meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from making import stamped, step
from sqlalchemy import delete

from voiceedge.context.cloudevents import CloudEvent
from voiceedge.context.events.call import CallEnded, CallStarted, StepEntered
from voiceedge.context.events.digital import InteractionStarted, MessageSent
from voiceedge.context.record import Conversation
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.store import Store
from voiceedge.context.storage.tables import conversations, outbox
from voiceedge.errors import JoinRefusedError


@pytest.fixture
async def nodes(new_database: Callable[..., Database], database: Database) -> AsyncIterator[list[Store]]:
    """As many as can share this database; SQLite has one, with the records of running conversations in memory."""
    others = [new_database(f"node-{number}") for number in (2, 3)] if database.shared else []
    await asyncio.gather(*(other.open() for other in others))
    stores = [Store(one, "seoul") for one in (database, *others)]
    yield stores * 3 if not others else stores
    for other in others:
        await other.close()


async def published(store: Store) -> list[CloudEvent]:
    return [CloudEvent.model_validate_json(event.body) for event in await store.pending(100_000)]


def words(record: Conversation | None) -> list[str]:
    assert record
    return [entry.step for entry in record.journey]


async def test_a_visit_and_what_comes_of_it_later_are_filed_under_the_earlier_conversation(store: Store) -> None:
    hello = MessageSent(interaction="chat-1", channel="web-chat", by="customer", text="환불이요")
    chat = InteractionStarted(interaction="chat-1", channel="web-chat", direction="in", customer=None)
    call = CallStarted(call_id="call-1", direction="in", caller="1", customer="x", called="1588", flow="f")
    await store.ingest(
        [stamped(chat, "a"), stamped(hello, "a", slots={"order": {"value": "1"}, "name": {"value": "김"}})]
    )
    await store.ingest([stamped(call, "b", slots={"order": {"value": "2"}, "name": {"value": ""}})])
    assert await store.join(visit="b", into="a") == "a"
    says = StepEntered(call_id="call-1", flow="f", step="greet", kind="say", says="반갑습니다")
    await store.ingest([stamped(says, "b")])
    record = await store.conversation("b")
    assert record == await store.conversation("a")
    assert record
    assert [(visit.channel, visit.reference) for visit in record.channels] == [
        ("web-chat", "chat-1"),
        ("phone", "call-1"),
    ]
    assert [(turn.channel, turn.visit, turn.speaker, turn.text) for turn in record.turns] == [
        ("web-chat", "chat-1", "caller", "환불이요"), ("phone", "call-1", "voiceedge", "반갑습니다"),
    ]  # fmt: skip
    assert {name: slot.value for name, slot in record.slots.items()} == {"order": "2", "name": "김"}
    assert record.customer == "x"
    assert [(event.subject, event.sequence) for event in await published(store)] == [
        ("a", "1"), ("a", "2"), ("b", "1"), ("a", "3"),
    ]  # fmt: skip


async def test_an_ended_conversation_is_open_again_while_the_visit_lasts(store: Store) -> None:
    ended = CallEnded(call_id="1", cause="flow", sip_code=200, reason="", duration_ms=1, talk_ms=1)

    def started(call: str) -> CallStarted:
        return CallStarted(call_id=call, direction="in", caller="1", customer="x", called="1588", flow="f")

    await store.ingest([stamped(started("1"), "a"), stamped(ended, "a"), stamped(started("2"), "b")])
    await store.join(visit="b", into="a")
    assert (await store.conversation("a")).ended_at is None
    await store.ingest([stamped(ended.model_copy(update={"call_id": "2"}), "b")])
    assert (await store.conversation("a")).ended_at


async def test_chains_and_repetitions_end_at_the_same_conversation(store: Store) -> None:
    await store.ingest([step(number, name) for number, name in enumerate("zabc")])
    await store.join(visit="b", into="a")
    await store.join(visit="c", into="b")
    await store.join(visit="a", into="z")
    for visit, into in (("b", "a"), ("c", "z"), ("z", "c"), ("b", "b")):
        assert await store.join(visit=visit, into=into) == "z"
    await store.ingest([step(4, "c")])
    for name in "zabc":
        assert words(await store.conversation(name)) == [f"step-{number}" for number in range(5)]


async def test_a_visit_may_be_joined_before_its_first_event_comes(store: Store) -> None:
    await store.ingest([step(1, "a")])
    await store.join(visit="b", into="a")
    await store.ingest([step(2, "b")])
    assert words(await store.conversation("b")) == ["step-1", "step-2"]


async def test_nothing_joins_what_is_unknown_or_anothers(store: Store, database: Database) -> None:
    await store.ingest([step(1, "b"), stamped(step(1).data, "shop", tenant="shop")])
    for into in ("unknown", "shop"):
        with pytest.raises(JoinRefusedError):
            await store.join(visit="b", into=into)
    assert words(await store.conversation("b")) == ["step-1"]


@pytest.mark.parametrize("seed", range(3))
async def test_what_nodes_write_while_they_join_is_kept_once_in_order(nodes: list[Store], seed: int) -> None:
    names = [f"{name}-{seed}" for name in "abc"]
    await nodes[0].ingest([step(0, names[0])])

    async def write(which: int) -> None:
        for number in range(12):
            batch = [step(100 * which + number, name) for name in names]
            await nodes[which].ingest(batch)
            await nodes[which].ingest(batch)  # as after an answer that was lost

    async def join(which: int) -> None:
        await asyncio.sleep(0.01 * (which + seed))
        await nodes[which].join(visit=names[2], into=names[1])
        await nodes[which].join(visit=names[1], into=names[0])

    await asyncio.gather(*(write(which) for which in range(3)), *(join(which) for which in range(3)))
    records = [await node.conversation(name) for node in nodes for name in names]
    assert all(record == records[0] for record in records)
    expected = ["step-0", *(f"step-{100 * which + number}" for which in range(3) for number in range(12))]
    assert sorted(words(records[0])) == sorted(["step-0", *(expected[1:] * 3)])
    events = await published(nodes[0])
    if len(set(map(id, nodes))) > 1:
        events = [one for node in nodes for one in await published(node)]
    for name in names:
        sequences = sorted(int(event.sequence) for event in events if event.subject == name)
        assert sequences == list(range(1, len(sequences) + 1))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from("abcd"), st.integers(0, 1)),
        st.tuples(st.just("join"), st.sampled_from("abcd"), st.sampled_from("abcd"), st.integers(0, 1)),
    ),
    max_size=25,
)


@given(story=STEPS)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_in_whatever_order_they_are_joined_each_step_is_in_one_record(
    story: list[tuple], new_database: Callable[..., Database]
) -> None:
    asyncio.run(_lived(story, new_database))


async def _lived(story: list[tuple], new_database: Callable[..., Database]) -> None:
    """Two stores with memories of their own write in turn, as two nodes would; all of it holds after each step."""
    database = new_database()
    await database.open()
    async with database.begin() as connection:
        await connection.execute(delete(conversations))
        await connection.execute(delete(outbox))
    stores = [Store(database, "seoul"), Store(database, "seoul")]
    into: dict[str, str] = {}
    told: dict[str, list[str]] = {name: [] for name in "abcd"}

    def root(name: str) -> str:
        while name in into:
            name = into[name]
        return name

    try:
        for number, (what, name, *rest) in enumerate(story):
            if what == "write":
                await stores[rest[0]].ingest([step(number, name)])
                told[root(name)].append(f"step-{number}")
            else:
                other, which = rest
                known = bool(told[root(other)])
                if root(name) == root(other) or known:
                    await stores[which].join(visit=name, into=other)
                else:
                    with pytest.raises(JoinRefusedError):
                        await stores[which].join(visit=name, into=other)
                if root(name) != root(other) and known:
                    told[root(other)] += told.pop(root(name))
                    into[root(name)] = root(other)
        for name in "abcd":
            record = await stores[0].conversation(name)
            steps = [entry.step for entry in record.journey] if record else []
            assert steps == sorted(told.get(root(name), []), key=lambda one: int(one.split("-")[1]))
    finally:
        await database.close()
