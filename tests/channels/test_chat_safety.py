"""What goes wrong with one chat is no matter of the others, and what was written in a chat is never lost."""

import asyncio
import threading
from unittest.mock import AsyncMock

import pytest
from chat_house import MENU, WAIT_S, Skipping, house, until

from voiceedge.channels.chat_model import ChatError
from voiceedge.clock import RealClock
from voiceedge.context.cloudevents import StampedEvent, new_id
from voiceedge.context.events.call import CallEnded, CallStarted
from voiceedge.context.events.digital import InteractionStarted
from voiceedge.context.privacy.pii import mask_text
from voiceedge.context.resuming.tokens import TokenRefusedError
from voiceedge.errors import StoreError

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Stalled:
    """A store that keeps nothing."""

    async def ingest(self, batch):
        await asyncio.Event().wait()


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


async def test_what_was_told_before_control_was_killed_is_in_the_record_after_its_restart(tmp_path, monkeypatch):
    channels = {"web-chat": {"tenant": "shop"}}
    with monkeypatch.context() as away:  # nothing reaches the conversation's record any more, as if control were killed
        away.setattr("voiceedge.channels.chat_house.FLUSH_S", 0)
        async with house(tmp_path, channels=channels) as at:
            away.setattr(at.context, "ingest", Stalled().ingest)
            chat = await at.begin()
            await at.until_said(chat.id, "골라 주세요.")
            await at.chats.hear(chat.id, "상담원")
            await at.until_state(chat.id, "waiting")
            await at.chats.take(chat.id, "han")
            await at.chats.say(chat.id, "han", "환불해 드리겠습니다")
            await at.chats.hear(chat.id, "감사해요")
            over = await at.begin()
            await at.until_said(over.id, "골라 주세요.")
            await at.chats.leave(over.id)
    async with house(tmp_path, channels=channels) as at:

        async def recorded():
            known, other = [await at.context.conversation(one.conversation) for one in (chat, over)]
            return known and other and other.ended_at and known.turns and (known, other)

        known, other = await until(recorded)
        assert (known.tenant, other.tenant, len(known.channels)) == ("shop", "shop", 1)
        assert [turn.text for turn in known.turns if turn.speaker == "agent"] == ["환불해 드리겠습니다"]
        assert [turn.text for turn in known.turns].count("감사해요") == 1

        async def told():
            return not await at.chats._store.untold()

        await until(told)


async def test_a_sending_that_comes_again_after_a_restart_is_written_once(tmp_path):
    async with house(tmp_path) as at:
        chat = await at.begin()
        await at.until_said(chat.id, "골라 주세요.")
        sent = await at.chats.hear(chat.id, "주문", "one")
        await at.until_said(chat.id, "주문 번호를")
    async with house(tmp_path) as at:
        assert await at.chats.hear(chat.id, "주문", "one") == sent
        await at.chats.hear(chat.id, "12345", "two")
        await at.until_said(chat.id, "감사합니다.")  # the order system is away: it was the number that was taken
        assert [one.text for one in await at.said(chat.id) if one.by == "customer"] == ["주문", "12345"]


async def test_who_ends_a_chat_together_with_another_ends_it_once(tmp_path):
    async with house(tmp_path) as at:
        chat = await at.begin()
        await at.until_said(chat.id, "골라 주세요.")
        life = await at.chats._live.find(chat.id)
        await asyncio.gather(life.end("customer"), life.end("idle", word="idle"), return_exceptions=True)
        with pytest.raises(ChatError):
            await life.keep("reply", {"text": "주문"})
        assert [one.kind for one in await at.said(chat.id)].count("note") == 1
        assert await at.chats._store.inputs(chat.id) == []


def happened(conversation, data):
    clock = RealClock()
    return StampedEvent(id=new_id(clock), time=clock.now(), conversation=conversation, type=data.type, data=data)


async def called(at, conversation):
    data = CallStarted(call_id="call", direction="in", caller="", customer=None, called="1588", flow="main")
    await at.context.ingest([happened(conversation, data)])


ENDED = CallEnded(call_id="call", cause="caller", sip_code=200, reason="", duration_ms=1, talk_ms=1)


async def test_a_chat_goes_on_after_a_call_in_which_its_conversation_became_part_of_another(tmp_path):
    async with house(tmp_path) as at:
        earlier = new_id(RealClock())
        begun = InteractionStarted(interaction="room", channel="kakao", direction="in", customer=None)
        await at.context.ingest([happened(earlier, begun)])
        chat = await at.begin()
        await at.until_said(chat.id, "골라 주세요.")
        await at.chats._live.outgoing.flushed(WAIT_S)
        await called(at, chat.conversation)
        await at.until_state(chat.id, "call")
        ticket = await at.context.continuing.issue(earlier, "phone", pin=True)
        await at.context.continuing.redeem("phone", "pin", ticket.pin, visit=chat.conversation, asker="somebody")
        await at.context.ingest([happened(chat.conversation, ENDED)])
        after = await at.until_state(chat.id, "bot")
        assert after.conversation == earlier


async def test_a_call_whose_end_nobody_told_the_chat_is_over_all_the_same(tmp_path, monkeypatch):
    clock = Skipping()
    async with house(tmp_path, clock=clock) as at:
        chat = await at.begin()
        await at.until_said(chat.id, "골라 주세요.")
        await at.chats._live.outgoing.flushed(WAIT_S)
        await called(at, chat.conversation)
        await at.until_state(chat.id, "call")
        monkeypatch.setattr(at.chats._live, "_concerned_by", lambda _: [])
        await at.context.ingest([happened(chat.conversation, ENDED)])
        clock.skip(10)
        await at.until_state(chat.id, "bot")


async def test_a_link_whose_opening_was_not_answered_opens_the_same_chat_again_for_the_same_page(tmp_path, monkeypatch):
    async with house(tmp_path) as at:
        first = await at.begin()
        await at.until_said(first.id, "골라 주세요.")
        await at.chats._live.outgoing.flushed(WAIT_S)
        token = (await at.context.continuing.issue(first.conversation, "web-chat")).token

        async def open_it(opening):
            return await at.chats.open_link("web-chat", token, "ko", "somebody", opening)

        with monkeypatch.context() as broken:
            broken.setattr(at.chats._store, "add", AsyncMock(side_effect=StoreError("away")))
            with pytest.raises(StoreError):
                await open_it("a" * 32)
        with pytest.raises(TokenRefusedError):
            await open_it("b" * 32)
        chat, secret = await open_it("a" * 32)
        assert chat.conversation == first.conversation
        assert [(again.id, by) for again, by in [await open_it("a" * 32)]] == [(chat.id, secret)]
        assert (await at.chats.visited(chat.id, secret)).id == chat.id
        with pytest.raises(TokenRefusedError):
            await open_it("")


async def test_a_chat_without_a_flow_leaves_the_link_as_it_is(tmp_path):
    async with house(tmp_path, channels={"web-chat": {}, "shop": {"flow": "none"}}) as at:
        first = await at.begin()
        await at.chats._live.outgoing.flushed(WAIT_S)
        token = (await at.context.continuing.issue(first.conversation, "shop")).token
        with pytest.raises(ChatError):
            await at.chats.open_link("shop", token, "ko", "somebody")
        assert await at.context.continuing.redeem("shop", "link", token)


async def test_a_long_text_is_searched_for_numbers_beside_the_other_chats(tmp_path, monkeypatch):
    searched = []

    def noted(text, kinds):
        searched.append(threading.current_thread() is threading.main_thread())
        return mask_text(text, kinds)

    async with house(tmp_path) as at:
        chat = await at.begin()
        await at.until_said(chat.id, "골라 주세요.")
        monkeypatch.setattr("voiceedge.channels.chat_customer.mask_text", noted)
        await at.chats.hear(chat.id, "주문")
        await at.chats.hear(chat.id, "공일" * 1_000)
    assert searched == [True, False]
