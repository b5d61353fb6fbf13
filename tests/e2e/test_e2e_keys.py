"""Keys by RFC 4733 and SIP INFO, during prompts, ahead of questions, and numbers in every way people end them."""

import pytest
from talk import now_ns, talk

pytestmark = pytest.mark.slow

SILENT_STEP = "5"  # waits for a server that says nothing
PROMPT_NS = 20_000_000_000  # about what espeak-ng takes for the prompt


@pytest.mark.parametrize("way", ["RFC 4733", "SIP INFO"])
async def test_a_key_during_the_prompt_stops_it_and_answers(service, way):
    async with talk(service, "4000") as call:
        began = await call.spoken_to()
        pressed = now_ns()
        await (call.press(SILENT_STEP) if way == "RFC 4733" else call.call.info(SILENT_STEP))
        silent = await call.silence(pressed)
        await call.entered("look_up")
        assert call.turns == [("accept", "look_up")]
        assert silent - began < PROMPT_NS / 2, "the prompt was not said to its end"


async def test_keys_typed_ahead_answer_the_next_questions(service):
    async with talk(service, "2000") as call:
        await call.press("1234567#40991")
        await call.call.ended()
        ended = await call.over()
        assert call.turns == [("accept", "1234567"), ("accept", "4099"), ("accept", "right")]
        assert ended["outcome"] == "took_numbers"


async def test_a_number_ends_with_the_end_key_after_a_pause_or_by_its_length(service):
    async with talk(service, "2000") as call:
        await call.press("12345")
        await call.until("turn.heard", value="12345")  # by the pause after it
        await call.entered("code")
        await call.press("0042")
        await call.entered("menu")
        await call.press("2")
        await call.until("turn.heard", value="wrong")
        await call.press("54321#")
        await call.until("turn.heard", value="54321")
        assert call.turns == [
            ("accept", "12345"),
            ("accept", "0042"),
            ("accept", "wrong"),
            ("accept", "54321"),
        ]


async def test_an_end_key_after_a_number_of_fixed_length_answers_nothing_else(service):
    async with talk(service, "2000") as call:
        await call.press("1234567#4099#")
        await call.entered("menu")
        await call.press("1")
        await call.call.ended()
        await call.over()
        assert call.turns == [("accept", "1234567"), ("accept", "4099"), ("accept", "right")]


async def test_silence_is_asked_again_in_other_words_and_then_taken_for_an_answer(service):
    async with talk(service, "3000") as call:
        await call.call.ended()
        ended = await call.over()
        assert call.turns == [("no_input", None)] * 3
        assert call.steps == [
            ("question", "ask"),
            ("question", "retry"),
            ("question", "retry"),
            ("goodbye", "hang_up"),
        ]
        said = [data["says"] for data in call.of("step.entered")]
        assert said[:3] == ["계세요?", "네?", "일 번이요."]
        assert (ended["cause"], ended["outcome"]) == ("flow", "nobody_answered")
        assert call.rtp.sound_ns(), "it was said aloud"
