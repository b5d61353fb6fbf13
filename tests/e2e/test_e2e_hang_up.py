"""A caller who hangs up in the middle of each kind of step, and the lines that must be free afterwards."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator

import pytest
from peer import ReferPlan
from talk import now_ns, talk, until

pytestmark = pytest.mark.slow

KEYS = {"say": "1", "ask": "2", "short": "3", "confirm": "4", "look_up": "5", "hand_over": "6", "transfer": "7"}
LAST_WORDS, BARRED = "8", "9"


@contextlib.contextmanager
def frozen(service, name: str) -> Iterator[None]:
    """A process that does not answer for a while, too short to be taken for hung."""
    pid = service.pid(name)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def hung_up(call) -> None:
    await call.hang_up()
    ended = await call.over()
    assert ended["cause"] == "caller"
    assert ended["outcome"] == "caller_hung_up"


@pytest.mark.parametrize("step", ["say", "ask", "look_up"])
async def test_while_it_is_doing(service, step):
    async with talk(service, "4000") as call:
        await call.press(KEYS[step])
        await call.entered(step)
        await hung_up(call)
        assert call.steps[-1][0] == step


async def test_while_it_listens(service):
    async with talk(service, "4000") as call:
        await call.entered("pick")
        await call.spoken_to()
        pressed = now_ns()
        await call.press(KEYS["short"])
        await call.entered("short")
        await call.silence(await call.spoken_to(pressed))
        await hung_up(call)
        assert call.turns == [("accept", "short")]


async def test_while_it_asks_for_confirmation(service):
    async with talk(service, "4000") as call:
        await call.press(KEYS["confirm"] + "1")
        await call.entered("confirm", "confirm")
        await hung_up(call)


@pytest.mark.speech
async def test_while_speaking(service, caller_says):
    words = caller_says("배송 조회")
    async with talk(service, "4000") as call:
        await call.press(KEYS["ask"])
        await call.entered("ask")
        await call.spoken_to(now_ns())
        for _ in range(5):
            call.rtp.say(words)
        await call.silence(now_ns(), for_ms=300)  # it has noticed and listens
        assert call.rtp.saying
        await hung_up(call)
        assert call.turns == [("accept", "ask")]


@pytest.mark.speech
async def test_while_recognition_decides(service, caller_says):
    words = caller_says("배송 조회")
    async with talk(service, "4000") as call:
        await call.press(KEYS["ask"])
        await call.entered("ask")
        await call.spoken_to(now_ns())
        with frozen(service, "speech"):
            call.rtp.say(words)
            await until(lambda: f'"voice_offset", "conversation": "{call.conversation}"' in service.log.read_text())
            await hung_up(call)
        assert call.turns == [("accept", "ask")]


async def test_while_the_ticket_of_a_hand_over_is_issued(service):
    async with talk(service, "4000") as call:
        await call.entered("pick")
        await call.spoken_to()
        with frozen(service, "control"):
            pressed = now_ns()
            await call.press(KEYS["hand_over"])
            await call.silence(pressed, for_ms=400)  # the key has come
            await call.hang_up()
        ended = await call.over()
        assert ended["cause"] == "caller"
        assert ("hand_over", "hand_over") in call.steps


@pytest.mark.parametrize("accepted", [False, True])
async def test_while_being_transferred(service, accepted):
    async with talk(service, "4000") as call:
        call.peer.refer = ReferPlan(statuses=(100,), pause_s=0.0 if accepted else 5.0)
        await call.press(KEYS["transfer"])
        await call.call.asked_for("REFER")
        await call.hang_up()
        ended = await call.over()
        assert ended["cause"] in {"caller", "transfer"}
        assert call.steps[-1] == ("transfer", "transfer")


async def test_during_the_last_words(service):
    async with talk(service, "4000") as call:
        await call.press(LAST_WORDS)
        await call.entered("last_words")
        await hung_up(call)


async def test_afterwards_every_line_is_free_and_nothing_went_wrong(service):
    async def one() -> None:
        async with talk(service, "4000") as call:
            await call.press(BARRED)
            await call.call.ended()
            ended = await call.over()
            assert (ended["cause"], ended["outcome"]) == ("flow", "could_not_transfer")

    async with asyncio.TaskGroup() as calls:
        for _ in range(service.status["processes"]["worker-1"]["capacity"]):
            calls.create_task(one())
    assert '"level": "error"' not in service.log.read_text()
