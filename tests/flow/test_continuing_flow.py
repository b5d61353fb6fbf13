"""`continue_from` and `hand_over`: a caller goes on where a chat ended, and in a chat where the call ended."""

import pytest
from talks import Flows, Talk

from voiceedge.clock import VirtualClock
from voiceedge.context.events.digital import ContinueRefused
from voiceedge.context.privacy.pii import PersonalDataClass
from voiceedge.context.record import Slot
from voiceedge.flow.book import FlowBook
from voiceedge.flow.call import Continued, HandOver, HandOverTicket, RecordAction
from voiceedge.flow.engine import FlowRun
from voiceedge.flow.simulator import SimulatedCall

FLOW = """
flow: test
language: ko
start: back
slots:
  order_number: {means: 주문 번호, class: none}
  birthday: {means: 생일, class: sensitive}
  ticket: {means: 채팅으로 가는 표, class: none}
anywhere:
  agent: {say: [상담원], key: 0, next: to_agent}
otherwise: lost
steps:
  back:
    continue_from: WAYS
    take: [order_number, birthday]
    next: welcome
    expired: too_late
    used: was_used
    unknown: new
    declined: no_thanks
  welcome:
    choose:
      - {when: 'continued.channel == "web-chat" && call.continued && order_number != null', next: knows}
    otherwise: new
  knows: {hang_up: "주문 {order_number:digits} 건으로 이어서 도와드리겠습니다."}
  too_late: {hang_up: 시간이 지난 번호입니다.}
  was_used: {hang_up: 이미 쓴 번호입니다.}
  new: {hang_up: 새로 시작하겠습니다.}
  no_thanks: {hang_up: 알겠습니다.}
  lost: {hang_up: 안녕히 계세요.}
  to_agent: {hang_up: 상담원에게 연결합니다.}
"""
EARLIER = {"order_number": "12345"}


def flow_with(ways: str) -> str:
    return FLOW.replace("WAYS", ways)


class Line(SimulatedCall):
    """A simulated call, or one whose earlier conversation (`found`) and ticket are laid out."""

    def __init__(self, lines=(), found=None, ticket: HandOverTicket | None = None, earlier=None) -> None:
        self.heard, self.found, self.ticket = Talk(), found, ticket
        self.recorded: list[RecordAction] = []
        self.wishes: list[HandOver] = []
        waiting = iter(lines)

        async def read(_question):
            return next(waiting, None)

        super().__init__(read, self, earlier=earlier)

    def said(self, text, recording):
        self.heard.said.append(text)

    def expects(self, question):
        self.heard.questions.append(question)

    def understood(self, reply):
        self.heard.replies.append(reply)

    def noted(self, text):
        self.heard.notes.append(text)

    async def resume(self, way, pin="", *, confirmed=False):
        return self.found or await super().resume(way, pin, confirmed=confirmed)

    async def hand_over(self, request):
        self.wishes.append(request)
        return self.ticket

    async def record(self, action):
        self.recorded.append(action)


async def run(flows: Flows, line: Line, text: str) -> Line:
    flows.write(text)
    book = FlowBook(flows.directory)
    line.heard.outcome = await FlowRun(book.flows, "test", line, line.heard, VirtualClock(), None).run()
    return line


async def talk(flows: Flows, ways: str, *lines: str | None, earlier=EARLIER) -> Talk:
    line = Line(lines, earlier=earlier)
    return (await run(flows, line, flow_with(ways))).heard


async def test_a_token_that_came_along_continues_without_a_word(flows: Flows) -> None:
    heard = await talk(flows, "[header, pin]", "continued")
    assert heard.outcome.outcome == "knows"
    assert heard.said == ["주문 일이삼, 사오 건으로 이어서 도와드리겠습니다."]


async def test_the_ways_are_tried_in_turn_until_one_holds(flows: Flows) -> None:
    heard = await talk(flows, "[header, number, pin, caller]", "expired", "absent", "123456", "continued")
    assert heard.outcome.outcome == "knows"


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        (["expired"], "too_late"),
        (["used"], "was_used"),
        (["unknown"], "new"),
        (["absent"], "new"),
        (["locked"], "new"),
    ],
)
async def test_a_refused_token_is_a_way_on(flows: Flows, answers: list[str], outcome: str) -> None:
    assert (await talk(flows, "header", *answers)).outcome.outcome == outcome


@pytest.mark.parametrize("spoken", ["123456", "일 이 삼 사 오 육"])
async def test_a_pin_is_keyed_or_spoken_and_is_in_no_event(flows: Flows, spoken: str) -> None:
    confirmation = [] if spoken.isdigit() else ["네"]
    heard = await talk(flows, "pin", spoken, *confirmation, "continued")
    assert heard.outcome.outcome == "knows"
    assert heard.questions[0].class_ is PersonalDataClass.SENSITIVE
    told = "".join(event.model_dump_json() for event in heard.events)
    assert "123456" not in told
    assert "일이삼" not in told.replace(" ", "").replace("주문일이삼,사오", "")
    assert heard.turns()[0].value == "***"


async def test_a_wrong_pin_is_asked_again_and_then_it_goes_on(flows: Flows) -> None:
    heard = await talk(flows, "pin", *["111111", "unknown"] * 3)
    assert heard.outcome.outcome == "new"
    assert heard.said[2].startswith("번호가 맞지 않습니다.") or heard.said[1].startswith("번호가 맞지 않습니다.")
    assert (await talk(flows, "pin", "111111", "unknown", "123456", "continued")).outcome.outcome == "knows"


async def test_nobody_is_asked_again_who_is_locked_out(flows: Flows) -> None:
    heard = await talk(flows, "pin", "111111", "locked")
    assert heard.outcome.outcome == "new"


@pytest.mark.parametrize("answer", ["*", "번호 없어요"])
async def test_whoever_has_no_pin_says_so(flows: Flows, answer: str) -> None:
    heard = await talk(flows, "pin", answer)
    assert heard.outcome.outcome == "no_thanks"
    assert [event.reason for event in heard.events if isinstance(event, ContinueRefused)] == ["declined"]


async def test_silence_is_no_pin(flows: Flows) -> None:
    assert (await talk(flows, "pin", "", "")).outcome.outcome == "no_thanks"


async def test_answers_that_work_anywhere_work_here(flows: Flows) -> None:
    assert (await talk(flows, "pin", "상담원")).outcome.outcome == "to_agent"
    assert (await talk(flows, "caller", "continued", "상담원")).outcome.outcome == "to_agent"


async def test_the_callers_number_needs_a_yes_and_tells_nothing_before(flows: Flows) -> None:
    heard = await talk(flows, "caller", "continued", "네")
    assert heard.outcome.outcome == "knows"
    assert heard.said[0] == "최근에 채팅으로 문의하신 적이 있으신가요? 이어서 도와드릴까요?"
    refused = await talk(flows, "caller", "continued", "아니요")
    assert refused.outcome.outcome == "no_thanks"
    assert "12345" not in "".join(refused.said)


KNOWN = {
    "order_number": Slot(value="12345"),
    "birthday": Slot(value="900101", personal_data=PersonalDataClass.SENSITIVE),
}


@pytest.mark.parametrize(("trust", "slots"), [("proved", {"order_number", "birthday"}), ("likely", {"order_number"})])
async def test_nothing_sensitive_is_taken_where_the_customer_is_only_likely(flows: Flows, trust, slots) -> None:
    line = Line(found=Continued("c1", "header", trust, "web-chat", intent="delivery", slots=KNOWN))
    await run(flows, line, flow_with("header"))
    taken = {name for name in line.heard.outcome.slots if name in KNOWN}
    assert taken == slots
    assert line.heard.outcome.intent == "delivery"
    assert all(line.heard.outcome.slots[name].class_ is KNOWN[name].personal_data for name in taken)


async def test_a_value_stays_as_private_as_it_was(flows: Flows) -> None:
    """The flow calls the order number nobody's secret; the chat did not."""
    slot = Slot(value="12345678", personal_data=PersonalDataClass.SENSITIVE)
    line = Line(found=Continued("c1", "header", "proved", "web-chat", slots={"order_number": slot}))
    await run(flows, line, flow_with("header"))
    assert line.heard.steps()[-1].says == "주문 *** 건으로 이어서 도와드리겠습니다."


async def test_a_pin_is_in_no_recording(flows: Flows) -> None:
    text = flow_with("pin").replace("start: back", "start: on_tape") + "  on_tape: {record: start, next: back}\n"
    line = await run(flows, Line(["123456"], found=Continued("c1", "pin", "proved", "web-chat", slots=KNOWN)), text)
    assert line.recorded[:3] == [RecordAction.START, RecordAction.PAUSE, RecordAction.RESUME]


AWAY = """
flow: test
language: ko
start: leave
slots:
  ticket: {means: 채팅으로 가는 표, class: none}
steps:
  leave:
    hand_over: web-chat
    reason: 상담
    send: sms
    to: "010-9999-8888"
    into: ticket
    next: tell
    failed: sorry
  tell:
    choose:
      - {when: ticket.sent, next: look}
    otherwise: read
  look: {hang_up: "문자를 보내 드렸습니다. {ticket.minutes}분 안에 {ticket.pin:digits}을/를 입력해 주세요."}
  read: {hang_up: "{ticket.pin:digits}"}
  sorry: {hang_up: 지금은 어렵습니다.}
"""


async def test_a_ticket_is_sent_and_its_code_is_spoken_and_neither_is_written_down(flows: Flows) -> None:
    ticket = HandOverTicket("kid.id.sig", "web-chat", "https://talk.example/c#x", "123456", 10, sent=True)
    line = await run(flows, Line(ticket=ticket), AWAY)
    assert line.heard.said == ["문자를 보내 드렸습니다. 10분 안에 일이삼, 사오육을 입력해 주세요."]
    wish = line.wishes[0]
    assert (wish.send, wish.to, wish.with_pin, wish.language) == ("sms", "010-9999-8888", True, "ko")
    told = "".join(event.model_dump_json() for event in line.heard.events)
    assert "123456" not in told
    assert "일이삼" not in told
    assert "talk.example" not in told
    assert "ticket" not in line.heard.conversation.get("slots", {})


async def test_where_nothing_can_be_handed_over_the_flow_goes_on(flows: Flows) -> None:
    assert (await run(flows, Line(), AWAY)).heard.outcome.outcome == "sorry"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"[header, pin]": "[]"}, "name each way once"),
        ({"[header, pin]": "[pin, pin]"}, "name each way once"),
        ({"[header, pin]": "[letter]"}, "header"),
        ({"continued.channel": "continued.colour"}, 'there is no "continued.colour"'),
        ({"take: [order_number, birthday]": "take: [order_no]"}, 'there is no slot "order_no"'),
        ({"    unknown: new\n": ""}, '"unknown" is missing'),
    ],
)
def test_mistakes_are_told(flows: Flows, change: dict[str, str], message: str) -> None:
    text = flow_with("[header, pin]")
    for old, new in change.items():
        assert old in text
        text = text.replace(old, new)
    assert any(message in error for error in flows.errors(text)), flows.errors(text)
