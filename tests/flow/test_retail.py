"""The flow a retailer could start from: callers get what they call for, and are never left standing."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from talks import Screen, Service, Talk, converse

from voiceedge.clock import VirtualClock
from voiceedge.connectors.answers import Failed, Found, NotFound
from voiceedge.flow.book import FlowBook
from voiceedge.flow.call import CallFacts, TransferResult
from voiceedge.flow.engine import FlowRun
from voiceedge.flow.simulator import SimulatedCall

FLOWS = FlowBook(Path("ivr_flows")).flows
SHIPPED = Found({"status": "shipped", "carrier": "한빛택배", "arrives": "2026-11-24"})
MONDAY_NOON = datetime(2026, 11, 23, 3, tzinfo=UTC)
SUNDAY = datetime(2026, 11, 22, 3, tzinfo=UTC)
SENT = "sent by sms to the caller"
EARLIER = {"order_number": "12345", "topic": "배송 문의"}


async def call(*lines, look_ups=None, moment=MONDAY_NOON, flow="retail", **more):
    return await converse(FLOWS, flow, lines, look_ups=look_ups or Service(SHIPPED), clock=VirtualClock(moment), **more)


@pytest.mark.parametrize("lines", [
    ("배송 조회", "일 이 삼 사 오", "네", "아니요"),
    ("1", "12345#", "2"),
    ("택배 언제 와요", "12345#", "", "괜찮아요"),
])  # fmt: skip
async def test_a_delivery_is_told_by_speech_and_by_keys(lines):
    talk = await call(*lines)
    assert "고객님의 상품은 한빛택배를 통해 배송 중이며, 십일월 이십사일에 도착할 예정입니다." in talk.said
    assert (talk.outcome.outcome, talk.outcome.intent) == ("served", "delivery")
    assert talk.outcome.slots["order_number"].value == "12345"


@pytest.mark.parametrize(("status", "words"), [("delivered", "배송이 완료"), ("preparing", "발송을 준비")])
async def test_the_other_states_of_a_delivery(status, words):
    talk = await call("1", "12345#", "2", look_ups=Service(Found({"status": status})))
    assert any(words in text for text in talk.said)


async def test_without_the_order_service_the_caller_is_led_to_chat_with_what_was_said():
    talk = await call("1", "12345#", "네 보내 주세요", look_ups=Service(Failed("down")))
    assert talk.notes == ["hand over to web-chat: 배송 문의 (takes along: order_number, topic)", SENT]
    assert "채팅 상담 링크를 문자로 보내 드렸습니다." in talk.said[-2]
    assert talk.outcome.outcome == "served"


async def test_an_unknown_order_is_asked_for_again_and_then_led_to_chat():
    talk = await call("1", "12345#", "54321#", "2", look_ups=Service(NotFound(), SHIPPED))
    assert any("일이삼, 사오번으로는 주문이 확인되지" in text for text in talk.said)
    assert talk.outcome.slots["order_number"].value == "54321"
    talk = await call("1", "12345#", "54321#", "99999#", "네", look_ups=Service(NotFound()))
    assert talk.notes


async def test_a_return_goes_to_chat_with_the_order_number():
    talk = await call("반품하고 싶어요", "12345#", "1")
    assert talk.notes == ["hand over to web-chat: 교환·반품 문의 (takes along: order_number, topic)", SENT]
    assert talk.outcome.intent == "return"


async def test_whoever_does_not_know_the_number_is_helped_all_the_same():
    talk = await call("반품하고 싶어요", "몰라요", "네")
    assert talk.outcome.outcome == "served"


@pytest.mark.parametrize("line", ["상담원 연결", "0", "상담원"])
async def test_the_agent_is_reached_in_office_hours_and_a_note_can_be_left_outside(line):
    assert (await call(line)).outcome.ended_by == "transfer"
    closed = await call(line, "네", moment=SUNDAY)
    assert closed.said[-1].startswith("이용해 주셔서")
    assert closed.notes


async def test_busy_agents_and_a_broken_chat_still_end_with_a_word():
    talk = await call("0", "네", transfer=TransferResult.BUSY, hand_over=False)
    assert talk.outcome.outcome == "unserved"
    assert "다시 전화해" in talk.said[-1]


async def test_silence_ends_with_an_agent():
    talk = await call("", "", "")
    assert talk.outcome.ended_by == "transfer"


async def test_opening_hours_and_back_to_the_menu():
    talk = await call("3", "네", "영업 시간", "아니요")
    assert sum("오전 아홉 시부터" in text for text in talk.said) == 2


async def test_from_inside_the_number_sub_flow_one_gets_back_to_the_beginning():
    talk = await call("1", "처음으로", "3", "2")
    assert talk.outcome.outcome == "served"


async def test_whoever_was_in_a_chat_is_told_of_the_order_without_being_asked_for_it():
    by_header = await call("continued", "2", earlier=EARLIER)
    by_number = await call("absent", "continued", "2", earlier=EARLIER)
    by_caller = await call("absent", "absent", "continued", "네", "2", earlier=EARLIER)
    by_pin = await call("absent", "absent", "absent", "9", "123456", "continued", "2", earlier=EARLIER)
    for talk in (by_header, by_number, by_caller, by_pin):
        assert "앞서 말씀하신 주문 번호 일이삼, 사오번으로 이어서 도와드리겠습니다." in talk.said
        assert any("한빛택배를 통해 배송 중" in text for text in talk.said)
        assert "number" not in [step.step for step in talk.steps()]


async def test_a_return_goes_on_with_an_agent_and_without_an_order_with_the_menu():
    returning = await call("continued", earlier=EARLIER | {"topic": "교환·반품 문의"})
    assert returning.outcome.ended_by == "transfer"
    assert "교환이나 반품을 이어서" in returning.said[1]
    assert (await call("continued", "3", "2", earlier={"topic": "일반 상담"})).outcome.outcome == "served"


@pytest.mark.parametrize("lines", [("9", "123456", "unknown", "123456", "unknown", "123456", "unknown"), ("9", "*")])
async def test_a_code_that_leads_nowhere_leads_back_to_the_menu(lines):
    talk = await call(*lines, "3", "2")
    assert talk.outcome.outcome == "served"


async def test_nobody_is_asked_for_a_code_or_about_a_chat_who_does_not_want_to_continue_one():
    talk = await call("3", "2")
    assert [question.name for question in talk.questions] == ["menu", "more"]


async def test_the_english_line():
    talk = await call("where is my order", "1 2 3 4 5", "yes", "no", flow="english")
    assert any("should arrive on November twenty fourth" in text for text in talk.said)
    assert (await call("agent", flow="english", transfer=TransferResult.BUSY)).outcome.outcome == "chat"


async def test_a_key_is_told_by_the_words_it_stands_for_and_a_number_as_it_is():
    talk = await call("1", "12345#", "2")
    assert [(turn.value, turn.transcript) for turn in talk.turns()] == [
        ("delivery", "배송 조회"), ("12345", None), ("done", "아니요"),
    ]  # fmt: skip


@pytest.mark.parametrize(("flow", "lines"), [
    ("retail", ("무슨 말이에요", "배송 조회", "12345", "무슨 말이에요", "아니요")),
    ("retail", ("반품하고 싶어요", "모르겠어요")),
    ("retail", ("배송 조회", "12345", "네", "반품하고 싶어요", "무슨 말이에요", "네")),
    ("english", ("what do you mean", "where is my order", "what", "12345")),
])  # fmt: skip
async def test_who_reads_on_a_screen_is_told_of_no_keys(flow, lines):
    talk, waiting = Talk(), iter(lines)

    async def read(_):
        return next(waiting, None)

    facts = CallFacts("chat", "chat", caller="", called="", channel="web-chat")
    run = FlowRun(FLOWS, flow, SimulatedCall(read, Screen(talk), facts), talk, VirtualClock(SUNDAY), Service(SHIPPED))
    await run.run()
    assert next(waiting, None) is None
    told = [
        text
        for text in talk.said
        if re.search(r"[영일이삼사오구] 번(?!호)|우물|\b(press|key in)\b", text, re.IGNORECASE)
    ]
    assert told == []
