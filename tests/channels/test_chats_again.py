"""Chats after a restart, as others see them, and after the end of their node."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from chat_house import house
from postgres import PostgresServer
from sqlalchemy import update

from voiceedge.channels.chat_model import ChatError
from voiceedge.clock import VirtualClock
from voiceedge.context.storage.tables import nodes


async def test_an_agents_chats_are_told_when_they_are_here_again(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        chat = await at.begin()
        await at.until_said(chat.id, "골라")
        await at.chats.hear(chat.id, "상담원")
        await at.until_state(chat.id, "waiting")
        await at.chats.take(chat.id, "kim")
    async with house(tmp_path) as at:
        assert [one.id for one in await at.chats.of_agent("kim")] == [chat.id]


@pytest.fixture
async def quick() -> AsyncIterator[VirtualClock]:
    """Five times as fast as the real one."""
    clock = VirtualClock()

    async def tick() -> None:
        while True:
            await clock.advance(1)
            await asyncio.sleep(0.2)

    ticking = asyncio.create_task(tick())
    yield clock
    ticking.cancel()


@pytest.mark.slow
async def test_a_visitor_whose_node_is_gone_goes_on_at_another_and_the_first_writes_nothing_more(
    tmp_path: Path, postgres: PostgresServer, quick: VirtualClock
) -> None:
    store = {"url": postgres.url(postgres.new_database()), "password_file": postgres.password_file}
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    async with (
        house(tmp_path / "there", tables={"store": store, "switch": {"node": "there"}}) as there,
        house(tmp_path / "here", tables={"store": store, "switch": {"node": "here"}}, clock=quick) as here,
    ):
        chat = await there.begin()
        await there.until_said(chat.id, "골라")
        await there.chats.hear(chat.id, "주문")
        await there.until_said(chat.id, "주문 번호를")
        await asyncio.wait_for(here.chats._live._revived.wait(), 60)  # by its own clock it would wait for a second
        with pytest.raises(ChatError, match="another node"):
            await here.chats.hear(chat.id, "40991")
        async with asyncio.timeout(120):
            while not await here.chats._live.find(chat.id):
                async with here.context.database.begin() as connection:
                    silent = update(nodes).where(nodes.c.name == "there")
                    await connection.execute(silent.values(seen_at_ms=nodes.c.seen_at_ms - 60_000))
                await asyncio.sleep(0.02)
        assert (await here.chats.visited(chat.id, there.secret)).id == chat.id
        with pytest.raises(ChatError, match="another node"):
            await there.chats.hear(chat.id, "여보세요")
        await here.chats.hear(chat.id, "40991")
        await here.until_state(chat.id, "ended")  # other systems are away
        texts = [one.text for one in await here.said(chat.id)]
        assert texts[:4] == ["골라 주세요.", "주문", "주문 번호를 말씀해 주세요.", "40991"]
        assert there.chats._live.all() == []
