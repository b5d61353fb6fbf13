"""What goes wrong with one chat is no matter of the others, and what was written in a chat is never lost."""

import pytest
from chat_house import MENU, Skipping, house

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_chat_whose_flow_is_gone_ends_after_a_restart_and_the_others_go_on(tmp_path):
    channels = {"web-chat": {}, "other": {"flow": "other"}}
    async with house(tmp_path, MENU, MENU.replace("flow: main", "flow: other"), channels=channels) as at:
        lost, _ = await at.chats.begin("other", "ko", "somebody")
        kept = await at.begin()
        for chat in (lost, kept):
            await at.until_said(chat.id, "골라 주세요.")
    (tmp_path / "flows" / "1.yaml").unlink()
    async with house(tmp_path, MENU, channels=channels) as at:
        ended = await at.until_state(lost.id, "ended")
        assert (ended.cause, ended.outcome) == ("failed", "failed")
        await at.until_said(kept.id, "골라 주세요.", times=2)  # the flows have changed: it begins again
        await at.chats.hear(kept.id, "주문")
        await at.until_said(kept.id, "주문 번호를")


async def test_an_error_of_one_chat_while_it_is_looked_after_ends_that_one(tmp_path, monkeypatch):
    clock = Skipping()
    async with house(tmp_path, clock=clock) as at:
        first, second = await at.begin(), await at.begin()
        for chat in (first, second):
            await at.until_said(chat.id, "골라 주세요.")
        looked = at.chats._live._look_at

        async def broken(life):
            if life.chat.id == first.id:
                raise KeyError(life.chat.id)
            await looked(life)

        monkeypatch.setattr(at.chats._live, "_look_at", broken)
        clock.skip(10)
        assert (await at.until_state(first.id, "ended")).cause == "failed"
        await at.chats.hear(second.id, "주문")
        await at.until_said(second.id, "주문 번호를")
