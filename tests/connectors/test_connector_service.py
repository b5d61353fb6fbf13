"""What lies between a question and another system: answers kept, equal questions asked once, a breaker, figures."""

import asyncio
import json

import pytest
from answering import http, server
from structlog.testing import capture_logs

from voiceedge.clock import VirtualClock
from voiceedge.connectors import cache
from voiceedge.connectors.answers import Failed, Found, NotFound
from voiceedge.connectors.breaker import Breaker
from voiceedge.connectors.profile import Breaker as Rule

PHONE = "01012345678"


class Crm:
    """Answers with the number of the question, or as it is told to."""

    def __init__(self):
        self.asked, self.answer, self.wait = 0, None, None
        self.arrived = asyncio.Queue()

    async def __call__(self, _request, writer):
        self.asked += 1
        number = self.asked
        self.arrived.put_nowait(number)
        if self.wait:
            await self.wait.wait()
        writer.write(self.answer or http(json.dumps({"name": f"answer {number}"}).encode()))
        await writer.drain()


@pytest.fixture
async def crm():
    crm = Crm()
    async with server(crm) as (crm.url, _):
        yield crm


@pytest.fixture
def connectors(load, crm):
    """A function that loads them; the clock is virtual."""

    def connectors(*keys):
        clock = VirtualClock()
        lines = ["[connectors.crm]", 'kind = "http"', f'url = "{crm.url}/{{phone}}"', 'found = {name = "name"}', *keys]
        made = load("\n".join(lines), clock)
        made.clock = clock
        return made

    return connectors


async def name_of(connectors, phone=PHONE):
    answer = await connectors.look_up("crm", {"phone": phone})
    return answer.values["name"] if isinstance(answer, Found) else answer


async def test_an_answer_is_kept_for_its_time_and_no_longer(connectors):
    async with connectors("cache_s = 60", 'numbers = ["phone"]') as made:
        assert await name_of(made) == "answer 1"
        assert await name_of(made, "+82 10 1234 5678") == "answer 1"
        assert await name_of(made, "01099998888") == "answer 2"
        await made.clock.advance(59.9)
        assert await name_of(made) == "answer 1"
        await made.clock.advance(0.2)
        assert await name_of(made) == "answer 3"


async def test_without_cache_s_every_question_is_asked(connectors, crm):
    async with connectors() as made:
        assert [await name_of(made), await name_of(made)] == ["answer 1", "answer 2"]


async def test_nobody_is_kept_too_but_no_failure(connectors, crm):
    async with connectors("cache_s = 60") as made:
        crm.answer = http(b"", "404 Not Found")
        assert [await name_of(made), await name_of(made)] == [NotFound(), NotFound()]
        assert crm.asked == 1
        crm.answer = http(b"", "500 Oops")
        assert isinstance(await name_of(made, "2"), Failed)
        crm.answer = None
        assert await name_of(made, "2") == "answer 3"


async def test_the_answers_least_used_go_first(connectors, monkeypatch):
    monkeypatch.setattr(cache, "MOST_KEPT", 2)
    async with connectors("cache_s = 60") as made:
        assert [await name_of(made, phone) for phone in "1213121"] == [
            "answer 1", "answer 2", "answer 1", "answer 3", "answer 1", "answer 4", "answer 1",
        ]  # fmt: skip


async def test_what_is_kept_does_not_tell_what_was_asked(connectors):
    async with connectors("cache_s = 60") as made:
        await name_of(made)
        kept = made._connectors["crm"]._cache
        assert len(kept) == 1
        assert PHONE not in repr(list(kept._kept))


async def test_equal_questions_at_the_same_moment_are_asked_once(connectors, crm):
    crm.wait = asyncio.Event()
    async with connectors() as made, asyncio.TaskGroup() as group:
        tasks = [group.create_task(name_of(made, phone)) for phone in (PHONE, PHONE, "2", PHONE)]
        while await crm.arrived.get() < 2:
            pass
        crm.wait.set()
        names = [await task for task in tasks]
    assert crm.asked == 2
    assert names[0] == names[1] == names[3] != names[2]


async def test_a_system_that_keeps_failing_is_left_alone_and_then_asked_one_question_first(connectors, crm):
    rule = "breaker = {failures = 3, within_s = 10, rest_s = 30}"
    async with connectors(rule) as made:
        crm.answer = http(b"", "503 Busy")
        with capture_logs() as logs:
            for _ in range(5):
                await name_of(made)
        assert crm.asked == 3
        assert [entry["event"] for entry in logs] == ["connector_rests"]
        assert PHONE not in json.dumps(logs)
        assert (await name_of(made)).reason == "it has failed too often, and is left alone for 30 s"
        assert made.state()[0].breaker == "open"

        await made.clock.advance(30)
        assert made.state()[0].breaker == "half_open"
        crm.wait = asyncio.Event()
        probe = asyncio.create_task(name_of(made))
        while await crm.arrived.get() < 4:
            pass
        assert isinstance(await name_of(made, "2"), Failed)  # while the first one is out
        crm.wait.set()
        assert (await probe).reason == "status 503"
        assert made.state()[0].breaker == "open"

        await made.clock.advance(30)
        crm.answer = None
        assert await name_of(made) == "answer 5"
        assert made.state()[0].breaker == "closed"


async def test_failures_far_apart_or_by_the_values_alone_open_nothing(connectors, crm):
    async with connectors("breaker = {failures = 2, within_s = 10, rest_s = 30}") as made:
        crm.answer = http(b"", "500 Oops")
        for _ in range(3):
            await name_of(made)
            await made.clock.advance(11)
        crm.answer = http(b"", "422 Unprocessable Content")
        for _ in range(3):
            await name_of(made)
        assert made.state()[0].breaker == "closed"
    assert crm.asked == 6


def test_a_late_answer_does_not_close_an_open_breaker():
    clock = VirtualClock()
    breaker = Breaker(Rule(failures=1), clock)
    assert breaker.admit()
    assert breaker.admit()
    breaker.failed()
    breaker.answered()
    assert breaker.state == "open"
    assert not breaker.admit()


async def test_a_system_that_never_answers_is_waited_for_as_long_as_the_profile_says(connectors, crm):
    crm.wait = asyncio.Event()
    async with connectors("timeout_s = 3", "at_once = 1") as made:
        asking = [asyncio.create_task(name_of(made, phone)) for phone in ("1", "2")]  # the second waits for a place
        await crm.arrived.get()
        await made.clock.advance(2.9)
        assert not any(task.done() for task in asking)
        await made.clock.advance(0.2)
        assert [await task for task in asking] == [Failed("no answer within 3 s")] * 2
        crm.wait.set()
    assert crm.asked == 1


async def test_the_state_counts_and_times(connectors, crm):
    async with connectors("cache_s = 60") as made:
        await name_of(made)
        await name_of(made)
        crm.answer = http(b"", "404 Not Found")
        await name_of(made, "2")
        crm.answer = http(b"", "500 Oops")
        await name_of(made, "3")
        state = made.state()[0]
        assert (state.name, state.kind, state.breaker) == ("crm", "http", "closed")
        assert (state.asked, state.kept, state.found, state.not_found, state.failed) == (3, 1, 1, 1, 1)
        assert state.problem == "status 500"
        assert state.p95_ms == 0  # on a clock that stands still
        assert PHONE not in repr(state)


async def test_a_fault_of_ours_is_an_error_and_no_exception(connectors, monkeypatch):
    async with connectors() as made:
        source = made._connectors["crm"]._source

        async def broken(_values):
            raise RuntimeError(f"a bug about {PHONE}")

        monkeypatch.setattr(source, "ask", broken)
        with capture_logs() as logs:
            assert await name_of(made) == Failed("our own fault: RuntimeError")
        assert PHONE not in json.dumps(logs)


async def test_whoever_tries_it_is_told_all_of_it_with_care(connectors, crm):
    async with connectors("cache_s = 60") as made:
        crm.answer = http(json.dumps({"name": PHONE}).encode())
        tried = await made.try_out("crm", {"phone": "1"})
        assert (tried.result, tried.kept, tried.explanation) == ("found", False, "")
        assert [shown.text for shown in tried.values()] == ["***5678"]
        assert [shown.text for shown in tried.values(in_full=True)] == [PHONE]
        assert (await made.try_out("crm", {"phone": "1"})).kept
        crm.answer = http(b"{}")
        tried = await made.try_out("crm", {"phone": "2"})
        assert (tried.result, tried.values()) == ("not_found", [])
        assert "nobody" in tried.explanation
        assert (await made.try_out("crm", {"fone": "2"})).explanation == "phone is missing; it takes phone"
        assert (await made.try_out("crn", {"phone": "2"})).explanation == 'there is no connector "crn"; there are crm'
