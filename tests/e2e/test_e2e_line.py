"""What only the line itself tells: keys as tones, and the busy tone of an analogue caller who has hung up."""

import numpy as np
import pytest
from numpy.typing import NDArray
from talk import now_ns, talk

pytestmark = pytest.mark.slow

KEYS_HZ = {"1": (697, 1209), "2": (697, 1336), "7": (852, 1209)}
HOURS = "2"
BUSY_HZ = (480, 620)  # Korea: half a second on, half a second off
RATE = 8000


def tones(hz: tuple[int, ...], ms: int) -> NDArray[np.int16]:
    times_s = np.arange(RATE * ms // 1000) / RATE
    return (4000 * sum(np.sin(2 * np.pi * each * times_s) for each in hz)).astype(np.int16)


def silence(ms: int) -> NDArray[np.int16]:
    return np.zeros(RATE * ms // 1000, np.int16)


async def test_a_key_in_band_stops_the_prompt_and_answers(service):
    async with talk(service) as call:
        await call.entered("menu")
        await call.spoken_to(now_ns())
        pressed = now_ns()
        call.rtp.say(np.concatenate([tones(KEYS_HZ[HOURS], 120), silence(200)]))
        await call.silence(pressed, for_ms=300)
        await call.entered("hours")
        assert call.turns == [("accept", "hours")]


async def test_keys_told_in_band_and_by_rfc_4733_are_each_one_key(service):
    async with talk(service, "2000") as call:
        for key in "1172277":
            call.rtp.say(np.concatenate([tones(KEYS_HZ[key], 100), silence(300)]))
            await call.press(key)
        await call.press("#")
        await call.until("turn.heard", value="1172277")


async def test_a_busy_tone_from_the_line_ends_the_call_as_the_callers(service):
    async with talk(service) as call:
        await call.entered("menu")
        call.rtp.say(np.concatenate([tones(BUSY_HZ, 500), silence(500)] * 30))
        await call.until("call.tone_heard", tone="busy")
        assert (await call.over())["cause"] == "caller"
