"""A call of the chat's conversation is on the chat's screen, and its end gives the chat back to the flow."""

import asyncio

import pytest
import pytest_asyncio
from chat_house import Calls, house, until

from voiceedge.channels.chat_model import ChatError
from voiceedge.clock import RealClock
from voiceedge.context.cloudevents import StampedEvent, new_id
from voiceedge.context.events.call import CallAnswered, CallEnded, CallStarted, StepEntered, TurnHeard
from voiceedge.context.record import Changes

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLOCK = RealClock()
CALL = "a-call"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def at(tmp_path_factory):
    async with house(tmp_path_factory.mktemp("house")) as made:
        yield made


async def tell(at, conversation, *events):
    stamped = [
        StampedEvent(
            id=new_id(CLOCK), time=CLOCK.now(), conversation=conversation, type=data.type, data=data, changes=Changes()
        )
        for data in events
    ]
    await at.context.ingest(stamped)


def began():
    called = CallStarted(call_id=CALL, direction="in", caller="", customer=None, called="1588", flow="main")
    return called, CallAnswered(call_id=CALL, set_up_ms=1)


def asked(step="menu", kind="ask", says="말씀하시거나 번호를 눌러 주세요."):
    return StepEntered(call_id=CALL, flow="main", step=step, kind=kind, says=says)


def ended():
    return CallEnded(call_id=CALL, cause="caller", sip_code=200, reason="", duration_ms=9, talk_ms=8)


async def test_a_call_that_joins_the_chat_is_shown_and_answered_there_until_it_ends(at):
    chat = await at.begin()
    await at.until_said(chat.id, "골라 주세요.")
    await tell(at, chat.conversation, *began(), asked())
    shown = await at.until_said(chat.id, "말씀하시거나")
    assert (await at.chats.chat(chat.id)).state == "call"
    assert (shown.kind, [one.name for one in shown.buttons]) == ("call", ["order", "pay", "agent"])
    await at.chats.choose(chat.id, shown.number, "order")
    await at.chats.hear(chat.id, "12345")
    assert at.calls.given[-2:] == [(CALL, "menu", None, "order"), (CALL, "menu", "12345", None)]
    heard = TurnHeard(call_id=CALL, flow="main", step="number", by="speech", decision="accept", transcript="일이삼사오")
    await tell(at, chat.conversation, asked("number", says="주문 번호를 말씀해 주세요."), heard)
    await at.until_said(chat.id, "일이삼사오")
    await tell(at, chat.conversation, asked("number", "confirm", "12345, 맞으십니까?"))
    confirm = await at.until_said(chat.id, "맞으십니까?")
    assert [one.label for one in confirm.buttons][:2] == ["네", "아니요"]
    with pytest.raises(ChatError):
        await at.chats.choose(chat.id, shown.number, "order")
    await tell(at, chat.conversation, ended())
    await at.until_said(chat.id, "통화가 끝났습니다.")
    await at.until_said(chat.id, "골라 주세요.", times=2)
    assert (await at.chats.chat(chat.id)).state == "bot"


async def test_what_the_call_does_not_wait_for_is_said_so_and_is_in_the_record_for_an_agent_on_the_call(at):
    chat = await at.begin()
    await at.until_said(chat.id, "골라 주세요.")
    await tell(at, chat.conversation, *began(), asked())
    await at.until_said(chat.id, "말씀하시거나")
    at.calls.takes = False
    try:
        await at.chats.hear(chat.id, "여보세요")
        await at.until_said(chat.id, "지금 답을 기다리고 있지 않습니다.")

        async def recorded():
            known = await at.context.conversation(chat.conversation)
            return known and [turn.text for turn in known.turns].count("여보세요") == 1

        await until(recorded)
    finally:
        at.calls.takes = True


async def test_a_link_opened_during_the_call_shows_what_the_voice_asks(at):
    conversation = new_id(CLOCK)
    await tell(at, conversation, *began(), asked())
    ticket = await at.context.continuing.issue(conversation, "web-chat")
    chat, _ = await at.chats.open_link("web-chat", ticket.token, "ko", "somebody else")
    assert (chat.state, chat.conversation) == ("call", conversation)
    shown = await at.until_said(chat.id, "말씀하시거나")
    await at.chats.choose(chat.id, shown.number, "pay")
    assert at.calls.given[-1] == (CALL, "menu", None, "pay")
    await tell(at, conversation, ended())
    await at.until_said(chat.id, "골라 주세요.")


async def test_other_peoples_calls_are_none_of_its_business(at):
    chat, other = await at.begin(), await at.begin()
    for one in (chat, other):
        await at.until_said(one.id, "골라 주세요.")
    await tell(at, other.conversation, *began(), asked())
    await at.until_said(other.id, "말씀하시거나")
    assert (await at.chats.chat(chat.id)).state == "bot"


async def test_a_chat_with_an_agent_stays_with_the_agent(at):
    chat = await at.begin()
    await at.until_said(chat.id, "골라 주세요.")
    await at.chats.hear(chat.id, "상담원")
    await at.until_state(chat.id, "waiting")
    await at.chats.take(chat.id, "kim")
    other = await at.begin()
    await at.until_said(other.id, "골라 주세요.")
    await tell(at, chat.conversation, *began(), asked())
    await tell(at, other.conversation, *began(), asked())
    await at.until_said(other.id, "말씀하시거나")  # told later, and seen: the first was not overlooked
    assert (await at.chats.chat(chat.id)).agent == "kim"
    await at.chats.end(chat.id, "kim")


async def test_a_call_that_ended_while_control_was_away_gives_the_chat_back(tmp_path):
    async with house(tmp_path) as at:
        chat = await at.begin()
        await at.until_said(chat.id, "골라 주세요.")
        await tell(at, chat.conversation, *began(), asked())
        await at.until_state(chat.id, "call")
        # Its end is told when no chat is looked after.
        await at.chats.__aexit__()
        await tell(at, chat.conversation, ended())
    async with house(tmp_path, calls=Calls()) as at:
        await at.until_said(chat.id, "통화가 끝났습니다.")
        await at.until_said(chat.id, "골라 주세요.", times=2)


async def test_everything_of_a_call_comes_in_its_order(at):
    chat = await at.begin()
    await at.until_said(chat.id, "골라 주세요.")
    await tell(at, chat.conversation, *began(), *(asked(f"step{n}", "say", f"말씀 {n}.") for n in range(30)))
    await asyncio.gather(at.until_said(chat.id, "말씀 29."))

    async def told():
        return [one.text for one in await at.said(chat.id) if one.text.startswith("말씀 ")]

    assert await until(told) == [f"말씀 {n}." for n in range(30)]
