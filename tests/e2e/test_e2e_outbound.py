"""Calls out by order through the service: a carrier is dialled, whoever answers is heard, and the flow serves them."""

import asyncio
import json
from urllib.parse import urlsplit

import aiomqtt
import numpy as np
import pytest
from commands import voiceedge
from peer import Peer, sdp
from ports import free_port
from rtp import PCMA, RATE, tone
from service import RunningService
from talk import until

from voiceedge.audio import synthesis
from voiceedge.audio.prompts import PromptLibrary
from voiceedge.config import Prompts
from voiceedge.flow.call import Utterance

pytestmark = pytest.mark.slow

SOON_S = 15  # whoever says hello and hears nothing is gone soon; machines that test are slow

FLOW = """
flow: remind
language: en
start: who
slots: {name: {means: whom we call, class: personal}}
steps:
  who:
    choose: [{when: call.answered_by == "machine", next: message}]
    otherwise: question
  message: {hang_up: "Please call the shop back.", outcome: message_left}
  question:
    ask: "Your order is here, {name}. Press one, or nine to be called no more."
    choices:
      yes: {key: "1", next: confirmed}
      never: {key: "9", next: never}
    otherwise: unclear
  confirmed: {hang_up: , outcome: confirmed}
  never: {hang_up: , outcome: do_not_call}
  unclear: {hang_up: , outcome: unclear}
"""
PLAN = """
[trunks.carrier]
host = "127.0.0.1"
port = {port}
own_numbers = ["02-7000-1234"]

[outbound]
per_minute = 6000
keep_free = 0.0

[campaigns.remind]
flow = "remind"
per_minute = 6000
ring_s = 60.0
retry = {{ busy = {{ after_s = 0.5, attempts = 2 }} }}

[campaigns.message]
flow = "remind"
per_minute = 6000
machine = "message"
"""


@pytest.fixture(scope="module")
def carrier_port():
    return free_port()


@pytest.fixture(scope="module")
def service(tmp_path_factory, carrier_port):
    directory = tmp_path_factory.mktemp("outbound")
    flows, plan = directory / "flows", directory / "switch.toml"
    flows.mkdir()
    (flows / "remind.yaml").write_text(FLOW)
    plan.write_text(PLAN.format(port=carrier_port))
    tables = {
        "switch": {"plan": str(plan)},
        "front": {"enabled": False},
        "flows": {"default": "remind"},
        "outbound": {"mqtt_commands": True},
        "speech": {"enabled": False},
        "log": {"level": "debug"},
    }
    with RunningService(directory, flows, tables) as running:
        yield running


@pytest.fixture
async def carrier(carrier_port):
    async with Peer(user="carrier", port=carrier_port) as peer:
        yield peer


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    library = PromptLibrary(
        tmp_path_factory.mktemp("voice"), synthesis.choose(Prompts(engine="espeak"), tmp_path_factory.mktemp("none"))
    )

    def say(text):
        return np.concatenate([library.render(piece) for piece in library.pieces(Utterance(text, "ko"))])

    return say


async def command(service, *arguments, fails=False):
    async with voiceedge("outbound", *arguments, "--config", service.config) as process:
        out, problem = await asyncio.wait_for(process.communicate(), 60)
        assert bool(process.returncode) is fails, problem.decode()
        return out.decode()


async def order(service, order_id):
    return json.loads(await command(service, "show", order_id))


async def test_somebody_is_called_answers_presses_a_key_and_the_result_is_stored(service, carrier, spoken):
    async with service.events() as events:
        made = await command(service, "add", "010-1234-5678", "--campaign", "remind", "--value", "name=Kim")
        call = await carrier.incoming()
        assert "sip:01012345678@" in call.invitation.first
        assert "0270001234@" in call.invitation["from"]
        await call.answer(180)
        await call.answer()
        await asyncio.sleep(0.3)
        said = call.rtp.say(spoken("여보세요"))
        await until(said.done.is_set)
        heard = await until(lambda: call.rtp.sound_ns(said.last_ns))
        assert (heard - said.last_ns) / 1e9 < SOON_S
        call.rtp.press("1")
        await call.ended()
        result = await events.until("outbound.result")
        assert (result["result"], result["answered_by"], result["outcome"]) == ("done", "person", "confirmed")
        over = await events.until("outbound.over")
        assert (over["state"], over["attempts"]) == ("done", 1)
        ended = await events.until("call.ended")
        assert ended["outcome"] == "confirmed"
        (started,) = events.of("call.started")
        assert (started["direction"], started["called"]) == ("out", "***5678")
        assert "01012345678" not in json.dumps(events.all)
        assert "Kim" not in json.dumps(events.all)
    kept = await order(service, made.strip())
    assert (kept["state"], kept["result"], kept["outcome"]) == ("done", "done", "confirmed")


async def test_whoever_is_busy_is_called_again_and_then_given_up(service, carrier):
    async with service.events() as events:
        made = await command(service, "add", "010-2222-3333", "--campaign", "remind", "--id", "busy-1")
        for _ in range(2):
            call = await carrier.incoming()
            await call.answer(486)
        over = await events.until("outbound.over")
        assert (over["state"], over["attempts"]) == ("failed", 2)
        assert [one["result"] for one in events.of("outbound.result")] == ["busy", "busy"]
    assert "known already" in await command(service, "add", "010-2222-3333", "--campaign", "remind", "--id", "busy-1")
    assert made.strip() == "busy-1"


async def test_whoever_asks_for_it_is_never_called_again(service, carrier, spoken):
    async with service.events() as events:
        await command(service, "add", "010-4444-5555", "--campaign", "remind", "--value", "name=Lee")
        call = await carrier.incoming()
        await call.answer()
        said = call.rtp.say(spoken("네"))
        await until(said.done.is_set)
        await until(lambda: call.rtp.sound_ns(said.last_ns))
        call.rtp.press("9")
        await events.until("outbound.over")
        await command(service, "add", "010-4444-5555", "--campaign", "remind", fails=True)
        assert "***5555" in await command(service, "do-not-call", "list")
        await command(service, "pause")
        await command(service, "add", "010-6666-7777", "--campaign", "remind", "--id", "late")
        await command(service, "do-not-call", "add", "+82 10 6666 7777", "--reason", "asked by letter")
        await command(service, "resume")
        over = await events.until("outbound.over", lambda data: data["order"] == "late")
        assert (over["state"], over["attempts"]) == ("refused", 0)
    assert carrier.stray == []


async def test_a_machine_is_waited_for_and_gets_the_message_after_its_beep(service, carrier, spoken):
    greeting = spoken("안녕하세요. 지금은 전화를 받을 수 없습니다. 삐 소리가 나면 메시지를 남겨 주세요.")
    async with service.events() as events:
        await command(service, "add", "010-8888-9999", "--campaign", "message")
        call = await carrier.incoming()
        await call.answer()
        said = call.rtp.say(np.concatenate([greeting, np.zeros(RATE // 3, np.int16), tone(1000, 400)]))
        await until(said.done.is_set)
        assert not call.rtp.sound_ns(0) or call.rtp.sound_ns(0) > said.last_ns - 1_000_000_000
        await until(lambda: call.rtp.sound_ns(said.last_ns))
        await call.ended()
        result = await events.until("outbound.result")
        assert (result["result"], result["answered_by"], result["outcome"]) == ("done", "machine", "message_left")


async def test_an_announcement_before_the_answer_means_that_nobody_can_be_reached(service, carrier, spoken):
    async with service.events() as events:
        await command(service, "add", "010-1010-2020", "--campaign", "remind", "--attempts", "1")
        call = await carrier.incoming()
        await call.answer(183, body=sdp("127.0.0.1", call.rtp.port, (PCMA,)))
        said = call.rtp.say(spoken("전원이 꺼져 있어 소리샘으로 연결되지 않습니다."))
        await until(said.done.is_set)
        await asyncio.sleep(0.8)
        await call.answer(503)
        result = await events.until("outbound.result")
        assert result["result"] == "no_answer"


async def test_an_order_by_mqtt_is_taken_once_and_rubbish_is_refused(service, carrier):
    where = urlsplit(service.mqtt_url)
    order = {
        "id": "by-mqtt",
        "number": "010-3333-4444",
        "campaign": "remind",
        "values": {"name": "Park"},
        "attempts": 1,
    }
    async with service.events() as events, aiomqtt.Client(where.hostname, where.port) as client:
        for payload in (b"{", b"[]", json.dumps({**order, "id": "odd", "surprise": 1}), json.dumps(order)):
            await client.publish("voiceedge/test/v1/commands/outbound/add", payload, qos=1)
        call = await carrier.incoming()
        await call.answer(404)
        over = await events.until("outbound.over", lambda data: data["order"] == "by-mqtt")
        assert over["state"] == "failed"
        (result,) = events.of("outbound.result")
        assert (result["result"], result["again_at"]) == ("invalid", None)
        assert [one["order"] for one in events.of("outbound.refused")] == ["", "", "odd"]
        await client.publish("voiceedge/test/v1/commands/outbound/add", json.dumps(order), qos=1)
        await events.until("outbound.ordered", lambda data: data["known"])
