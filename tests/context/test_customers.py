"""Who is who: by what they have shown, in each database; nothing that is only said makes two people one."""

import asyncio

import pytest
from making import CLOCK, stamped, step

from voiceedge.context.cloudevents import CloudEvent
from voiceedge.context.events.call import EventData
from voiceedge.context.events.digital import CustomerIdentified
from voiceedge.context.people.customers import Claim, Customers, Kind
from voiceedge.context.privacy.pii import PersonalDataClass, pseudonym
from voiceedge.context.record import Slot
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.store import Store
from voiceedge.errors import CustomerError

KEY = b"k" * 32
NUMBER, EMAIL = "010-1234-5678", "Kim@Example.com"


@pytest.fixture
async def customers(store: Store, database: Database) -> Customers:
    async def note(conversation: str, event: EventData) -> None:
        await store.ingest([stamped(event, conversation)])

    await store.ingest([step(1, name) for name in ("a", "b", "c")])
    await store.ingest([stamped(step(1).data, "shop", tenant="shop")])
    return Customers(database, store, KEY, CLOCK, note)


def shown(kind: Kind, value: str) -> Claim:
    return Claim(kind, value, verified=True, source="test")


def said(kind: Kind, value: str) -> Claim:
    return Claim(kind, value, verified=False, source="test")


async def test_the_same_verified_identity_is_the_same_customer_however_it_is_written(customers, store) -> None:
    kim = await customers.identify("a", shown("phone", NUMBER), who="test")
    assert await customers.identify("b", shown("phone", "+82 10 1234 5678"), who="test") == kim
    assert await customers.identify("c", shown("phone", "010-1234-5679"), who="test") not in {kim, None}
    assert (await store.conversation("b")).customer_id == kim
    (found,) = await customers.hinted("main", pseudonym(NUMBER, KEY))
    assert (found.id, found.identities[0].value) == (kim, "01012345678")


async def test_what_is_only_said_hints_and_makes_nobody_a_customer(customers, store) -> None:
    assert await customers.identify("a", said("phone", NUMBER), who="test") is None
    kim = await customers.identify("b", shown("phone", NUMBER), who="test")
    assert await customers.identify("a", said("phone", NUMBER), who="test") is None
    assert (await store.conversation("a")).customer_id is None
    assert [one.id for one in await customers.find("main", "phone", NUMBER)] == [kim]


async def test_what_one_alone_had_said_is_theirs_when_it_is_shown(customers) -> None:
    kim = await customers.identify("a", shown("external", "C-1"), who="test")
    await customers.identify("a", said("phone", NUMBER), who="test")
    assert await customers.identify("b", shown("phone", NUMBER), who="test") == kim
    assert [one.verified for one in (await customers.read("main", kim)).identities] == [True, True]


async def test_what_several_had_said_is_nobodys_when_it_is_shown(customers) -> None:
    for conversation, name in (("a", "C-1"), ("b", "C-2")):
        await customers.identify(conversation, shown("external", name), who="test")
        await customers.identify(conversation, said("phone", NUMBER), who="test")
    assert await customers.identify("c", shown("phone", NUMBER), who="test") is None
    assert len(await customers.find("main", "phone", NUMBER)) == 2


async def test_two_who_show_the_same_are_one_and_the_older_stays(customers, store) -> None:
    older = await customers.identify("a", shown("email", EMAIL), who="test")
    younger = await customers.identify("b", shown("phone", NUMBER), who="test")
    assert await customers.identify("b", shown("email", EMAIL), who="desk") == older
    customer = await customers.read("main", younger)
    assert (customer.id, customer.merged) == (older, [younger])
    assert {one.value for one in customer.identities} == {"kim@example.com", "01012345678"}
    entry = (await customers.trail("main", older))[-1]
    assert (entry.action, entry.customer, entry.other, entry.who, entry.why) == (
        "merged", older, younger, "desk", "email (test)",
    )  # fmt: skip
    events = [CloudEvent.model_validate_json(event.body) for event in await store.pending(100)]
    assert [one.data["merged"] for one in events if one.type == CustomerIdentified.type] == [False, False, True]


async def test_who_was_split_is_somebody_else_again_and_no_rule_merges_them(customers) -> None:
    older = await customers.identify("a", shown("email", EMAIL), who="test")
    younger = await customers.identify("b", shown("phone", NUMBER), who="test")
    await customers.change("main", younger, {"name": Slot(value="김")})
    await customers.merge("main", younger, older, who="kim", why="both said so")
    assert await customers.split("main", younger, who="kim", why="father and son") == older
    assert [one.value for one in (await customers.read("main", younger)).identities] == ["01012345678"]
    assert (await customers.read("main", older)).attributes == {}
    assert await customers.identify("b", shown("email", EMAIL), who="test") == younger
    assert [entry.action for entry in await customers.trail("main", younger)][-3:] == ["merged", "split", "kept_apart"]
    assert await customers.merge("main", younger, older, who="kim", why="after all") == older


async def test_merges_of_merges_come_apart_where_they_were_joined(customers) -> None:
    names = [await customers.identify(one, shown("external", one), who="test") for one in ("a", "b", "c")]
    first, second, third = sorted(names)
    await customers.merge("main", third, second, who="x", why="")
    await customers.merge("main", third, first, who="x", why="")
    assert (await customers.read("main", third)).merged == [second, third]
    await customers.split("main", second, who="x", why="")
    assert (await customers.read("main", third)).id == second
    assert (await customers.read("main", first)).merged == []


async def test_of_another_tenant_there_is_nothing(customers) -> None:
    kim = await customers.identify("a", shown("phone", NUMBER), who="test")
    other = await customers.identify("shop", shown("phone", NUMBER), who="test")
    assert other not in {kim, None}
    assert await customers.read("shop", kim) is None
    assert [one.id for one in await customers.find("shop", "phone", NUMBER)] == [other]
    for work in (
        customers.merge("shop", other, kim, who="x", why=""),
        customers.split("shop", kim, who="x", why=""),
        customers.change("shop", kim, {"name": Slot(value="x")}),
    ):
        with pytest.raises(CustomerError, match="no such customer"):
            await work
    assert await customers.trail("shop", kim) == []


async def test_the_same_person_who_shows_themselves_twice_at_once_is_one(customers, store) -> None:
    await store.ingest([step(1, f"many-{number}") for number in range(8)])
    found = await asyncio.gather(
        *(customers.identify(f"many-{number}", shown("phone", NUMBER), who="test") for number in range(8))
    )
    assert len(set(found)) == 1


async def test_the_same_table_taken_twice_at_once_makes_each_customer_once(customers) -> None:
    rows = {line: {"phone": f"010-1234-56{line}", "name": f"kim {line}"} for line in range(10, 20)}
    results = await asyncio.gather(*(customers.take("main", rows, who="test") for _ in range(3)))
    assert sum(result.created for result in results) == 10
    for row in rows.values():
        assert len(await customers.find("main", "phone", row["phone"])) == 1


async def test_card_numbers_are_no_attributes(customers) -> None:
    kim = await customers.identify("a", shown("phone", NUMBER), who="test")
    card = Slot(value="4111 1111 1111 1111", personal_data=PersonalDataClass.CARD)
    await customers.change("main", kim, {"a": card, "b": Slot(value="his card 4111111111111111")})
    await customers.change("main", kim, {"c": Slot(value="c"), "b": None})
    attributes = (await customers.read("main", kim)).attributes
    assert {name: slot.value for name, slot in attributes.items()} == {"a": "***1111", "c": "c"}


@pytest.mark.parametrize(
    ("kind", "value"),
    [("phone", "call me"), ("phone", ""), ("phone", "1" * 40), ("email", "kim"), ("email", "a b@c.kr"),
     ("external", "  "), ("external", "x" * 300), ("chat", "a\x00b")],
)  # fmt: skip
async def test_what_is_no_identity_is_refused(customers, kind: Kind, value: str) -> None:
    with pytest.raises(CustomerError, match=f"this is no {kind}"):
        await customers.identify("a", shown(kind, value), who="test")
