"""Chats after a restart, as others see them."""

from pathlib import Path

from chat_house import house


async def test_an_agents_chats_are_told_when_they_are_here_again(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        chat = await at.begin()
        await at.until_said(chat.id, "골라")
        await at.chats.hear(chat.id, "상담원")
        await at.until_state(chat.id, "waiting")
        await at.chats.take(chat.id, "kim")
    async with house(tmp_path) as at:
        assert [one.id for one in await at.chats.of_agent("kim")] == [chat.id]
