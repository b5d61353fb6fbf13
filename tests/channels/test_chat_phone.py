"""A chat goes on by phone: the customer is called, or calls with a code, and nothing has to be said twice."""

import pytest
import pytest_asyncio
from chat_house import house, until

from voiceedge.channels.chat_model import ChatError
from voiceedge.connectors.answers import Found

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def at(tmp_path_factory):
    channels = {"web-chat": {"campaign": "call_me", "phone": "1588-1234"}}
    async with house(tmp_path_factory.mktemp("house"), answer=Found({"price": 1}), channels=channels) as made:
        yield made


@pytest.fixture(autouse=True)
def _somebody(at, request):
    at.visitor = request.node.name


async def test_who_wants_to_be_called_is_ordered_with_what_is_known(at):
    chat = await at.begin()
    await at.until_said(chat.id, "골라 주세요.")
    await at.chats.hear(chat.id, "주문")
    await at.chats.hear(chat.id, "12345")
    await at.until_said(chat.id, "골라 주세요.", times=2)

    async def known():
        found = await at.context.conversation(chat.conversation)
        return found and "number" in found.slots

    await until(known)
    await at.chats.call_me(chat.id, "010-1234-5678")
    orders, _ = await at.outbound.listed("call_me", None, 10)
    (order,) = [one for one in orders if one.conversation == chat.conversation]
    assert (order.number, dict(order.slots), order.priority) == ("+821012345678", {"number": "12345"}, 1)
    assert (await at.until_said(chat.id, "곧 전화드리겠습니다.")).text.startswith("***5678")


@pytest.mark.parametrize("number", ["", "열려라 참깨", "112", "0" * 40, "060-700-1234", "+1 900 555 0100"])
async def test_a_number_that_must_not_be_called_is_refused(at, number):
    chat = await at.begin()
    with pytest.raises(ChatError) as refused:
        await at.chats.call_me(chat.id, number)
    assert refused.value.code == "bad_number"


async def test_nobody_is_rung_again_and_again_by_strangers(at):
    for visitor in ("a", "b", "c"):
        at.visitor = visitor
        chat = await at.begin()
        if visitor == "c":
            with pytest.raises(ChatError) as refused:
                await at.chats.call_me(chat.id, "+82 10 8765 4321")  # the same number, written otherwise
            assert refused.value.code == "too_many"
            assert refused.value.retry_after_s > 3000
        else:
            await at.chats.call_me(chat.id, "010-8765-4321")


async def test_one_visitor_has_so_many_people_called(at):
    chat = await at.begin()
    for number in range(5):
        await at.chats.call_me(chat.id, f"010-2000-000{number}")
    with pytest.raises(ChatError) as refused:
        await at.chats.call_me(chat.id, "010-2000-0009")
    assert refused.value.code == "too_many"


async def test_a_code_opens_the_conversation_on_the_phone(at):
    chat = await at.begin()

    async def known():
        return await at.context.conversation(chat.conversation)

    await until(known)
    ticket = await at.chats.phone_code(chat.id)
    resumed = await at.context.continuing.redeem("phone", "pin", ticket.pin, asker="a caller")
    assert resumed.conversation.id == chat.conversation
    for _ in range(9):
        await at.chats.phone_code(chat.id)
    with pytest.raises(ChatError):
        await at.chats.phone_code(chat.id)
