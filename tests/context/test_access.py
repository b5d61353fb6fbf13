"""Who read what is written down for good: nobody changes, deletes or cuts it off without `verify` telling."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from making import CLOCK, stamped
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from voiceedge.context.events.call import CallStarted
from voiceedge.context.people.access import AccessLog, Ours
from voiceedge.context.people.customers import Customers
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.digital_tables import access_log
from voiceedge.context.storage.store import Store
from voiceedge.errors import StoreError

KEY = b"k" * 32


@pytest.fixture
def log(database: Database, tmp_path: Path) -> AccessLog:
    return AccessLog(database, KEY, CLOCK, tmp_path)


async def unguarded(database: Database) -> None:
    """As whoever owns the database can."""
    async with database.begin() as connection:
        if database.shared:
            await connection.execute(text("DROP TRIGGER access_log_no_change ON access_log"))
        else:
            for what in ("update", "delete"):
                await connection.execute(text(f"DROP TRIGGER access_log_no_{what}"))


async def test_each_access_is_listed_and_all_verify(log: AccessLog) -> None:
    await log.note("agent:kim", "read", conversation="c1")
    await log.note("key:kakao", "search", "customer=***5678")
    await asyncio.gather(*(log.note("agent:lee", "read", conversation=f"{number}") for number in range(30)))
    entries = await log.listed(100)
    assert [(one.actor, one.action, one.subject) for one in entries][-2:] == [
        ("key:kakao", "search", "customer=***5678"), ("agent:kim", "read", "conversation:c1"),
    ]  # fmt: skip
    assert len(await log.listed(100, actor="agent:lee")) == 30
    for subject in ("conversation:c1", "c1"):
        assert len(await log.listed(100, subject=subject)) == 1
    assert [one.position for one in await log.listed(2, before=entries[3].position)] == [
        one.position for one in entries[4:6]
    ]
    verdict = await log.verify()
    assert (verdict.entries, verdict.problem) == (32, None)


async def test_a_tenant_finds_its_own_entries_however_many_of_others_lie_above_them(
    log: AccessLog, database: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, tenant in (("ours", "shop"), ("joined", "shop"), ("theirs", "main")):
        call = CallStarted(call_id=name, direction="in", caller="x", customer=None, called="1588", flow="f")
        await store.ingest([stamped(call, name, tenant=tenant)])
    await store.join(visit="joined", into="ours")
    customers = Customers(database, store, KEY, CLOCK, unheard)
    for tenant in ("shop", "main"):
        await customers.take(tenant, {0: {"external": "A-1"}}, who="test")
    kim, lee = [(await customers.find(tenant, "external", "A-1"))[0].id for tenant in ("shop", "main")]
    for conversation in ("ours", "joined", "theirs", "nowhere"):
        await log.note("key:x", "read", conversation=conversation)
    for customer in (kim, lee):
        await log.note("key:x", "read", customer=customer)
    await log.note("agent:han", "logged_in", "127.0.0.1")
    await log.note("agent:kim", "logged_in", "ours")  # no conversation's name
    for number in range(30):
        await log.note("agent:kim", "read", conversation=f"theirs-{number}")
    shop = Ours("shop", ["agent:han"])
    found = [one.subject for one in await log.listed(10, of=shop)]
    assert found == ["127.0.0.1", f"customer:{kim}", "conversation:joined", "conversation:ours"]
    assert [one.subject for one in await log.listed(10, of=shop, subject="ours")] == ["conversation:ours"]
    assert [one.subject for one in await log.listed(2, of=Ours("shop", []), actor="key:x")] == [
        f"customer:{kim}", "conversation:joined",
    ]  # fmt: skip
    assert await log.listed(10, of=Ours("shop", []), actor="agent:kim") == []
    monkeypatch.setattr("voiceedge.context.people.access.LOOKED_AT", 33)
    assert [one.subject for one in await log.listed(10, of=shop)] == ["127.0.0.1"]
    assert len(await log.listed(10, of=shop, before=8)) == 4


async def unheard(*_: object) -> None:
    pass


async def test_nodes_that_write_at_once_write_one_chain(
    new_database: Callable[..., Database], database: Database, tmp_path: Path
) -> None:
    others = [new_database(f"node-{number}") for number in (2, 3)] if database.shared else []
    await asyncio.gather(*(other.open() for other in others))
    logs = []
    for number, one in enumerate((database, *others)):
        (tmp_path / str(number)).mkdir()
        logs.append(AccessLog(one, KEY, CLOCK, tmp_path / str(number)))
    await asyncio.gather(
        *(log.note(f"node-{n}", "read", str(time)) for time in range(20) for n, log in enumerate(logs))
    )
    for log in logs:
        verdict = await log.verify()
        assert (verdict.entries, verdict.problem) == (20 * len(logs), None)
    for other in others:
        await other.close()


@pytest.mark.parametrize("statement", [delete(access_log), update(access_log).values(actor="nobody")])
async def test_the_database_itself_refuses_to_change_it(log: AccessLog, database: Database, statement) -> None:
    await log.note("agent:kim", "read", conversation="c1")
    with pytest.raises((StoreError, DBAPIError)):
        async with database.begin() as connection:
            await connection.execute(statement)
    assert (await log.verify()).problem is None


TAMPERED = {
    "changed": [update(access_log).where(access_log.c.subject == "3").values(actor="nobody")],
    "deleted": [delete(access_log).where(access_log.c.subject == "3")],
    "cut off": [delete(access_log).where(access_log.c.subject.in_(["8", "9"]))],
    "emptied": [delete(access_log)],
}


@pytest.mark.parametrize("how", TAMPERED)
async def test_what_was_done_to_it_is_told(log: AccessLog, database: Database, how: str) -> None:
    for number in range(10):
        await log.note("agent:kim", "read", str(number))
    await unguarded(database)
    async with database.begin() as connection:
        for statement in TAMPERED[how]:
            await connection.execute(statement)
    verdict = await log.verify()
    assert verdict.problem
    assert ("missing" if how in {"cut off", "emptied"} else "changed or deleted") in verdict.problem


async def test_entries_moved_or_made_without_the_key_are_told(
    log: AccessLog, database: Database, tmp_path: Path
) -> None:
    await log.note("agent:kim", "read", "1")
    await AccessLog(database, b"another", CLOCK, tmp_path).note("agent:kim", "read", "2")
    assert (await log.verify()).problem
    await unguarded(database)
    async with database.begin() as connection:
        rows = (await connection.execute(select(access_log))).mappings().all()
        await connection.execute(delete(access_log))
        twice = [{key: value for key, value in row.items() if key != "position"} for row in (rows[0], rows[0])]
        await connection.execute(insert(access_log), twice)
    assert (await log.verify()).problem


async def test_what_cannot_be_noted_is_told_to_each(log: AccessLog, database: Database) -> None:
    await database.close()
    done = await asyncio.gather(*(log.note("agent:kim", "read", str(n)) for n in range(3)), return_exceptions=True)
    assert all(isinstance(one, StoreError) for one in done)


async def test_the_thread_of_a_write_that_was_given_up_takes_nothing_back(log: AccessLog) -> None:
    await log.note("agent:kim", "read", conversation="c1")
    first = log._read_anchor()
    await log.note("agent:kim", "read", conversation="c2")
    log._write_anchor(*first)
    assert log._read_anchor()[0] == first[0] + 1
