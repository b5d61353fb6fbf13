"""The commands that call the service and follow it, as people run them."""

import asyncio
import json

import pytest
from commands import voiceedge
from peer import Peer

from voiceedge import __version__

pytestmark = pytest.mark.slow


async def test_a_test_call_presses_keys_and_its_events_can_be_followed(service, tmp_path):
    record = tmp_path / "heard.wav"
    call = ("call", service.uri(), "keys:2", "keys:2", "--at-once", "--state", tmp_path, "--record", record)
    async with asyncio.timeout(150), voiceedge("events", "--json", "--config", service.config) as following:
        assert following.stdout
        assert following.stderr
        assert b"connected" in await following.stderr.readline()
        async with voiceedge(*call) as calling:
            told, problems = await calling.communicate()
        assert calling.returncode == 0, problems.decode()
        events = []
        while not events or events[-1]["type"] != "voiceedge.call.ended":
            events.append(json.loads(await following.stdout.readline()))
    lines = told.decode().splitlines()
    assert lines[0].startswith("answered after")
    assert lines[-1].startswith("ended by caller: 200"), "it was the far end that hung up"
    assert record.stat().st_size > 16_000
    assert [int(event["sequence"]) for event in events] == list(range(1, len(events) + 1))
    heard = [event["data"]["value"] for event in events if event["type"] == "voiceedge.turn.heard"]
    assert heard == ["hours", "done"]


async def test_a_test_call_that_is_refused_says_so(tmp_path):
    async with asyncio.timeout(120), Peer() as peer:
        peer.on_invite = lambda call: peer.spawn(call.answer(486))
        async with voiceedge("call", peer.uri, "--state", tmp_path) as calling:
            _, problems = await calling.communicate()
    assert calling.returncode == 1
    assert b"did not take the call: 486" in problems


async def test_a_second_run_beside_the_first_is_refused_and_harms_nothing(service):
    status, sockets = service.status, sorted(service.config.parent.glob("run/*.sock"))
    async with asyncio.timeout(120), voiceedge("run", "--config", service.config) as second:
        _, problems = await second.communicate()
    assert second.returncode == 1
    assert f"already running, pid {status['supervisor']}" in problems.decode()
    assert service.status["processes"].keys() == status["processes"].keys()
    assert sorted(service.config.parent.glob("run/*.sock")) == sockets
    async with asyncio.timeout(60), voiceedge("calls", "list", "--json", "--config", service.config) as listing:
        told, _ = await listing.communicate()
    assert json.loads(told) == []


def test_the_log_tells_the_version_at_the_start_and_the_reason_at_the_end(light, tmp_path):
    with light(tmp_path) as service:
        assert service.stop() == 0
    lines = [json.loads(line) for line in service.log.read_text().splitlines() if line.startswith("{")]
    told = {line["event"]: line for line in lines if line["event"].startswith("service_")}
    assert list(told) == ["service_starting", "service_stopping", "service_stopped"]
    assert told["service_starting"]["version"] == __version__
    assert told["service_stopping"]["reason"] == "SIGTERM"
