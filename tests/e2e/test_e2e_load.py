"""SIPp's built-in caller against the whole service, and one call too many."""

from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from peer import Peer
from sipp import sipp_uac
from talk import talk, until

pytestmark = pytest.mark.slow

CALLS, RATE = 200, 20


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


@pytest.mark.parametrize("at_once", [1, 4])
async def test_200_calls_of_sipp_all_succeed_and_leave_nothing_behind(service, at_once):
    port = urlsplit(service.uri().replace("sip:", "sip://")).port
    pid = service.pid("worker-1")
    files, running = open_files(pid), threads(pid)
    result = await sipp_uac("127.0.0.1", port, calls=CALLS, at_once=at_once, rate=RATE, user="1000", wait_s=150)
    assert (result.succeeded, result.failed) == (CALLS, 0), result.output
    async with talk(service) as call:
        await call.entered("menu")
    assert service.pid("worker-1") == pid
    await until(lambda: open_files(pid) <= files + 4)
    await until(lambda: threads(pid) <= running + 4)


async def test_a_call_too_many_is_told_when_to_try_again(service):
    async with service.events() as events, AsyncExitStack() as calls:
        for _ in range(service.status["processes"]["worker-1"]["capacity"]):
            await calls.enter_async_context(talk(service, events=events))
        peer = await calls.enter_async_context(Peer())
        response = await (await peer.invite(service.uri())).final()
        assert response.status in {486, 503}
        assert int(response["retry-after"]) > 0
    async with talk(service) as call:
        await call.entered("menu")
