"""Whatever callers, services and authors do, every call comes to a good end."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from talks import Service, converse

from voiceedge.clock import VirtualClock
from voiceedge.connectors.answers import Failed, Found, NotFound
from voiceedge.context.privacy.pii import PersonalDataClass
from voiceedge.errors import FlowError, PromptError
from voiceedge.flow.book import FlowBook
from voiceedge.flow.call import CallEnded, CallFacts, HandOver, Keyed, NoInput, TransferResult
from voiceedge.flow.frame import Frame, fixed_prompts
from voiceedge.speech.heard import Decision, Heard

HEAD = "flow: test\nlanguage: ko\nstart: a\n"
MENU = (
    HEAD
    + """\
slots: {n: {means: 번호, class: personal}, which: {means: 무엇, class: none}}
anywhere:
  agent: {say: 상담원, key: 0, next: agent}
  repeat: {say: 다시, key: "*", next: again}
otherwise: lost
steps:
  a:
    ask: 무엇을 도와드릴까요?
    choices:
      one: {say: [배송 조회, 택배], key: 1, next: done, intent: delivery}
      two: {say: [영업 시간], key: 2}
    into: which
    next: second
    no_input: [첫 침묵, 둘째 침묵]
    no_match: [첫 실수, 둘째 실수]
  second: {hang_up: 둘째}
  done: {hang_up: 끝, outcome: delivered}
  agent: {hang_up: 상담원입니다}
  lost: {hang_up: 안녕히 계세요}
"""
)
NUMBER = (
    HEAD
    + """\
slots: {n: {means: 번호, class: CLASS}}
anywhere: {agent: {say: 상담원, key: 0, next: agent}}
otherwise: lost
steps:
  a: {ask: 번호는요?, digits: {length: 4..6, end: "#"}, into: n, next: done}
  done: {hang_up: "{n:digits}번"}
  agent: {hang_up: 상담원}
  lost: {hang_up: 끝}
"""
).replace("CLASS", "none")


async def test_a_phrase_and_a_key_lead_to_the_same_step(flows):
    flows.write(MENU)
    assert (await flows.talk("배송 조회")).said == (await flows.talk("1")).said == ["무엇을 도와드릴까요?", "끝"]


async def test_keys_and_phrases_are_awaited_together_with_those_from_anywhere(flows):
    flows.write(MENU)
    question = (await flows.talk("1")).questions[0]
    assert question.keys.single == set("120*")
    assert {phrase.text for phrase in question.expectation.phrases} == {
        "배송 조회",
        "택배",
        "영업 시간",
        "상담원",
        "다시",
    }


async def test_the_outcome_tells_intent_slots_and_journey(flows):
    flows.write(MENU)
    talk = await flows.talk("택배")
    assert talk.outcome.outcome == "delivered"
    assert talk.outcome.ended_by == "flow"
    assert talk.outcome.intent == talk.conversation["intent"] == "delivery"
    assert talk.outcome.slots["which"].value == "one"
    assert talk.outcome.journey == ("test/a", "test/done")
    assert talk.conversation["slots"]["which"].value == "one"
    assert talk.conversation["language"] == "ko"


async def test_prompts_taper_separately_for_silence_and_mistakes_and_then_the_call_goes_on(flows):
    flows.write(MENU)
    assert (await flows.talk("", "뭐라고요 그게", "")).said == [
        "무엇을 도와드릴까요?",
        "첫 침묵",
        "첫 실수",
        "안녕히 계세요",
    ]
    flows.write(MENU.replace("    next: second\n", "    next: second\n    attempts: 4\n"))
    assert (await flows.talk("", "", "")).said[1:] == ["첫 침묵", "둘째 침묵", "둘째 침묵"]


async def test_without_prompts_of_its_own_a_question_is_repeated_after_the_common_ones(flows):
    flows.write(NUMBER)
    assert (await flows.talk("", "")).said == [
        "번호는요?", "말씀이 들리지 않았습니다.", "번호는요?", "죄송합니다만 아직 말씀이 들리지 않습니다.", "번호는요?",
    ]  # fmt: skip


async def test_the_caller_reaches_an_agent_from_anywhere_and_can_have_it_repeated(flows):
    flows.write(MENU)
    assert (await flows.talk("0")).said[-1] == "상담원입니다"
    assert (await flows.talk("상담원")).said[-1] == "상담원입니다"
    assert (await flows.talk("*", "다시", "2")).said == ["무엇을 도와드릴까요?"] * 3 + ["둘째"]


async def test_repeating_does_not_use_up_attempts(flows):
    flows.write(MENU)
    assert (await flows.talk(*["", "", "*"] * 3, "1")).said[-1] == "끝"


async def test_an_unsure_answer_is_confirmed_by_word_or_key(flows):
    flows.write(MENU)
    for yes in ("네", "1", "맞아요"):
        talk = await flows.talk("배동 조해", yes)
        assert talk.said == ["무엇을 도와드릴까요?", "배송 조회, 맞으십니까?", "끝"]
        assert [turn.decision for turn in talk.turns()] == ["confirm", "accept"]
        assert talk.steps()[1].kind == "confirm"


async def test_a_denied_answer_is_asked_again_and_one_left_unclear_counts_as_a_mistake(flows):
    flows.write(MENU)
    assert (await flows.talk("배동 조해", "아니요", "2")).said[2:] == [
        "네, 다시 여쭤보겠습니다.",
        "무엇을 도와드릴까요?",
        "둘째",
    ]
    assert (await flows.talk("배동 조해", "", "음 글쎄요", "2")).said[3:] == ["첫 실수", "둘째"]
    assert (await flows.talk("배동 조해", "0")).said[-1] == "상담원입니다"


async def test_confirmation_always_and_never(flows):
    flows.write(
        MENU.replace("    next: second\n", "    next: second\n    confirm: always\n    confirm_with: '{heard}요?'\n")
    )
    assert (await flows.talk("1", "네")).said[1] == "배송 조회요?"
    flows.write(MENU.replace("    next: second\n", "    next: second\n    confirm: never\n"))
    assert (await flows.talk("배동 조해")).said[1] == "끝"


class Ear:
    """A call whose ear answers what it is told to."""

    facts = CallFacts("c", "v", caller="01012345678", called="15880000")

    def __init__(self, *replies):
        self.replies, self.questions, self.said = list(replies), [], []

    async def say(self, utterances, *, barge_in=True):
        self.said += [utterance.text for utterance in utterances]

    async def ask(self, question):
        self.questions.append(question)
        if not self.replies:
            raise CallEnded
        return self.replies.pop(0)

    async def hand_over(self, request: HandOver):
        return None

    async def transfer(self, target):
        return TransferResult.FAILED

    async def hang_up(self):
        pass


def heard(decision: Decision, value: str | None) -> Heard:
    return Heard(decision, value, value, "들린 말", 0.5, 900)


async def test_an_unsure_yes_needs_a_second_one(flows):
    flows.write(MENU)
    unsure = [heard(Decision.CONFIRM, "one"), heard(Decision.CONFIRM, "yes")]
    assert (await flows.talk(call=Ear(*unsure, heard(Decision.CONFIRM, "yes")))).outcome.outcome == "delivered"
    assert (await flows.talk(call=Ear(*unsure, heard(Decision.CONFIRM, "no")))).outcome.ended_by == "caller"


YES_OR_NO = (
    HEAD
    + """
steps:
  a:
    ask: 보내 드릴까요?
    choices: {send: {say: [네, 네 보내 주세요], key: 1, next: sent}, keep: {say: 아니요, key: 2, next: kept}}
    no_match: 일 번이나 이 번을 눌러 주세요.
    otherwise: kept
  sent: {hang_up: 보냈습니다, outcome: sent}
  kept: {hang_up: 알겠습니다, outcome: kept}
"""
)


async def test_an_unsure_yes_to_a_question_is_asked_for_again_rather_than_confirmed_by_another_yes(flows):
    flows.write(YES_OR_NO)
    yes, no = heard(Decision.CONFIRM, "send"), heard(Decision.CONFIRM, "keep")
    twice = await flows.talk(call=Ear(yes, yes))
    assert twice.outcome.outcome == "sent"
    assert [step.says for step in twice.steps()][:2] == ["보내 드릴까요?", "일 번이나 이 번을 눌러 주세요."]
    assert (await flows.talk(call=Ear(yes, no, no))).outcome.outcome == "kept"


async def test_a_prompt_that_holds_personal_data_says_so(flows):
    flows.write(NUMBER.replace("class: none", "class: personal"))
    frame = Frame.enter(FlowBook(flows.directory).get("test"), {"n": "1234"})
    done = frame.flow.steps["done"]
    assert [said.personal for said in frame.spoken(done.hang_up, frame.slots).utterances] == [True]
    question = frame.flow.steps["a"]
    assert [said.personal for said in frame.spoken(question.ask, frame.slots).utterances] == [False]


async def test_a_value_that_was_never_asked_for_is_a_mistake(flows):
    flows.write(MENU)
    for reply in (heard(Decision.ACCEPT, "nonsense"), heard(Decision.ACCEPT, None), Keyed(""), Keyed("19"), Keyed("#")):
        talk = await flows.talk(call=Ear(reply, Keyed("1")))
        assert talk.turns()[0].decision == "reject"
        assert talk.outcome.outcome == "delivered"


async def test_a_number_is_taken_from_keys_and_read_back_when_spoken(flows):
    flows.write(NUMBER)
    assert (await flows.talk("1234#")).said[-1] == "일이삼사번"
    spoken = await flows.talk("일 이 삼 사", "네")
    assert spoken.said[1].startswith("일이삼사, 맞으십니까?")
    assert spoken.outcome.slots["n"].value == "1234"
    assert (await flows.talk("일 이 삼 사", "아니요", "4321#")).outcome.slots["n"].value == "4321"


async def test_a_number_of_the_wrong_length_is_a_mistake_and_a_lone_zero_still_reaches_the_agent(flows):
    flows.write(NUMBER)
    talk = await flows.talk("12#", "0#")
    assert talk.turns()[0].decision == "reject"
    assert talk.said[-1] == "상담원"
    assert talk.questions[0].keys.single == set()
    assert (talk.questions[0].keys.shortest, talk.questions[0].keys.longest) == (4, 6)


async def test_personal_values_are_masked_in_every_event_and_in_the_clear_in_the_record(flows):
    flows.write(NUMBER.replace("class: none", "class: personal"))
    for lines in (("123456",), ("일 이 삼 사 오 육", "네"), ("12", "9876543", ""), ("사 오 육 칠", "98765", "네")):
        talk = await flows.talk(*lines)
        written = " ".join(event.model_dump_json() for event in talk.events)
        for secret in ("123456", "98765", "일이삼", "일 이 삼"):
            assert secret not in written
    talk = await flows.talk("123456")
    assert talk.conversation["slots"]["n"].value == "123456"
    assert talk.conversation["slots"]["n"].personal_data is PersonalDataClass.PERSONAL
    assert talk.steps()[-1].says == "***번"


async def test_a_slot_without_a_class_is_treated_with_care(flows):
    flows.write(NUMBER.replace("{means: 번호, class: none}", "번호"))
    assert (await flows.talk("123456")).steps()[-1].says == "***번"


async def test_a_phone_number_in_free_speech_is_masked(flows):
    flows.write(MENU)
    talk = await flows.talk("제 번호는 010-1234-5678 입니다")
    assert "1234" not in talk.turns()[0].model_dump_json()


CHOOSE = (
    HEAD
    + """\
slots: {n: {means: 수, class: none, starts: 2}, text: {means: 글, class: none}}
settings: {limit: 5}
steps:
  a: {set: {n: "= n + 3", text: "합 {n}"}, next: b}
  b:
    choose:
      - {when: n > settings.limit, next: big}
      - {when: n == 5 && text == "합 2" && call.called == "15880000", next: five}
    otherwise: other
  big: {hang_up: 크다}
  five: {hang_up: "{text}, {n:number}"}
  other: {hang_up: 다르다}
"""
)


async def test_set_calculates_from_the_values_before_it_and_choose_takes_the_first_that_holds(flows):
    flows.write(CHOOSE)
    assert (await flows.talk()).said == ["합 2, 오"]


async def test_settings_of_the_site_win_over_those_of_the_flow(flows):
    flows.write(
        CHOOSE.replace("settings: {limit: 5}", 'settings: {greeting: "x"}').replace(
            "n > settings.limit", 'settings.greeting == "y"'
        )
    )
    assert (await flows.talk(values={"greeting": "y", "unknown": "z"})).said == ["크다"]


@pytest.mark.parametrize(
    ("when", "moment", "said"),
    [
        ('now.time >= "09:00" && now.time < "18:00"', datetime(2026, 11, 23, 0, 30, tzinfo=UTC), "그렇다"),
        ('now.time >= "09:00" && now.time < "18:00"', datetime(2026, 11, 23, 9, 30, tzinfo=UTC), "아니다"),
        ('now.weekday == "mon" && now.date == "2026-11-23"', datetime(2026, 11, 22, 15, 0, tzinfo=UTC), "그렇다"),
    ],
)
async def test_opening_hours_follow_the_time_zone_of_the_flow(flows, when, moment, said):
    flows.write(
        HEAD + f"steps:\n  a: {{choose: [{{when: '{when}', next: b}}], otherwise: c}}\n"
        "  b: {hang_up: 그렇다}\n  c: {hang_up: 아니다}\n"
    )
    assert (await flows.talk(clock=VirtualClock(moment))).said == [said]


LOOK_UP = (
    HEAD
    + """\
slots: {id: {means: 번호, class: none, starts: "a/b?c=../"}, order: {means: 주문, class: none}}
settings: {api: "http://127.0.0.1:9/base/"}
on_error: trouble
steps:
  a: {look_up: "{settings.api}/orders/{id}", into: order, found: b, not_found: none, error: down}
  b: {choose: [{when: order.status == "shipped", next: c}], otherwise: d}
  c: {say: "{order.carrier}이/가 {order.arrives:day}에", next: d}
  d: {hang_up: 끝}
  none: {hang_up: 없음}
  down: {hang_up: 고장}
  trouble: {hang_up: 문제}
"""
)


async def test_a_look_up_has_exits_for_found_not_found_and_error(flows):
    flows.write(LOOK_UP)
    shipped = {"status": "shipped", "carrier": "한빛택배", "arrives": "2026-11-24"}
    service = Service(Found(shipped))
    assert (await flows.talk(look_ups=service)).said == ["한빛택배가 십일월 이십사일에", "끝"]
    assert service.requests[0].url == "http://127.0.0.1:9/base/orders/a%2Fb%3Fc%3D..%2F"
    assert (await flows.talk(look_ups=Service(NotFound()))).said == ["없음"]
    assert (await flows.talk(look_ups=Service(Failed("x")))).said == ["고장"]


async def test_garbage_from_a_service_takes_the_error_exit_and_never_ends_in_silence(flows):
    flows.write(LOOK_UP)
    for garbage in (
        {},
        {"status": []},
        {"status": "shipped"},
        {"status": "shipped", "carrier": "x", "arrives": "soon"},
    ):
        said = (await flows.talk(look_ups=Service(Found(garbage)))).said
        assert said[-1] in {"문제", "끝"}, garbage
    flows.write(LOOK_UP.replace("on_error: trouble\n", "").replace("  trouble: {hang_up: 문제}\n", ""))
    talk = await flows.talk(look_ups=Service(Found({})))
    assert "문제가 생겨" in talk.said[-1]
    assert talk.outcome.outcome == "error"


async def test_an_error_in_the_error_handling_ends_the_call_politely(flows):
    flows.write(
        HEAD + "slots: {n: 수}\non_error: b\nsteps:\n  a: {say: '{n}', next: b}\n"
        "  b: {say: '{n:won}', next: c}\n  c: {hang_up: 끝}\n"
    )
    talk = await flows.talk()
    assert len(talk.said) == 1
    assert "문제가 생겨" in talk.said[0]


async def test_a_flow_that_turns_in_circles_ends_with_an_apology(flows):
    flows.write(HEAD + "slots: {n: {means: 수, starts: 0}}\nsteps:\n  a: {set: {n: '= n + 1'}, next: b}\n"
                "  b: {choose: [{when: n < 0, next: c}], otherwise: a}\n  c: {hang_up: 끝}\n")  # fmt: skip
    talk = await flows.talk()
    assert "문제가 생겨" in talk.said[0]
    assert talk.outcome.outcome == "error"


async def test_a_caller_who_never_says_anything_is_not_kept_forever(flows):
    flows.write(HEAD + "otherwise: a\nsteps:\n  a: {ask: 네?, choices: {x: {key: 1, next: b}}}\n  b: {hang_up: 끝}\n")
    talk = await flows.talk(call=Ear(*[NoInput()] * 10_000))
    assert talk.outcome.outcome == "error"


@pytest.mark.parametrize(("result", "said"), [
    (TransferResult.DONE, []), (TransferResult.BUSY, ["통화 중"]), (TransferResult.NO_ANSWER, ["안 됨"]),
    (TransferResult.REFUSED, ["안 됨"]), (TransferResult.FAILED, ["안 됨"]),
])  # fmt: skip
async def test_a_transfer_has_an_exit_for_each_end(flows, result, said):
    flows.write(HEAD + "steps:\n  a: {transfer: 'sip:{call.called}@pbx', busy: b, failed: c, outcome: agent}\n"
                "  b: {hang_up: 통화 중}\n  c: {hang_up: 안 됨}\n")  # fmt: skip
    talk = await flows.talk(transfer=result)
    assert talk.said == said
    assert talk.notes == [f"transfer to sip:15880000@pbx: {result}"]
    assert (talk.outcome.outcome, talk.outcome.ended_by) == (
        ("agent", "transfer") if not said else ("b" if "통" in said[0] else "c", "flow")
    )


async def test_a_hand_over_takes_slots_along_with_their_classes_or_takes_its_other_exit(flows):
    flows.write(HEAD + "slots: {n: {means: 수, class: card, starts: '4111'}, m: 글}\nsteps:\n"
                "  a: {hand_over: web-chat, reason: 문의, take: [n, m], valid_s: 60, next: b, failed: c}\n"
                "  b: {hang_up: 보냄}\n  c: {hang_up: 못 보냄}\n")  # fmt: skip
    assert (await flows.talk()).said == ["보냄"]
    assert (await flows.talk(hand_over=False)).said == ["못 보냄"]
    asked = []

    class Desk(Ear):
        async def hand_over(self, request):
            asked.append(request)

    await flows.talk(call=Desk())
    assert asked == [HandOver("web-chat", "문의", None, {"n": "4111"}, 60.0, {"n": PersonalDataClass.CARD})]


INNER = """\
flow: inner
language: ko
start: a
slots: {start: {means: 처음, class: none}, found: {means: 찾은 것, class: none}}
otherwise: gone
steps:
  a: {ask: "{start}부터?", digits: 2, into: found, next: good, confirm: never}
  good: {return: good}
  gone: {return: gone}
"""
OUTER = (
    HEAD
    + """\
slots: {n: {means: 수, class: none}}
anywhere: {agent: {say: 상담원, key: "*", next: agent}}
steps:
  a: {run: inner, with: {start: "= 'ㄱ' + '나'"}, into: {n: found}, on: {good: b, gone: c}}
  b: {hang_up: "{n:digits}"}
  c: {hang_up: 없음}
  agent: {hang_up: 상담원}
"""
)


async def test_a_sub_flow_is_given_values_returns_values_and_knows_the_outer_ways_out(flows):
    flows.write(INNER, "inner")
    flows.write(OUTER)
    assert (await flows.talk("12")).said == ["ㄱ나부터?", "일이"]
    assert (await flows.talk("", "", "")).said[-1] == "없음"
    talk = await flows.talk("상담원")
    assert talk.said[-1] == "상담원"
    assert talk.outcome.journey == ("test/a", "inner/a", "test/agent")


@pytest.mark.parametrize("after", range(6))
async def test_a_caller_who_hangs_up_at_any_question_ends_the_run_with_what_was_found_out(flows, after):
    talk = await converse(
        FlowBook(Path("ivr_flows")).flows, "retail", ["배송 조회", "", "일이삼사오", "아니요", "12345#"][:after]
    )
    assert talk.outcome.outcome == "caller_hung_up"
    assert talk.outcome.ended_by == "caller"


async def test_cancelling_the_run_is_not_swallowed(flows):
    flows.write(MENU)

    class Waiting(Ear):
        async def ask(self, question):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await flows.talk(call=Waiting())


async def test_a_prompt_that_cannot_be_rendered_is_an_error_of_the_step(flows):
    flows.write(HEAD + "on_error: b\nsteps:\n  a: {say: 안녕하세요, next: b}\n  b: {hang_up: 끝}\n")

    class Mute(Ear):
        async def say(self, utterances, *, barge_in=True):
            if "안녕" in utterances[0].text:
                raise PromptError("no voice")
            await super().say(utterances)

    call = Mute()
    assert (await flows.talk(call=call)).outcome.outcome == "b"
    assert call.said == ["끝"]


async def test_recordings_stand_for_prompts_without_values(flows, tmp_path):
    folder = tmp_path / "prompts" / "test"
    folder.mkdir(parents=True)
    for name in ("a", "a.no_input.1", "done"):
        (folder / f"{name}.wav").touch()
    flows.write(MENU)
    talk = await flows.talk("", "1")
    assert [Path(recording).name if recording else None for recording in talk.recordings] == [
        "a.wav",
        "a.no_input.1.wav",
        "done.wav",
    ]
    flows.write(NUMBER)
    assert (await flows.talk("1234#")).recordings == [str(folder / "a.wav"), None]


async def test_a_flow_that_breaks_on_reload_stays_as_it_was_and_running_calls_keep_theirs(flows):
    path = flows.write(HEAD + "steps:\n  a: {hang_up: 처음}\n")
    book = FlowBook(flows.directory)
    running = book.flows
    path.write_text("flow: [", encoding="utf-8")
    assert ["cannot be read" in str(problem) for problem in book.reload()] == [True]
    assert (await converse(book.flows, "test", [])).said == ["처음"]
    path.write_text(HEAD + "steps:\n  a: {hang_up: 나중}\n", encoding="utf-8")
    assert book.reload() == []
    assert (await converse(book.flows, "test", [])).said == ["나중"]
    assert (await converse(running, "test", [])).said == ["처음"]
    path.unlink()
    assert "no flow files" in str(book.reload()[0])
    assert "test" in book.flows


def test_a_book_with_a_broken_flow_is_not_opened_and_an_unknown_flow_is_named(flows):
    flows.write(HEAD + "steps:\n  a: {hang_up: 처음, x: 1}\n")
    with pytest.raises(FlowError, match=r"test.yaml:5:\d+: unknown key"):
        FlowBook(flows.directory)
    with pytest.raises(FlowError, match="There are: "):
        FlowBook(Path("ivr_flows")).get("nowhere")


def test_everything_that_is_said_without_values_can_be_rendered_ahead():
    texts = {utterance.text for utterance in fixed_prompts(FlowBook(Path("ivr_flows")).get("retail"))}
    assert "안녕하세요. 보이스엣지 몰 고객센터입니다." in texts
    assert "배송 조회, 맞으십니까?" in texts
    assert not any("{" in text for text in texts)
