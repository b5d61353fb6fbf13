"""A chat is what its flow says, its customer answers and its agents write; a restart changes nothing of it."""

import asyncio
from contextlib import suppress

import pytest
import pytest_asyncio
from chat_house import MENU, WAIT_S, Skipping, Systems, house, until

from voiceedge.channels.chat_model import ChatError
from voiceedge.channels.desks import GONE_S
from voiceedge.connectors.answers import Found

pytestmark = pytest.mark.asyncio(loop_scope="module")

CARD = "4111 1111 1111 1111"
PRICED = Found({"price": 12000})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory):
    """For what changes nothing for others."""
    async with house(tmp_path_factory.mktemp("house"), answer=PRICED) as at:
        yield at


@pytest.fixture
def at(shared, request):
    shared.visitor = request.node.name
    return shared


async def test_a_chat_is_led_by_buttons_and_typed_text_through_the_flow_of_the_telephone(at):
    chat = await at.begin()
    menu = await at.until_said(chat.id, "골라 주세요.")  # not what is for the telephone
    assert [(one.label, one.quiet) for one in menu.buttons] == [("주문", False), ("결제", False), ("상담원", True)]
    await at.chats.choose(chat.id, menu.number, "order")
    asked = await at.until_said(chat.id, "주문 번호를")
    assert asked.digits == (5, 5)
    await at.chats.hear(chat.id, "주문 번호는 123-45 입니다")
    await at.until_said(chat.id, "12,000원입니다.")
    await at.until_said(chat.id, "골라 주세요.", times=2)

    async def recorded():
        known = await at.context.conversation(chat.conversation)
        return known if known and "number" in known.slots and len(known.turns) >= 6 else None

    known = await until(recorded)
    assert (known.slots["number"].value, known.intent) == ("12345", "order")
    assert [(turn.by, turn.text) for turn in known.turns if turn.speaker == "caller"] == [
        ("text", "주문"), ("text", "12345"),
    ]  # fmt: skip


async def test_what_is_typed_before_it_is_asked_answers_the_question_that_comes(at):
    chat = await at.begin()
    await at.until_said(chat.id, "골라 주세요.")
    await at.chats.hear(chat.id, "주문")
    await at.chats.hear(chat.id, "12345")
    await at.until_said(chat.id, "12,000원입니다.")


async def test_what_does_not_fit_is_asked_again_in_the_words_of_the_screen(at):
    chat = await at.begin()
    await at.until_said(chat.id, "골라 주세요.")
    await at.chats.hear(chat.id, "오늘 날씨가 참 좋네요")
    again = await at.until_said(chat.id, "이해하지 못했습니다.")
    assert again.text.endswith("골라 주세요.")
    assert again.buttons


async def test_a_button_of_a_question_that_is_answered_does_nothing(at):
    chat = await at.begin()
    menu = await at.until_said(chat.id, "골라 주세요.")
    await at.chats.choose(chat.id, menu.number, "order")
    await at.until_said(chat.id, "주문 번호를")
    for number, name in ((menu.number, "pay"), (menu.number + 2, "pay"), (9999, "order")):
        with pytest.raises(ChatError) as refused:
            await at.chats.choose(chat.id, number, name)
        assert refused.value.code == "past"


async def test_one_sending_is_written_once_however_often_it_comes(at):
    chat = await at.begin()
    await at.until_said(chat.id, "골라 주세요.")
    sent = await asyncio.gather(*(at.chats.hear(chat.id, "주문", "one") for _ in range(4)))
    assert len({one.number for one in sent}) == 1
    await at.until_said(chat.id, "주문 번호를")
    assert [one.text for one in await at.said(chat.id)].count("주문") == 1


async def test_a_restart_in_the_middle_goes_unnoticed(tmp_path):
    systems = Systems(PRICED)
    async with house(tmp_path, systems=systems) as at:
        chat, secret = await at.begin(), at.secret
        menu = await at.until_said(chat.id, "골라 주세요.")
        await at.chats.choose(chat.id, menu.number, "order")
        await at.until_said(chat.id, "주문 번호를")
        await at.chats.hear(chat.id, "12345")
        await at.until_said(chat.id, "골라 주세요.", times=2)
        before = await at.said(chat.id)
    systems.answer = Found({"price": 99})  # nobody is asked twice
    async with house(tmp_path, systems=systems) as at:
        assert (await at.chats.visited(chat.id, secret)).state == "bot"
        menu = await at.until_said(chat.id, "골라 주세요.", times=2)

        async def waits():
            try:
                return await at.chats.choose(chat.id, menu.number, "pay")
            except ChatError:
                return None

        await until(waits)  # the flow is walked again meanwhile
        await at.until_said(chat.id, "카드 번호를")
        assert [one.text for one in (await at.said(chat.id))[: len(before)]] == [one.text for one in before]
        assert len(await at.said(chat.id)) == len(before) + 2
        assert systems.asked == 1

        async def recorded():
            known = await at.context.conversation(chat.conversation)
            return known and [turn.text for turn in known.turns].count("카드 번호를 눌러 주세요.") and known

        known = await until(recorded)
        texts = [turn.text for turn in known.turns]
        assert (texts.count("12345"), texts.count("결제"), len(known.channels)) == (1, 1, 1)


async def test_a_card_number_is_nowhere_on_the_disk_and_is_asked_for_again_after_a_restart(tmp_path):
    async with house(tmp_path) as at:
        chat = await at.begin()
        await at.until_said(chat.id, "골라 주세요.")
        await at.chats.hear(chat.id, "결제")
        await at.until_said(chat.id, "카드 번호를")
        assert (await at.chats.hear(chat.id, CARD)).text == "***1111"
        await at.until_said(chat.id, "***1111로 결제했습니다.")
    async with house(tmp_path) as at:
        await at.until_said(chat.id, "한 번 더 입력해")
        await at.until_said(chat.id, "카드 번호를", times=2)
        await at.chats.hear(chat.id, CARD)
        await at.until_said(chat.id, "***1111로 결제했습니다.", times=2)
        await at.chats.leave(chat.id)
        begun = await at.begin()
        await at.chats.hear(begun.id, f"제 카드는 {CARD}입니다")  # where nobody has asked for it
    for file in (tmp_path / "data").rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert b"4111111111111111" not in content
            assert b"4111 1111" not in content


async def test_a_flow_that_has_changed_begins_again_with_what_is_known(tmp_path):
    async with house(tmp_path, answer=PRICED) as at:
        chat = await at.begin()
        await at.until_said(chat.id, "골라 주세요.")
        await at.chats.hear(chat.id, "주문")
        await at.chats.hear(chat.id, "12345")
        await at.until_said(chat.id, "12,000원")

        async def known():
            found = await at.context.conversation(chat.conversation)
            return found and "number" in found.slots

        await until(known)
    changed = MENU.replace("shown: 골라 주세요.", 'shown: "{number}번 주문을 새로 골라 주세요."')
    async with house(tmp_path, changed) as at:
        await at.until_said(chat.id, "처음부터 다시")
        await at.until_said(chat.id, "12345번 주문을 새로 골라")


async def test_an_agent_takes_a_chat_talks_and_gives_it_back_to_the_flow(at):
    chat = await at.begin()
    await at.until_said(chat.id, "골라 주세요.")
    async with at.chats.changes() as changes:
        await at.chats.hear(chat.id, "상담원")
        await at.until_state(chat.id, "waiting")
        (waiting,) = await at.chats.waiting()
        assert (waiting.id, waiting.queue) == (chat.id, "chat")
        taken = await asyncio.gather(
            at.chats.take(chat.id, "kim"), at.chats.take(chat.id, "lee"), return_exceptions=True
        )
        assert [getattr(one, "code", "") for one in taken] == ["", "taken"]
        await at.until_said(chat.id, "김하나 상담원이 연결되었습니다.")
        await at.chats.hear(chat.id, "안녕하세요 <script>alert(1)</script>")
        await at.chats.say(chat.id, "kim", "무엇을 도와드릴까요?")
        with pytest.raises(ChatError) as refused:
            await at.chats.say(chat.id, "lee", "저도요")
        assert refused.value.code == "not_yours"
        seen = [await asyncio.wait_for(anext(changes), WAIT_S) for _ in range(4)]
        assert {one.id for one in seen} == {chat.id}
    assert [one.id for one in await at.chats.of_agent("kim")] == [chat.id]
    await at.chats.end(chat.id, "kim", "solved")
    await at.until_said(chat.id, "이야기를 마쳤습니다.")
    menu = await at.until_said(chat.id, "골라 주세요.", times=2)
    await at.chats.leave(chat.id)
    assert (await at.chats.chat(chat.id)).outcome == "solved"
    assert menu.number

    async def recorded():
        known = await at.context.conversation(chat.conversation)
        return known and known.ended_at and known

    known = await until(recorded)
    assert (known.agent, known.outcome) == ("kim", "solved")


async def test_a_chat_sent_on_waits_for_another_agent_with_a_note(at):
    chat = await at.begin()
    await at.until_said(chat.id, "골라 주세요.")
    await at.chats.hear(chat.id, "상담원")
    await at.until_state(chat.id, "waiting")
    await at.chats.take(chat.id, "kim")
    sent = await at.chats.transfer(chat.id, "kim", to_agent="lee", note="환불 문의")
    assert (sent.state, sent.wanted, sent.note, sent.agent) == ("waiting", "lee", "환불 문의", None)
    assert (await at.chats.take(chat.id, "lee")).note == "환불 문의"
    assert (await at.chats.end(chat.id, "lee")).state == "bot"


async def test_waiting_and_talking_outlive_a_restart(tmp_path):
    async with house(tmp_path) as at:
        first, second = await at.begin(), await at.begin()
        for chat in (first, second):
            await at.until_said(chat.id, "골라 주세요.")
            await at.chats.hear(chat.id, "상담원")
            await at.until_state(chat.id, "waiting")
        await at.chats.take(second.id, "kim")
        since = (await at.chats.chat(first.id)).waiting_since_ms
    async with house(tmp_path) as at:
        await at.chats.say(second.id, "kim", "아직 여기 있습니다")
        await at.chats.end(second.id, "kim")
        await at.until_said(second.id, "이야기를 마쳤습니다.")
        assert (await at.chats.chat(first.id)).waiting_since_ms == since
        await at.chats.take(first.id, "kim")
        await at.chats.end(first.id, "kim")
        await at.until_said(first.id, "이야기를 마쳤습니다.")
        assert [one.text for one in await at.said(first.id)].count(
            "상담원을 연결하고 있습니다. 잠시만 기다려 주세요."
        ) == 1


async def test_who_waits_may_leave_and_who_waits_too_long_is_told(tmp_path):
    clock = Skipping()
    async with house(tmp_path, clock=clock) as at:
        chat = await at.begin()
        await at.until_said(chat.id, "골라 주세요.")
        await at.chats.hear(chat.id, "상담원")
        note = await at.until_said(chat.id, "연결하고 있습니다")
        await at.chats.choose(chat.id, note.number, "leave")
        await at.until_said(chat.id, "골라 주세요.", times=2)
        await at.chats.hear(chat.id, "상담원")
        await at.until_said(chat.id, "연결하고 있습니다", times=2)
        clock.skip(500)
        assert (await at.chats.chat(chat.id)).state == "waiting"
        clock.skip(100)
        await at.until_said(chat.id, "아무도 없습니다.")


@pytest.mark.parametrize(("queue", "exit_"), [("shut", "closed"), ("nowhere", "failed")])
async def test_a_queue_that_takes_nobody_is_an_exit_of_its_step(tmp_path, queue, exit_):
    flow = MENU.replace("queue: chat", f"queue: {queue}").replace(f"{exit_}: bye", f"{exit_}: nobody")
    async with house(tmp_path, flow) as at:
        chat = await at.begin()
        await at.until_said(chat.id, "골라 주세요.")
        await at.chats.hear(chat.id, "상담원")
        await at.until_said(chat.id, "아무도 없습니다.")


async def test_a_queue_whose_agents_have_no_desk_open_is_closed_to_chats(tmp_path):
    clock = Skipping()
    flow = MENU.replace("closed: bye", "closed: nobody")
    async with house(tmp_path, flow, clock=clock) as at:
        chat = await at.begin()
        await at.until_said(chat.id, "골라 주세요.")
        at.desks.closed("kim")  # who is available, as lee is: by phone
        clock.skip(GONE_S)
        await at.chats.hear(chat.id, "상담원")
        await at.until_said(chat.id, "아무도 없습니다.")
        at.desks.opened("lee")
        await at.chats.hear(chat.id, "상담원")
        await at.until_state(chat.id, "waiting")


async def test_who_waits_where_nobody_is_any_more_is_told(tmp_path):
    flow = MENU.replace("closed: bye", "closed: nobody")
    async with house(tmp_path, flow) as at:
        chat = await at.begin()
        await at.until_said(chat.id, "골라 주세요.")
        await at.chats.hear(chat.id, "상담원")
        await at.until_state(chat.id, "waiting")
        async with at.context.hub.subscribe(types={"voiceedge.queue.left"}) as deliveries:
            await at.chats.send_away(chat.id)
            await at.until_said(chat.id, "아무도 없습니다.")
            async with asyncio.timeout(WAIT_S):
                told = await anext(aiter(deliveries))
        assert told.event.data["reason"] == "no_agent"
        await at.chats.hear(chat.id, "상담원")
        await at.until_said(chat.id, "연결하고 있습니다", times=2)
        await at.chats.take(chat.id, "kim")
        with pytest.raises(ChatError):
            await at.chats.send_away(chat.id)  # somebody has come


async def test_a_full_queue_takes_nobody_more(tmp_path):
    async with house(tmp_path) as at:
        for _ in range(2):
            chat = await at.begin()
            await at.until_said(chat.id, "골라 주세요.")
            await at.chats.hear(chat.id, "상담원")
            await at.until_state(chat.id, "waiting")
        chat = await at.begin()
        await at.until_said(chat.id, "골라 주세요.")
        await at.chats.hear(chat.id, "상담원")
        await at.until_said(chat.id, "감사합니다.")


async def test_a_silent_customer_is_reminded_once_and_then_the_chat_ends(tmp_path):
    clock = Skipping()
    async with house(tmp_path, clock=clock, channels={"web-chat": {"idle_min": 10}}) as at:
        chat = await at.begin()
        await at.until_said(chat.id, "골라 주세요.")
        clock.skip(240)
        assert len(await at.said(chat.id)) == 1

        async def reminded():
            clock.skip(5)
            return len(await at.said(chat.id)) > 1

        await until(reminded)
        assert (await at.chats.chat(chat.id)).state == "bot"
        clock.skip(240)

        async def ended():
            clock.skip(5)
            now = await at.chats.chat(chat.id)
            return now if now.state == "ended" else None

        assert (await until(ended)).cause == "idle"
        texts = [one.text for one in await at.said(chat.id)]
        assert sum(text.startswith("아직 계신가요?") for text in texts) == 1


async def test_an_ended_chat_is_rated_once_and_takes_nothing_more(at):
    chat = await at.begin()
    with pytest.raises(ChatError):
        await at.chats.rate(chat.id, 5)
    await at.chats.leave(chat.id)
    for refused in (
        at.chats.hear(chat.id, "여보세요"),
        at.chats.choose(chat.id, 1, "order"),
        at.chats.leave(chat.id),
    ):
        with pytest.raises(ChatError) as error:
            await refused
        assert error.value.code == "ended"
    await at.chats.rate(chat.id, 4)
    with pytest.raises(ChatError):
        await at.chats.rate(chat.id, 5)

    async def recorded():
        known = await at.context.conversation(chat.conversation)
        return known and known.satisfaction

    assert await until(recorded) == 4


async def test_one_address_has_so_many_chats_and_who_writes_too_fast_is_told(tmp_path):
    systems = Systems(PRICED)
    systems.answers.clear()
    async with house(tmp_path, channels={"web-chat": {"most_from_one_address": 3}}, systems=systems) as at:
        chats = [await at.begin() for _ in range(3)]
        with pytest.raises(ChatError) as refused:
            await at.begin()
        assert refused.value.code == "too_many"
        at.visitor = "somebody else"
        await at.begin()
        for text in ("주문", "12345"):
            await at.chats.hear(chats[0].id, text)

        async def asked():
            return systems.asked

        await until(asked)  # the flow waits for an answer, and the customer goes on writing
        for text in "12345":
            await at.chats.hear(chats[0].id, text)
        with pytest.raises(ChatError) as refused:
            await at.chats.hear(chats[0].id, "6")
        assert refused.value.code == "too_fast"
        systems.answers.set()
        await at.until_said(chats[0].id, "12,000원")


@pytest.mark.parametrize(("text", "code"), [("", "empty"), (" \u0000\u0007 ", "empty"), ("가" * 2001, "too_long")])
async def test_what_is_no_message_is_refused(at, text, code):
    chat = await at.begin()
    with pytest.raises(ChatError) as refused:
        await at.chats.hear(chat.id, text)
    assert refused.value.code == code


async def test_half_characters_and_control_characters_are_no_trouble(at):
    chat = await at.begin()
    await at.until_said(chat.id, "골라 주세요.")
    assert (await at.chats.hear(chat.id, "주\u0000문\ud800")).text == "주문?"


async def test_the_secret_of_one_chat_opens_no_other(at):
    first, secret = await at.begin(), at.secret
    second = await at.begin()
    assert (await at.chats.visited(first.id, secret)).id == first.id
    for chat, wrong in ((second.id, secret), (first.id, secret + "x"), ("nobody", secret), (first.id, "")):
        with pytest.raises(ChatError) as refused:
            await at.chats.visited(chat, wrong)
        assert refused.value.code == "unknown"


async def test_a_stream_has_every_message_once_from_any_number_on(at):
    chat = await at.begin()
    await at.until_said(chat.id, "골라 주세요.")
    seen = []

    async def read():
        async for now, messages in at.chats.follow(chat.id, 0):
            seen.extend(one.number for one in messages)
            if now.state == "ended":
                return

    reading = asyncio.create_task(read())
    for text in ("주문", "12345", "모르겠네요"):
        await at.chats.hear(chat.id, text)
    await asyncio.sleep(0)
    with suppress(ChatError):  # the flow may have said good-bye before
        await at.chats.leave(chat.id)
    await asyncio.wait_for(reading, WAIT_S)
    assert seen == list(range(1, (await at.chats.chat(chat.id)).last_number + 1))


async def test_sixty_chats_at_once_answer(tmp_path):
    async with house(tmp_path, channels={"web-chat": {"most_from_one_address": 500}}) as at:
        chats = await asyncio.gather(*(at.begin() for _ in range(60)))
        await asyncio.gather(*(at.until_said(chat.id, "골라 주세요.") for chat in chats))
        await asyncio.gather(*(at.chats.hear(chat.id, "주문") for chat in chats))
        await asyncio.gather(*(at.until_said(chat.id, "주문 번호를") for chat in chats))
