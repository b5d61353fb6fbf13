"""What carriers and their boxes do, as SIPp scenarios (scenarios/*.xml): each says which answer which RFC asks for.

All run side by side against one endpoint, as many at a time as it takes calls; each test then reads one result.
"""

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from served import Server
from sipp import Scenario, ScenarioResult

SCENARIOS = Path(__file__).with_name("scenarios")
HOST = "127.0.0.1"
WAIT_S = 45.0
LONG_S = 120.0

# Which number of server.py a scenario calls.
CALLED = {
    "late_ack": "answer",
    "missing_ack": "answer",
    "repeated_invite": "ring",
    "cancel_ringing": "wait",
    "cancel_at_once": "wait",
    "cancel_of_nothing": "wait",
    "offerless_invite": "answer",
    "offerless_reinvite": "answer",
    "prack_required": "early",
    "prack_supported": "ring",
    "prack_repeated": "early",
    "update": "answer",
    "timer_refused": "answer",
    "timer_uac": "answer",
    "hold_in": "answer",
    "hold_out": "hold",
    "glare": "hold",
    "refer_in": "agent",
    "refer_declined": "answer",
    "refer_out": "transferred",
    "replaces_unknown": "answer",
    "multipart": "answer",
    "long_headers": "answer",
    "compact_form": "answer",
    "unknown_methods": "answer",
    "unknown_extension": "answer",
    "codec_change": "answer",
    "busy": "busy",
    "info_keys": "answer",
}
# Scenarios in which we call, and what we do once they have answered or rung.
CALLS_US = {
    "called_redirects": "Answered",
    "called_answers_the_cancelled": "Progress",
    "called_with_prack": "Answered",
    "called_wants_longer_sessions": "Answered",
    "called_is_silent_at_first": "Answered",
}
SLOW = {"timer_uas": "answer"}


class Runs:
    """All scenarios' results, while they come in."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._lines = asyncio.Semaphore(server.capacity)
        self._results = {name: self._begin(self._calls(name, number)) for name, number in CALLED.items()}
        self._results |= {name: self._begin(self._is_called(name, event)) for name, event in CALLS_US.items()}

    def result(self, name: str) -> ScenarioResult:
        return self._results[name].result(WAIT_S * 3)

    def close(self) -> None:
        for result in self._results.values():
            result.cancel()
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _begin(self, work: object) -> "concurrent.futures.Future[ScenarioResult]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _calls(self, name: str, number: str) -> ScenarioResult:
        async with self._lines:
            return await Scenario(SCENARIOS / f"{name}.xml", HOST, WAIT_S).call(number, self._server.port)

    async def _is_called(self, name: str, event: str) -> ScenarioResult:
        async with self._lines:
            scenario = Scenario(SCENARIOS / f"{name}.xml", HOST, WAIT_S)
            await scenario.start()
            await scenario.listening()
            leg = await self._server.do("call", f"sip:1000@{HOST}:{scenario.port}", {})
            await self._server.event(event, leg)
            await self._server.do("hang_up", leg=leg)
            return await scenario.result()


@pytest.fixture(scope="module")
def carrier() -> Iterator[Server]:
    server = Server(transfer_targets=["sip:agent@*"], no_rtp_s=60)
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def runs(carrier: Server) -> Iterator[Runs]:
    made = Runs(carrier)
    yield made
    made.close()


@pytest.mark.parametrize("name", [*CALLED, *CALLS_US])
def test_the_scenario_is_answered_as_its_rfc_says(runs: Runs, carrier: Server, name: str) -> None:
    result = runs.result(name)
    assert result.passed, result.errors
    assert carrier.alive, carrier.process.returncode


@pytest.mark.slow
@pytest.mark.parametrize(("name", "number"), SLOW.items())
async def test_the_long_scenario_is_answered_as_its_rfc_says(
    new_server: Callable[..., Server], name: str, number: str
) -> None:
    server = new_server(no_rtp_s=90)
    result = await Scenario(SCENARIOS / f"{name}.xml", HOST, LONG_S).call(number, server.port)
    assert result.passed, result.errors
    assert server.alive


def test_every_scenario_is_run() -> None:
    assert {file.stem for file in SCENARIOS.glob("*.xml")} == {*CALLED, *CALLS_US, *SLOW}
