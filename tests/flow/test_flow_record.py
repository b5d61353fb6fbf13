"""What a flow has recorded, and that no card number is among it."""

import pytest
from test_flow_engine import Ear
from typer.testing import CliRunner

from voiceedge.cli import app
from voiceedge.errors import PromptError
from voiceedge.flow.call import CallEnded, HandOverTicket, Keyed, RecordAction

HEAD = "flow: test\nlanguage: ko\nstart: a\n"
CARD = (
    HEAD
    + """\
slots: {card: {means: 카드 번호, class: card}, way: {means: 방법, class: none}}
otherwise: lost
steps:
  a: {record: start, next: way}
  way: {ask: 카드로 하시겠습니까?, choices: {card: {say: 카드, key: 1}}, into: way, next: card}
  card: {ask: 카드 번호는요?, digits: 4, into: card, next: back, confirm: always}
  back: {say: "{card:digits}번 카드입니다.", next: done}
  done: {hang_up: 결제했습니다}
  lost: {hang_up: 끝}
"""
)
START, PAUSE, RESUME, STOP = RecordAction


class Tape(Ear):
    """A call that notes what is asked, said and done to its recording, in order."""

    def __init__(self, *replies, gone_after=None):
        super().__init__(*replies)
        self.log, self._gone_after = [], gone_after

    async def ask(self, question):
        self.log.append(question.name)
        if question.name == self._gone_after:
            raise CallEnded
        return await super().ask(question)

    async def say(self, utterances, *, barge_in=True):
        self.log += [utterance.text for utterance in utterances]

    async def record(self, action):
        self.log.append(action)
        if self._gone_after in self.log:
            raise CallEnded

    async def hand_over(self, request):
        return HandOverTicket("t", "web-chat")


async def recorded(flows, text, *replies, **options):
    flows.write(text)
    call = Tape(*replies, **options)
    outcome = (await flows.talk(call=call)).outcome
    return call.log, outcome


async def test_a_card_number_is_neither_recorded_while_it_is_asked_for_nor_when_it_is_said(flows):
    log, _ = await recorded(flows, CARD, Keyed("1"), Keyed("99"), Keyed("4111"), Keyed("1"))
    assert log == [
        START, "way",
        PAUSE, "card", "card", "card.confirm", RESUME,
        PAUSE, "사일일일번 카드입니다.", RESUME,
        "결제했습니다",
    ]  # fmt: skip


async def test_the_flow_goes_on_being_recorded_however_the_card_is_left(flows):
    log, _ = await recorded(flows, CARD, Keyed("1"), Keyed("99"), Keyed("9"), Keyed("8"))
    assert log[-3:] == ["card", RESUME, "끝"]
    away = CARD.replace("otherwise: lost", "otherwise: lost\nanywhere: {agent: {say: 상담원, key: 0, next: lost}}")
    log, _ = await recorded(flows, away, Keyed("1"), Keyed("0"))
    assert log[-3:] == ["card", RESUME, "끝"]


async def test_a_recording_that_the_flow_has_paused_itself_stays_so(flows):
    paused = CARD.replace("next: way}", "next: pause}\n  pause: {record: pause, next: way}", 1)
    log, _ = await recorded(flows, paused, Keyed("1"), Keyed("4111"), Keyed("1"))
    assert [entry for entry in log if isinstance(entry, RecordAction)] == [START, PAUSE]


async def test_what_is_not_recorded_needs_no_pause(flows):
    never = CARD.replace("start: a", "start: way").replace("  a: {record: start, next: way}\n", "")
    log, _ = await recorded(flows, never, Keyed("1"), Keyed("4111"), Keyed("1"))
    assert not any(isinstance(entry, RecordAction) for entry in log)


async def test_a_caller_who_hangs_up_at_the_card_number_ends_the_call_as_ever(flows):
    log, outcome = await recorded(flows, CARD, Keyed("1"), gone_after="card")
    assert log[-2:] == ["card", RESUME]
    assert outcome.ended_by == "caller"


async def test_a_card_question_that_fails_does_not_leave_the_recording_paused(flows):
    class Mute(Tape):
        async def say(self, utterances, *, barge_in=True):
            if utterances[0].text.startswith("사"):
                raise PromptError("no voice")
            await super().say(utterances, barge_in=barge_in)

    flows.write(CARD.replace("otherwise: lost", "otherwise: lost\non_error: lost"))
    call = Mute(Keyed("1"), Keyed("4111"), Keyed("1"))
    await flows.talk(call=call)
    assert call.log[-3:] == [PAUSE, RESUME, "끝"]


async def test_wishes_that_make_no_sense_reach_no_call(flows):
    wishes = [PAUSE, RESUME, STOP, START, START, RESUME, PAUSE, PAUSE, START, RESUME, STOP, STOP]
    steps = "".join(f"  s{n}: {{record: {wish}, next: s{n + 1}}}\n" for n, wish in enumerate(wishes))
    text = HEAD.replace("start: a", "start: s0") + f"steps:\n{steps}  s{len(wishes)}: {{hang_up: 끝}}\n"
    log, _ = await recorded(flows, text)
    assert log == [START, PAUSE, RESUME, STOP, "끝"]


async def test_a_conversation_that_goes_on_elsewhere_is_recorded_no_more(flows):
    text = (
        HEAD + "steps:\n  a: {record: start, next: b}\n"
        "  b: {hand_over: web-chat, reason: 문의, next: c, failed: c}\n  c: {hang_up: 끝}\n"
    )
    assert (await recorded(flows, text))[0] == [START, STOP, "끝"]
    flows.write(text)
    stayed = await flows.talk(hand_over=False)
    assert "recording: stop" not in stayed.notes


async def test_a_simulated_call_shows_when_it_would_be_recorded(flows):
    flows.write(CARD)
    talk = await flows.talk("1", "4111", "네")
    assert [note for note in talk.notes if note.startswith("recording")] == [
        "recording: start", "recording: pause", "recording: resume", "recording: pause", "recording: resume",
    ]  # fmt: skip
    assert ("a", "record") in [(step.step, step.kind) for step in talk.steps()]


def test_flow_try_shows_it_too(flows):
    flows.write(CARD)
    result = CliRunner().invoke(app, ["flow", "try", str(flows.directory / "test.yaml")], input="1\n4111\n1\n")
    assert result.exit_code == 0
    assert "recording: start" in result.stdout


def test_a_recording_is_started_paused_resumed_or_stopped_and_nothing_else(flows):
    (error,) = flows.errors(HEAD + "steps:\n  a: {record: begin, next: b}\n  b: {hang_up: 끝}\n")
    assert error.startswith("5:15: ")
    assert '"start", "pause", "resume" or "stop"' in error
    (missing,) = flows.errors(HEAD + "steps:\n  a: {record: start}\n")
    assert '"next" is missing' in missing


@pytest.mark.parametrize(
    ("steps", "warned"),
    [
        ("  a: {record: start, next: b}\n  b: {record: pause, next: c}\n  c: {record: resume, next: d}", []),
        ("  a: {record: pause, next: d}", ['"pause" does nothing: no step before it has record: start']),
        ("  a: {record: stop, next: b}\n  b: {record: start, next: d}", ['"stop" does nothing']),
        ("  a: {record: start, next: b}\n  b: {record: resume, next: d}", ["no step before it has record: pause"]),
        ("  a: {record: start, next: b}\n  b: {say: 네, next: d}\n  e: {record: stop, next: d}", []),
    ],
)
def test_what_acts_on_a_recording_that_nothing_began_is_warned_of(flows, steps, warned):
    text = HEAD + "anywhere: {e: {say: 그만, key: 0, next: e}}\n" if "  e:" in steps else HEAD
    warnings = flows.warnings(text + f"steps:\n{steps}\n  d: {{hang_up: 끝}}\n")
    assert [found in warning for found, warning in zip(warned, warnings, strict=True)] == [True] * len(warned)


def test_a_sub_flow_may_pause_what_another_flow_has_begun(flows):
    inner = "flow: inner\nlanguage: ko\nstart: a\nsteps:\n  a: {record: pause, next: b}\n  b: {return: done}\n"
    assert flows.warnings(inner) == []
