"""The figures as Prometheus fetches them: over HTTP, parsed by its own parser."""

import asyncio
import re
import socket
from pathlib import Path

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as prometheus
from structlog.testing import capture_logs
from watched import FRONT, answering, figures, hangs, watched

from voiceedge.clock import VirtualClock
from voiceedge.config import Config
from voiceedge.edge.metrics import serving

PATIENCE_S = 20


@pytest.fixture
def config(tmp_path: Path) -> Config:
    site = {"data_dir": tmp_path / "data", "run_dir": tmp_path / "run", "name": "seoul"}
    return Config.model_validate({"site": site, "metrics": {"port": 0}, "sip": {"max_calls": 6}})


async def scrape(port, accept="text/plain"):
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        answer = await http.get(f"http://127.0.0.1:{await port()}/metrics", headers={"Accept": accept})
    assert answer.status_code == 200
    return answer.text


def values(text, parse=prometheus):
    """By name and labels, these in the order of their names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in parse(text)
        for sample in family.samples
    }


async def test_a_scrape_tells_of_every_part(config):
    workers = {name: answering({"figures": figures()}) for name in ("worker-1", "worker-2")}
    async with watched(config, workers=workers, front=answering(FRONT)) as port:
        told = values(await scrape(port))
    expected = {
        ("voiceedge_ready",): 1,
        ("voiceedge_workers", "serving"): 2,
        ("voiceedge_workers", "draining"): 0,
        ("voiceedge_calls_limit",): 6,
        ("voiceedge_calls", "worker-2"): 2,
        ("voiceedge_calls_taken_total", "worker-1"): 5,
        ("voiceedge_calls_ended_total", "flow", "worker-1"): 3,
        ("voiceedge_call_set_up_seconds_bucket", "0.003", "worker-1"): 2,
        ("voiceedge_call_set_up_seconds_bucket", "1.0", "worker-1"): 3,
        ("voiceedge_call_set_up_seconds_bucket", "+Inf", "worker-1"): 4,
        ("voiceedge_call_set_up_seconds_sum", "worker-1"): pytest.approx(4.0333),
        ("voiceedge_rtp_packets_lost_total", "worker-1"): 20,
        ("voiceedge_leg_opinion_score_sum", "worker-1"): 4.2,
        ("voiceedge_leg_opinion_score_count", "worker-1"): 1,
        ("voiceedge_audio_longest_gap_seconds", "worker-1"): 0.061,
        ("voiceedge_front_calls_started_total", "in"): 120,
        ("voiceedge_front_refused_total", "full"): 4,
        ("voiceedge_front_banned_addresses", "scan"): 1,
        ("voiceedge_trunk_up", "carrier"): 1,
        ("voiceedge_trunk_up", "backup"): 0,
        ("voiceedge_trunk_registered", "backup"): 0,
        ("voiceedge_trunk_calls_limit", "carrier"): 30,
        ("voiceedge_queue_waiting", "sales"): 4,
        ("voiceedge_queue_agents", "sales", "talking"): 2,
        ("voiceedge_queue_service_level_ratio", "sales", "1h"): 0.75,
        ("voiceedge_queue_callers", "abandoned", "sales", "today"): 2,
        ("voiceedge_agents", "talking"): 1,
        ("voiceedge_agents", "available"): 0,
        ("voiceedge_events_pending",): 5,
        ("voiceedge_worker_events_waiting", "worker-1"): 6,
        ("voiceedge_broker_connected",): 1,
        ("voiceedge_look_ups_total", "crm", "worker-1", "failed"): 3,
        ("voiceedge_look_ups_total", "crm", "control", "kept"): 4,
        ("voiceedge_look_up_seconds_count", "crm", "worker-1"): 9,
        ("voiceedge_look_up_seconds_sum", "crm", "worker-1"): 0.75,
        ("voiceedge_connector_resting", "crm", "control"): 1,
    }
    assert {name: told.get(name) for name in expected} == expected
    assert ("voiceedge_trunk_up", "pbx") not in told  # nobody asks it
    assert ("voiceedge_queue_service_level_ratio", "sales", "15m") not in told  # nobody called
    assert all(value == 1 for name, value in told.items() if name[0] == "voiceedge_scrape_part_up")
    assert told["voiceedge_process_resident_memory_bytes", "worker-1"] > 1e6
    assert told["voiceedge_process_cpu_seconds_total", "supervisor"] > 0
    assert 0 < told["voiceedge_disk_free_bytes",] <= told["voiceedge_disk_size_bytes",]


async def test_names_units_and_help_follow_the_conventions(config):
    async with watched(config, front=answering(FRONT)) as port:
        text = await scrape(port, "application/openmetrics-text; version=1.0.0")
        plain = await scrape(port)
    families = list(open_metrics(text))  # stricter than its older brother: wrong names and orders raise
    assert {family.name for family in families} == {family.name for family in prometheus(plain)}
    for family in families:
        assert re.fullmatch(r"voiceedge_[a-z0-9_]+", family.name)
        assert len(family.documentation) > 5
        assert not family.name.endswith(("_ms", "_percent", "_mb"))
        for sample in family.samples:
            assert {"name", "number", "address", "caller"}.isdisjoint(sample.labels)
    assert "kim" not in text
    assert "203.0.113.9" not in text


async def test_a_silent_part_takes_no_other_with_it(config):
    workers = {"worker-1": answering({"figures": figures()}), "worker-2": {"figures": hangs}}
    front = {**answering(FRONT), "bans": hangs}
    async with watched(config, workers=workers, front=front, control={"agents": hangs}, patience_s=3) as port:
        told = values(await scrape(port))
    up = {name[1]: value for name, value in told.items() if name[0] == "voiceedge_scrape_part_up"}
    assert up == {"workers": 0, "front": 0, "agents": 0, "queues": 1, "events": 1, "connectors": 1, "machine": 1}
    assert told["voiceedge_calls", "worker-1"] == 2
    assert told["voiceedge_queue_waiting", "sales"] == 4
    assert not [name for name in told if name[0].startswith(("voiceedge_front", "voiceedge_trunk", "voiceedge_agents"))]


async def test_what_hangs_is_not_asked_again_meanwhile(config):
    asked = []

    async def hanging(head, payload):
        asked.append(head)
        return await hangs(head, payload)

    clock = VirtualClock()
    async with watched(config, control={"queues": hanging}, clock=clock, patience_s=0.8) as port:
        for _ in range(2):
            await scrape(port)
            await clock.advance(2)
    assert len(asked) == 1


async def test_only_that_page_is_there_and_only_for_reading(config):
    async with watched(config) as port, httpx.AsyncClient(timeout=PATIENCE_S) as http:
        base = f"http://127.0.0.1:{await port()}"
        assert (await http.get(f"{base}/")).status_code == 404
        assert (await http.get(f"{base}/metrics/../etc/passwd")).status_code == 404
        refused = await http.post(f"{base}/metrics", content=b"x")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
        assert (await http.get(f"{base}/metrics?name=x")).status_code == 200
        head = await http.head(f"{base}/metrics")
        assert (head.status_code, head.content, int(head.headers["content-length"]) > 1000) == (200, b"", True)


async def talk_to(port, said):
    reader, writer = await asyncio.open_connection("127.0.0.1", await port())
    writer.write(said)
    async with asyncio.timeout(PATIENCE_S):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()


async def test_the_slow_and_the_garrulous_are_sent_away(config, monkeypatch):
    monkeypatch.setattr(serving, "REQUEST_S", 0.3)
    async with watched(config) as port:
        assert await talk_to(port, b"GET /metrics HTT") == b""
        assert await talk_to(port, b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 100_000) == b""
        monkeypatch.setattr(serving, "REQUEST_S", 4)
        assert (await talk_to(port, b"\x16\x03\x01\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
        idle = [await asyncio.open_connection("127.0.0.1", await port()) for _ in range(serving.MOST_AT_ONCE)]
        assert await talk_to(port, b"GET /metrics HTTP/1.1\r\n\r\n") == b""
        for reader, _ in idle:
            async with asyncio.timeout(PATIENCE_S):
                assert await reader.read() == b""
        monkeypatch.setattr(serving, "REQUEST_S", PATIENCE_S)
        assert values(await scrape(port))["voiceedge_ready",] == 1
        for _, writer in idle:
            writer.close()


async def test_a_port_in_use_is_told_and_waited_for(config):
    clock = VirtualClock()
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        config = config.model_copy(update={"metrics": config.metrics.model_copy(update={"port": taken})})
        with capture_logs() as logs:
            async with watched(config, clock=clock) as port:
                await clock.advance(3 * serving.AGAIN_S)
                problems = [entry for entry in logs if entry["event"] == "metrics_not_served"]
                assert [(entry["port"], "metrics.port" in entry["remedy"]) for entry in problems] == [(taken, True)]
                assert not port().done()
                other.close()
                while not port().done():
                    await clock.advance(serving.AGAIN_S)
                    await asyncio.sleep(0.01)
                assert await port() == taken


async def test_without_a_port_nothing_is_served(config):
    config = config.model_copy(update={"metrics": config.metrics.model_copy(update={"port": None})})
    async with watched(config) as port:
        await asyncio.sleep(0.05)
        assert not port().done()
