"""The dial plan in the running service: where calls go, and calls out only as the guard and the caps let them."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from peer import Peer, PeerCall
from ports import free_port
from service import RunningService
from talk import talk

pytestmark = pytest.mark.slow

PLAN = """
[trunks.carrier]
host = "127.0.0.1"
port = {port}
own_numbers = ["02-1234-5678", "070-1234-5678"]
max_calls = 1

[[routes]]
called = "4000"
reject = 486
[[routes]]
called = "4001"
number = "010-9999-8888"
[[routes]]
called = "4002"
flow = "to_premium"
"""
FLOWS = {
    "main": "a: {hang_up: Main., outcome: main}",
    "to_premium": """a: {dial: "060-700-1234", next: b, failed: b, refused: c}
  b: {hang_up: }
  c: {hang_up: , outcome: denied}""",
}


@pytest.fixture(scope="module")
def trunk_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory, trunk_port: int) -> Iterator[RunningService]:
    directory: Path = tmp_path_factory.mktemp("routed")
    (directory / "flows").mkdir()
    for name, steps in FLOWS.items():
        text = f"flow: {name}\nlanguage: en\nstart: a\nsteps:\n  {steps}\n"
        (directory / "flows" / f"{name}.yaml").write_text(text, encoding="utf-8")
    plan = directory / "switch.toml"
    plan.write_text(PLAN.format(port=trunk_port), encoding="utf-8")
    tables = {
        "site": {"language": "en"}, "switch": {"plan": str(plan)}, "front": {"enabled": False},
        "speech": {"enabled": False},
    }  # fmt: skip
    with RunningService(directory, directory / "flows", tables) as running:
        yield running


@pytest.fixture
async def carrier(trunk_port: int) -> AsyncIterator[Peer]:
    async with Peer(user="carrier", port=trunk_port) as peer:
        yield peer


async def test_what_no_route_takes_is_the_default_flows(routed):
    async with talk(routed, "4999") as call:
        assert (await call.over())["outcome"] == "main"


async def test_a_refused_number_is_never_answered(routed):
    async with routed.events() as events, Peer() as peer:
        call = await peer.invite(routed.uri("4000"))
        assert (await call.final()).status == 486
        started = await events.until("call.started", lambda data: data["call_id"] == call.id)
        ended = await events.until("call.ended", lambda data: data["call_id"] == call.id)
    assert started["flow"] == "reject"
    assert (ended["cause"], ended["sip_code"], ended["talk_ms"]) == ("rejected", 486, 0)


async def test_a_route_to_a_number_dials_it_in_the_trunks_form_with_its_number_and_no_more_than_it_carries(
    routed, carrier
):
    async with talk(routed, "4001") as call:
        out = await carrier.incoming()
        assert out.invitation.first.startswith("INVITE sip:01099998888@127.0.0.1")
        assert "0212345678" in out.invitation["from"]
        await out.answer()
        await call.until("bridge.started")
        async with talk(routed, "4001") as second:  # the carrier's one channel is taken
            assert (await second.over())["outcome"] == "failed"
        await out.bye()
        assert (await call.over())["outcome"] == "done"
    async with talk(routed, "4001") as third:
        again = await carrier.incoming()
        await again.answer(486)
        assert (await third.over())["outcome"] == "busy"


async def test_a_flow_cannot_dial_what_the_guard_denies(routed, carrier):
    rung: list[PeerCall] = []
    carrier.on_invite = rung.append
    async with talk(routed, "4002") as call:
        assert (await call.over())["outcome"] == "denied"
    assert not rung
