"""The queues as workers and commands meet them: requests over real links."""

import asyncio
import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
from queue_control import control

from voiceedge.clock import RealClock
from voiceedge.config import Config, Mqtt, Site, Switch
from voiceedge.edge.between import paths
from voiceedge.edge.between.link import Head, LinkClient, LinkRefusedError, LinkServer
from voiceedge.edge.call.agent_codes import is_agent_code, obey, shown
from voiceedge.edge.call.queue_desk import QueueDesk
from voiceedge.errors import LinkError
from voiceedge.switch.queues.messages import CallBackOrder, Join, View
from voiceedge.switch.routing import Incoming

PLAN = """
[queues.sales]
title = "주문"
most_waiting = 2

[agents.kim]
title = "김하나"
phone = "kim"
code = "1234"
queues = ["sales"]
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    plan = tmp_path / "switch.toml"
    plan.write_text(PLAN)
    site = Site(name="seoul", data_dir=tmp_path / "data", run_dir=tmp_path / "run")
    return Config(site=site, mqtt=Mqtt(embedded_port=0), switch=Switch(plan=plan))


async def ask(client: LinkClient, name: str, **body: object) -> Head:
    answer = await client.request(name, body, timeout_s=30)
    answer.pop("payload", None)
    return answer


async def join(client: LinkClient, call: str = "call-1") -> str:
    return str((await ask(client, "queue_join", queue="sales", call=call, conversation=call))["ticket"])


async def test_a_worker_and_an_agent_go_through_a_whole_call(config: Config) -> None:
    async with control(config) as client:
        await ask(client, "agent_state", agent="kim", state="break", reason="lunch")
        ticket = await join(client)
        seen = (await ask(client, "queue_wait", ticket=ticket))["seen"]
        polling = asyncio.create_task(ask(client, "queue_wait", ticket=ticket, seen=seen))
        await asyncio.sleep(0)
        assert (await ask(client, "agent_login", code="1234", phone="desk-3"))["state"] == "ringing"
        view = View.model_validate(await polling)
        assert (view.state, view.agents[0].uri, view.agents[0].title) == ("offered", "sip:desk-3@voiceedge", "김하나")
        answer = await ask(client, "queue_offer_result", ticket=ticket, agent="kim", result="answered")
        assert answer["state"] == "talking"
        details = await ask(client, "queue_show", queue="sales")
        assert (details["queue"]["talking"], details["places"][0]["agents"]) == (1, ["kim"])
        assert (await ask(client, "queue_talk_over", ticket=ticket, agent="kim"))["state"] == "answered"
        (agent,) = (await ask(client, "agents"))["agents"]
        assert (agent["state"], agent["handled"]) == ("after_call", 1)
        (queue,) = (await ask(client, "queues"))["queues"]
        assert (queue["today"]["handled"], queue["last_hour"]["service_level"]) == (1, 1.0)


async def test_what_is_wrong_is_told(config: Config) -> None:
    async with control(config) as client:
        with pytest.raises(LinkRefusedError, match="queue_join: call: Field required"):
            await ask(client, "queue_join", queue="sales", conversation="c")
        with pytest.raises(LinkRefusedError, match="no queue care; it has sales"):
            await ask(client, "queue_show", queue="care")
        with pytest.raises(LinkRefusedError, match="no agent lee; it has kim"):
            await ask(client, "agent_state", agent="lee", state="available")


async def test_control_that_comes_back_finds_all_as_it_was(config: Config) -> None:
    async with control(config) as client:
        await ask(client, "agent_state", agent="kim", state="break")
        first, second = await join(client, "a"), await join(client, "b")
        await ask(client, "queue_call_back", ticket=first, number="01012345678")
    async with control(config) as client:
        assert (await ask(client, "queue_wait", ticket=second, seen=""))["position"] == 2
        assert (await ask(client, "queue_show", queue="sales"))["queue"]["call_backs"] == 1


async def test_a_call_back_is_given_to_the_worker_with_the_fewest_calls_that_serves(config: Config) -> None:
    orders: dict[str, list[CallBackOrder]] = {"worker-1": [], "worker-2": [], "worker-3": []}
    ordered = asyncio.Event()

    def worker(name: str) -> LinkServer:
        async def call_back(head: Head, _: bytes) -> Head:
            orders[name].append(CallBackOrder.model_validate(head))
            ordered.set()
            return {}

        return LinkServer(paths.worker_socket(config, name), {"call_back": call_back})

    processes = {
        "control": {"ready": True},
        "worker-1": {"ready": True, "draining": True, "calls": 0},
        "worker-2": {"ready": True, "draining": False, "calls": 2},
        "worker-3": {"ready": True, "draining": False, "calls": 1},
        "worker-4": {"ready": True, "draining": False, "calls": 0},  # has just died
    }
    async with control(config) as client, worker("worker-1"), worker("worker-2"), worker("worker-3"):
        paths.status_file(config).write_text(json.dumps({"processes": processes}))
        await ask(client, "agent_state", agent="kim", state="break")
        ticket = await join(client)
        await ask(client, "queue_call_back", ticket=ticket, number="+821012345678")
        await ask(client, "agent_state", agent="kim", state="available")
        async with asyncio.timeout(60):
            await ordered.wait()
        (order,) = orders["worker-3"]
        assert (order.ticket, order.number, order.agent.uri) == (ticket, "+821012345678", "sip:kim@voiceedge")
        assert not orders["worker-1"] + orders["worker-2"]
        view = await ask(client, "queue_wait", ticket=ticket)
        assert view["state"] == "offered"
        await ask(client, "queue_offer_result", ticket=ticket, agent="kim", result="answered")
        assert (await ask(client, "queue_talk_over", ticket=ticket, agent="kim"))["state"] == "answered"


async def test_a_new_plan_is_taken_and_a_broken_one_is_not(config: Config) -> None:
    assert config.switch.plan
    reloaded = asyncio.Event()
    async with control(config, reloaded.set) as client:
        await ask(client, "agent_state", agent="kim", state="available")

        async def agents_after(plan: str) -> list[str]:
            config.switch.plan.write_text(plan)
            reloaded.clear()
            os.kill(os.getpid(), signal.SIGHUP)
            async with asyncio.timeout(60):
                await reloaded.wait()
            return [agent["name"] for agent in (await ask(client, "agents"))["agents"]]

        more = PLAN + '[agents.lee]\nphone = "lee"\n'
        assert await agents_after(more) == ["kim", "lee"]
        assert await agents_after("[agents.kim]\n") == ["kim", "lee"]
        assert (await ask(client, "agents"))["agents"][0]["state"] == "available"


async def test_a_code_dialled_from_a_phone_is_obeyed_and_answered_in_a_sentence(config: Config) -> None:
    async def said(client: LinkClient, keys: str, phone: str = "kim") -> str:
        call = Incoming(keys, agent=phone)
        assert is_agent_code(call)
        flows = await obey(QueueDesk(client, RealClock()), call, "ko")
        (text,) = flows["agent_code"].steps["say"].hang_up
        return text.source

    async with control(config) as client:
        assert "받을 수 있는" in await said(client, "*111234")
        ticket = await join(client)
        await ask(client, "queue_offer_result", ticket=ticket, agent="kim", result="answered")
        assert "통화가 끝나면" in await said(client, "*131")
        await ask(client, "queue_talk_over", ticket=ticket, agent="kim")
        assert "휴식" in await said(client, "*13")
        assert "로그아웃" in await said(client, "*12")
        assert "맞지 않습니다" in await said(client, "*119999")
    assert "지금은" in await said(client, "*11")
    assert (shown("*111234"), shown("*12"), shown("01012345678")) == ("*11***", "*12", "01012345678")
    assert shown("*111234#") == "*11***", "nor where it was dialled wrongly"
    assert not is_agent_code(Incoming("*11"))  # anybody from outside
    assert not is_agent_code(Incoming("*15", agent="kim"))


async def test_a_control_of_another_version_is_no_reason_to_give_a_place_up() -> None:
    async def request(*_: object, **__: object) -> dict[str, str]:
        return {"tickets": "one"}

    desk = QueueDesk(SimpleNamespace(request=request), RealClock())
    for asked in (desk.wait("t", ""), desk.join(Join(queue="q", call="c", conversation="v"))):
        with pytest.raises(LinkError) as told:
            await asked
        assert told.value.can_retry
    assert await desk.answered("t", "kim") is None
