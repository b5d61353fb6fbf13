"""Callers whom the flow knows by a connector: asked over HTTP as the call comes, and a new file while calls go on."""

import asyncio
import json
from pathlib import Path

import pytest
from answering import http, server
from service import RunningService
from talk import talk

pytestmark = pytest.mark.slow

CALLER, NAME = "01055667788", "김하나"
FLOW = """flow: main
language: ko
start: who
slots: {customer: {means: 고객, class: none}}
steps:
  who: {look_up: crm, with: {phone: "{call.caller}"}, into: customer, found: which, not_found: stranger, error: broken}
  which: {choose: [{when: customer.grade == "vip", next: vip}], otherwise: known}
  vip: {hang_up: "{customer.name}님, 안녕하세요."}
  known: {hang_up: 안녕하세요.}
  stranger: {hang_up: 처음 뵙겠습니다.}
  broken: {hang_up: 안녕하세요.}
"""
CONNECTORS = """[connectors.crm]
kind = "http"
url = "URL/PATH/{phone}"
numbers = ["phone"]
found = {name = "customer.name", grade = {from = "customer.grade", class = "none"}}
"""


async def crm(request: bytes, writer: asyncio.StreamWriter) -> None:
    known = request.startswith(f"GET /v1/{CALLER} ".encode())
    grade = "vip" if known else "basic"
    found = json.dumps({"customer": {"name": NAME, "grade": grade}}).encode()
    writer.write(http(found) if known or b"/v2/" in request else http(b"", "404 Not Found"))
    await writer.drain()


def started(directory: Path, url: str) -> RunningService:
    flows = directory / "flows"
    flows.mkdir()
    (flows / "main.yaml").write_text(FLOW, encoding="utf-8")
    write(directory, url, "v1")
    tables = {"speech": {"enabled": False}, "connectors": {"file": str(directory / "connectors.toml")}}
    return RunningService(directory, flows, tables)


def write(directory: Path, url: str, path: str) -> None:
    file = directory / "connectors.toml"
    file.write_text(CONNECTORS.replace("URL", url).replace("PATH", path), encoding="utf-8")


async def outcome(service: RunningService, user: str) -> str:
    async with talk(service, user=user) as call:
        await call.call.ended()
        return (await call.over())["outcome"]


def pids(service: RunningService) -> set[int]:
    """Of all who ask other systems and serve."""
    return {service.pid("control"), *(facts["pid"] for facts in service.workers.values())}


async def test_a_caller_is_looked_up_and_a_changed_file_is_taken_by_a_reload(tmp_path):
    async with server(crm) as (url, requests):
        service = started(tmp_path, url)
        await asyncio.to_thread(service.start)
        try:
            async with talk(service, user="+82" + CALLER[1:]) as call:
                await call.entered("vip")
                await call.call.ended()
                assert (await call.over())["outcome"] == "vip"
            assert await outcome(service, "01099998888") == "stranger"
            before = pids(service)
            await asyncio.to_thread(write, tmp_path, url, "v2")
            assert (await asyncio.to_thread(service.reload))["state"] == "done"
            assert not before & pids(service)
            assert await outcome(service, CALLER) == "known"
        finally:
            await asyncio.to_thread(service.stop)
    asked = [request.split(b" ")[1].decode() for request in requests]
    assert asked == [f"/v1/{CALLER}", "/v1/01099998888", f"/v2/{CALLER}"]
    told = json.dumps(call.events, ensure_ascii=False) + service.log.read_text()
    assert "***님, 안녕하세요." in told
    assert NAME not in told
    assert CALLER[3:] not in told
