"""Steps that bring the caller to somebody: what is asked of the call, and every way it can end."""

import pytest
from test_flow_engine import Ear

from voiceedge.flow.call import Dial, DialResult, Enqueue, QueueResult, Utterance, Voicemail, VoicemailResult

HEAD = "flow: test\nlanguage: ko\nstart: a\nslots: {who: {means: 고객, starts: 김}}\nsettings: {desk: sales}\nsteps:\n"


def ends(*names):
    return "".join(f"  {name}: {{hang_up: {name}}}\n" for name in names)


DIAL = (
    HEAD
    + """\
  a:
    dial: [kim, "02-1234-5678"]
    ring_s: 15
    whisper: "{who} 고객입니다."
    accept: true
    caller_id: "15880000"
    recorded: true
    next: talked
    busy: busy
    no_answer: no_answer
    refused: refused
    failed: failed
"""
    + ends(*DialResult)
)
QUEUE = (
    HEAD
    + """\
  a:
    queue: "{settings.desk}"
    priority: 2
    skills: {english: 3}
    next: talked
    full: full
    closed: closed
    timeout: timeout
    left: left
    call_back: call_back
    failed: failed
"""
    + ends(*QueueResult)
)
MAIL = (
    HEAD + "  a: {voicemail: sales, longest_s: 60, next: kept, empty: empty, failed: failed}\n" + ends(*VoicemailResult)
)


class Reached(Ear):
    """A call in which it ends as told."""

    def __init__(self, result):
        super().__init__()
        self.result, self.wishes = result, []

    async def dial(self, wish):
        self.wishes.append(wish)
        return self.result

    queue = voicemail = dial


async def reached(flows, text, result):
    flows.write(text)
    call = Reached(result)
    talk = await flows.talk(call=call)
    return call.wishes, talk


ALL = ((DIAL, DialResult), (QUEUE, QueueResult), (MAIL, VoicemailResult))


@pytest.mark.parametrize(("text", "result"), [(text, result) for text, results in ALL for result in results])
async def test_each_way_it_ends_leads_to_its_own_step(flows, text, result):
    _, talk = await reached(flows, text, result)
    assert talk.outcome.outcome == result.value


@pytest.mark.parametrize(("text", "result"), [
    (DIAL, DialResult.BUSY), (DIAL, DialResult.REFUSED), (QUEUE, QueueResult.TIMEOUT), (MAIL, VoicemailResult.EMPTY),
])  # fmt: skip
async def test_an_exit_that_is_left_out_is_the_failed_one(flows, text, result):
    without = "\n".join(line for line in text.split("\n") if line.split(":")[0] != f"    {result}")
    without = without.replace("empty: empty, ", "").replace(f"  {result}: {{hang_up: {result}}}\n", "")
    _, talk = await reached(flows, without, result)
    assert talk.outcome.outcome == "failed"


async def test_what_is_dialled_is_filled_in(flows):
    (wish,), talk = await reached(flows, DIAL, DialResult.TALKED)
    whisper = (Utterance("김 고객입니다.", "ko", personal=True),)
    assert wish == Dial(("kim", "02-1234-5678"), "ko", 15, whisper, True, "15880000", True)
    assert talk.steps()[0].kind == "dial"
    assert talk.steps()[0].says is None, "a whisper is not said to the caller"


async def test_what_has_no_exit_is_not_offered_to_who_waits(flows):
    (wish,), _ = await reached(flows, QUEUE, QueueResult.TALKED)
    assert wish == Enqueue("sales", "ko", 2, {"english": 3}, (), may_leave=True, may_be_called_back=True)
    bare = HEAD + "  a: {queue: sales, next: talked, failed: failed}\n" + ends("talked", "failed")
    (wish,), _ = await reached(flows, bare, QueueResult.TALKED)
    assert wish == Enqueue("sales", "ko")


async def test_a_mailbox_without_words_of_its_own_says_those_of_the_language(flows):
    (wish,), talk = await reached(flows, MAIL, VoicemailResult.KEPT)
    assert isinstance(wish, Voicemail)
    assert "삐 소리" in wish.prompt[0].text
    assert talk.steps()[0].says == wish.prompt[0].text


@pytest.mark.parametrize(("step", "error"), [
    ("dial: 상담원", '7:13: "상담원" cannot be dialled. Write an agent\'s name'),
    ("dial: 15880000", '7:13: put the number in quotes, such as "15880000".'),
    ("dial: []", '7:7: "dial" is empty'),
    ("dial: [kim, '내선 1']", "cannot be dialled"),
    ("dial: kim, ring_s: 1", '"ring_s" must be'),
    ("queue: 영업", "is no name"),
    ("queue: sales, priority: 0", '"priority" must be'),
    ("queue: sales, skills: {english: 9}", '"english" must be'),
    ("voicemail: '{who.x.y'", "brace"),
    ("voicemail: sales, record: start", "does two things"),
    ("dial: kim, whispers: x", 'unknown key "whispers". Did you mean "whisper"?'),
])  # fmt: skip
async def test_mistakes_are_told_with_their_place(flows, step, error):
    errors = flows.errors(HEAD + f"  a: {{{step}, next: b, failed: b}}\n" + ends("b"))
    assert len(errors) == 1
    assert error in errors[0]


async def test_every_exit_must_lead_to_a_step(flows):
    text = QUEUE.replace("call_back: call_back", "call_back: cal_back")
    assert any('there is no step "cal_back". Did you mean "call_back"?' in error for error in flows.errors(text))


async def test_whoever_tries_a_flow_says_what_becomes_of_it(flows):
    flows.write(DIAL)
    talk = await flows.talk("engaged", "busy")
    assert talk.outcome.outcome == "busy"
    assert "whispered: 김 고객입니다." in talk.notes
    assert talk.notes[-2:] == ["dial kim, 02-1234-5678: 'engaged' is none of these", "dial kim, 02-1234-5678: busy"]
    assert (await flows.talk("")).outcome.outcome == "talked"
    assert (await flows.talk("/hangup")).outcome.ended_by == "caller"


async def test_only_what_is_offered_can_become_of_a_wait(flows):
    flows.write(QUEUE.replace("    left: left\n", "").replace("  left: {hang_up: left}\n", ""))
    assert (await flows.talk("left", "full")).outcome.outcome == "full"
