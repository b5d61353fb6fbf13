"""Calls that continue a chat: by PIN, by a token that came along, by the caller's number; and one that only says so."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import talk
from service import RunningService

from voiceedge.clock import RealClock
from voiceedge.context.cloudevents import StampedEvent, new_id
from voiceedge.context.events.digital import InteractionStarted
from voiceedge.context.privacy.pii import pseudonym, pseudonym_key
from voiceedge.context.record import Changes
from voiceedge.edge.between.link import LinkClient
from voiceedge.edge.between.process_name import process_name

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("kamailio") is None, reason="Kamailio is not installed: apt install kamailio"),
]

OWN, CARRIER = "127.0.0.2", "127.0.0.3"  # lines: ours, whose headers are believed, and one whose are not
CALLER, ORDER, CLOCK = "01055667788", "40991", RealClock()
FLOW = """
flow: main
language: ko
start: back
slots:
  order_number: {means: 주문 번호, class: none}
otherwise: bye
steps:
  back:
    continue_from: [header, pin, caller]
    take: [order_number]
    next: known
    unknown: ask_order
  ask_order:
    ask: 주문 번호를 눌러 주세요.
    digits: 5
    into: order_number
    next: bye
  known:
    say: "{order_number:digits}번 주문으로 이어서 도와드리겠습니다."
    next: bye
  bye: {hang_up: 감사합니다.}
"""
PLAN = f"""
[trunks.own]
addresses = ["{OWN}"]
trusted = true
[trunks.carrier]
addresses = ["{CARRIER}"]
[queues.sales]
"""


@dataclass
class House:
    service: RunningService
    control: LinkClient

    async def chat(self, caller: str) -> str:
        """A chat that goes on, in which the order number was said."""
        name = new_id(CLOCK)
        customer = pseudonym(caller, pseudonym_key(self.service.directory / "data"))
        data = InteractionStarted(interaction=name, channel="web-chat", direction="in", customer=customer)
        changes = Changes.model_validate({
            "slots": {"order_number": {"value": ORDER}}, "intent": "delivery", "customer": customer,
        })  # fmt: skip
        event = StampedEvent(
            id=new_id(CLOCK), time=CLOCK.now(), conversation=name, type=data.type, data=data, changes=changes
        )
        body = {"events": [event.model_dump(mode="json")], "holder": process_name(os.getpid())}
        await self.control.request("ingest", body, timeout_s=30)
        return name

    async def ticket(self, conversation: str, *, pin: bool = False) -> dict[str, str]:
        wish = {"conversation": conversation, "channel": "phone", "expires_s": 600, "pin": pin}
        return await self.control.request("issue_token", wish, timeout_s=30)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    directory = tmp_path_factory.mktemp("continuing")
    (directory / "flows").mkdir()
    (directory / "flows" / "main.yaml").write_text(FLOW, encoding="utf-8")
    (directory / "switch.toml").write_text(PLAN)
    tables = {
        "switch": {"plan": str(directory / "switch.toml")},
        "front": {"enabled": True},
        "sip": {"max_calls": 2},
        "speech": {"enabled": False},
        "log": {"level": "debug"},
    }
    with RunningService(directory, directory / "flows", tables) as service:
        yield service


@pytest.fixture
async def house(running: RunningService) -> AsyncIterator[House]:
    control = LinkClient(Path(running.directory / "run" / "control.sock"))
    yield House(running, control)
    await control.close()


def calling(house: House, headers: dict[str, str] | None = None, line: str = OWN, caller: str = CALLER):
    return talk.calling(house.service, user=caller, line=line, headers=headers)


async def test_who_keys_the_pin_of_a_chat_is_not_asked_again_what_was_said_there(house: House) -> None:
    chat = await house.chat(CALLER)
    pin = (await house.ticket(chat, pin=True))["pin"]
    async with calling(house) as call:
        await call.until("step.entered", step="back", kind="ask")
        await call.press("000000" if pin != "000000" else "000001")
        await call.until("conversation.continue_refused", reason="unknown", by="pin")
        await call.press(pin)
        continued = await call.until("conversation.continued")
        assert (continued["by"], continued["trust"], continued["channel"]) == ("pin", "proved", "phone")
        said = await call.until("step.entered", step="known")
        assert "사공구" in said["says"]
        await call.until("call.ended")
        assert "ask_order" not in call.steps
        late = next(event for event in call.events.all if event["type"] == "voiceedge.call.ended")
        assert late["subject"] == chat
    told = "".join(str(event) for event in call.events.all) + house.service.log.read_text()
    assert pin not in told
    spoken = "".join("공일이삼사오육칠팔구"[int(digit)] for digit in pin)
    assert spoken not in told.replace(" ", "").replace(",", "")


async def test_a_token_that_came_with_the_call_continues_without_a_question_and_only_once(house: House) -> None:
    token = (await house.ticket(await house.chat(CALLER)))["token"]
    uui = {"User-to-User": f"04{token.encode().hex()};encoding=hex;purpose=isdn-uui"}
    async with calling(house, uui) as call:
        assert (await call.until("conversation.continued"))["by"] == "header"
        await call.until("step.entered", step="known")
    async with calling(house, uui) as call:
        await call.until("conversation.continue_refused", reason="used", by="header")
        await call.until("step.entered", step="back", kind="ask")  # it goes on: the PIN


async def test_an_attackers_headers_are_not_believed(house: House) -> None:
    """By a line that is not trusted: neither a token, nor our own headers, nor an attestation or another's number."""
    chat = await house.chat(CALLER)
    token = (await house.ticket(chat))["token"]
    forged = {
        "User-to-User": token,
        "X-Customer-Ref": token,
        "X-VoiceEdge-Trunk": "own",
        "X-VoiceEdge-Agent": "kim",
        "P-Asserted-Identity": f"<sip:{CALLER};verstat=TN-Validation-Passed@127.0.0.1>",
    }
    async with calling(house, forged, line=CARRIER) as call:
        await call.until("step.entered", step="back", kind="ask")
        await call.press("*")
        await call.until("step.entered", step="ask_order")  # nobody asks about a chat of the number's
        assert call.of("conversation.continued") == []
        assert {data["reason"] for data in call.of("conversation.continue_refused")} == {"declined"}
    async with calling(house, {"User-to-User": token}) as call:  # nothing was burnt
        await call.until("conversation.continued", by="header")


async def test_the_callers_number_is_asked_about_without_telling_anything(house: House) -> None:
    caller = "01077778888"
    await house.chat(caller)
    async with calling(house, caller=caller) as call:
        await call.until("step.entered", step="back", kind="ask")
        await call.press("*")
        asked = await call.until("step.entered", says="최근에 채팅으로 문의하신 적이 있으신가요? 이어서 도와드릴까요?")
        assert ORDER not in str(asked)
        await call.press("1")
        assert (await call.until("conversation.continued"))["trust"] == "likely"
        await call.until("step.entered", step="known")
    false = {"P-Asserted-Identity": f"<sip:{caller};verstat=TN-Validation-Failed@127.0.0.1>"}
    await house.chat(caller)
    async with calling(house, false, caller=caller) as call:
        await call.until("step.entered", step="back", kind="ask")
        await call.press("*")
        await call.until("step.entered", step="ask_order")
