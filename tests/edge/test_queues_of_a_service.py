"""The queues of a whole service: control is killed, the plan changes, and nobody loses a place."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from peer import Peer
from registering import authorization
from service import RunningService

from voiceedge.edge.between.link import LinkClient
from voiceedge.errors import LinkError

PLAN = '[queues.sales]\n[agents.kim]\nphone = "kim"\nqueues = ["sales"]\n'
MORE = '[agents.lee]\nphone = "lee"\nqueues = ["sales"]\n'
FLOWS = Path(__file__).parents[1] / "e2e" / "flows"

Ask = Callable[..., Awaitable[dict[str, Any]]]


def asking(client: LinkClient) -> Ask:
    """As workers do: again, with the same ticket, while control is away."""

    async def ask(request: str, **body: object) -> dict[str, Any]:
        async with asyncio.timeout(120):
            while True:
                try:
                    return await client.request(request, body, timeout_s=30)
                except LinkError as error:
                    if not error.can_retry:
                        raise
                    await asyncio.sleep(0.05)

    return ask


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_control_is_killed_and_the_plan_changes_while_callers_wait(tmp_path: Path) -> None:
    plan = tmp_path / "switch.toml"
    plan.write_text(PLAN)
    settings = {"switch": {"plan": str(plan)}, "front": {"enabled": False}, "speech": {"enabled": False}}

    async def story(service: RunningService) -> None:
        client = LinkClient(tmp_path / "run" / "control.sock")
        ask = asking(client)
        await ask("agent_state", agent="kim", state="break", reason="lunch")
        first, second = [
            (await ask("queue_join", queue="sales", call=call, conversation=call))["ticket"] for call in "ab"
        ]
        seen = (await ask("queue_wait", ticket=second, seen=""))["seen"]
        waiting = asyncio.create_task(ask("queue_wait", ticket=second, seen=seen))
        pid = service.pid("control")
        service.kill("control")
        await asyncio.to_thread(service.replaced, "control", pid)
        assert (await ask("queue_wait", ticket=second, seen=""))["position"] == 2
        (kim,) = (await ask("agents"))["agents"]
        assert (kim["state"], kim["reason"]) == ("break", "lunch")
        await ask("queue_leave", ticket=first)
        assert (await waiting)["position"] == 1
        plan.write_text(PLAN + MORE)
        service.reload()
        async with asyncio.timeout(60):
            while len((await ask("agents"))["agents"]) < 2:  # noqa: ASYNC110 - it changes in another process
                await asyncio.sleep(0.1)
        assert (await ask("queue_wait", ticket=second, seen=""))["position"] == 1
        await ask("agent_state", agent="lee", state="available")
        assert (await ask("queue_wait", ticket=second, seen=""))["agents"][0]["name"] == "lee"
        await client.close()

    with RunningService(tmp_path, FLOWS, settings) as service:
        asyncio.run(story(service))


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(not shutil.which("kamailio"), reason="kamailio is not installed")
def test_an_agent_logs_in_and_out_by_codes_dialled_from_a_registered_phone(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "switch.toml").write_text(
        '[queues.sales]\n[agents.kim]\nphone = "201"\npassword_file = "password"\ncode = "4711"\nqueues = ["sales"]\n'
    )
    settings = {
        "switch": {"plan": str(tmp_path / "switch.toml")},
        "front": {"enabled": True},
        "speech": {"enabled": False},
        "sip": {"max_calls": 2},
    }

    async def story(service: RunningService) -> None:
        client = LinkClient(tmp_path / "run" / "control.sock")
        ask = asking(client)
        async with Peer("127.0.0.5", "201") as phone, service.events() as events:

            async def dial(keys: str) -> str:
                """How kim is when the sentence has been said to its end."""
                uri = service.uri(keys)
                challenge = await (await phone.invite(uri)).final()
                assert challenge.status == 407
                call = await phone.invite(uri, headers=authorization(challenge, "INVITE", uri, "201", "secret"))
                assert (await call.final()).status == 200
                await call.ended()
                (kim,) = (await ask("agents"))["agents"]
                return str(kim["state"])

            assert await dial("*114711") == "available"
            assert await dial("*137") == "break"
            assert await dial("*12") == "logged_out"
            started = await events.until("call.started")
            assert (started["called"], started["flow"]) == ("*11***", "agent_code")
            assert await events.until("agent.state", lambda data: data["reason"] == "7")
        assert "4711" not in service.log.read_text()
        await client.close()

    with RunningService(tmp_path, FLOWS, settings) as service:
        asyncio.run(story(service))
