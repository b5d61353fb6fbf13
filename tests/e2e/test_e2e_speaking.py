"""A caller's voice over real SIP and RTP, recognised by the real models."""

import asyncio

import pytest
from talk import now_ns, talk

pytestmark = [pytest.mark.speech, pytest.mark.slow]

INTO_THE_PROMPT_S = 1.5


async def test_a_caller_interrupts_the_menu_and_is_understood(service, caller_says):
    words = caller_says("배송 조회")
    async with talk(service) as call:
        await call.entered("menu")
        began = await call.spoken_to(now_ns())
        await asyncio.sleep(INTO_THE_PROMPT_S)
        assert call.rtp.silence_ns(began, for_ms=800) is None, "the menu is still being said"
        spoke = now_ns()
        call.rtp.say(words)
        silent = await call.silence(spoke, for_ms=600)
        turn = await call.until("turn.heard", step="menu")
        assert (turn["by"], turn["value"]) == ("speech", "delivery")
        assert turn["decision"] in {"accept", "confirm"}
        if turn["decision"] == "confirm":
            await call.press("1")
        await call.entered("delivery")
        await call.spoken_to(silent + 1)
        await call.entered("more")
        prompt_ms = 20_000  # espeak-ng says the menu in about this time
        assert silent - began < prompt_ms * 1e6 / 2, "the menu was not said to its end"


async def test_an_answer_that_began_before_the_question_is_heard(service, caller_says):
    words = caller_says("아니요 괜찮아요")
    async with talk(service, "7000") as call:
        await call.spoken_to()  # one short word
        call.rtp.say(words)
        turn = await call.until("turn.heard", step="question")
        assert (turn["by"], turn["value"]) == ("speech", "done")
        assert call.steps[:2] == [("greeting", "say"), ("question", "ask")]


async def test_a_cough_pauses_the_prompt_and_it_goes_on(service, caller_says):
    words = caller_says("음")
    async with talk(service) as call:
        await call.entered("menu")
        began = await call.spoken_to(now_ns())
        await asyncio.sleep(INTO_THE_PROMPT_S)
        coughed = now_ns()
        call.rtp.say(words)
        paused = await call.silence(coughed, for_ms=400)
        resumed = await call.spoken_to(paused + 400_000_000)
        assert began < paused < resumed
        assert call.turns == []
        await call.press("2")
        await call.entered("hours")
        assert call.turns == [("accept", "hours")]


async def test_a_caller_who_says_no_is_let_go(service, caller_says):
    words = caller_says("아니요")
    async with talk(service, "7000") as call:
        await call.entered("question")
        await call.silence(await call.spoken_to())
        call.rtp.say(words)
        turn = await call.until("turn.heard", step="question")
        assert (turn["by"], turn["value"]) == ("speech", "done")
        if turn["decision"] == "confirm":
            await call.press("1")
        await call.call.ended()
        ended = await call.over()
        assert (ended["cause"], ended["outcome"]) == ("flow", "said_goodbye")
