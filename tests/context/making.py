"""Events for tests, and a place to put them."""

import asyncio
from collections.abc import Callable

from voiceedge.clock import RealClock
from voiceedge.context.cloudevents import StampedEvent, new_id
from voiceedge.context.events.call import (
    CallAnswered,
    CallEnded,
    CallStarted,
    CallTransferred,
    EventData,
    HandedOver,
    RecordingEnded,
    RecordingStarted,
    StepEntered,
    ToneHeard,
    TurnHeard,
)
from voiceedge.context.record import Changes

CLOCK = RealClock()
CALL = "call-1"


def stamped(data: EventData, conversation: str = "conversation-1", **changes: object) -> StampedEvent:
    return StampedEvent(
        id=new_id(CLOCK),
        time=CLOCK.now(),
        conversation=conversation,
        type=data.type,
        data=data,
        changes=Changes.model_validate(changes),
    )


def step(number: int, conversation: str = "conversation-1") -> StampedEvent:
    return stamped(StepEntered(call_id=CALL, flow="retail", step=f"step-{number}", kind="say"), conversation)


async def until(condition: Callable[[], object], within_s: float = 60) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(0.01)


def one_of_each() -> list[EventData]:
    """A whole call, with what a careless caller of ours might put in."""
    return [
        CallStarted(
            call_id=CALL, direction="in", caller="010-1234-5678", customer="c0ffee", called="1588", flow="retail"
        ),
        CallAnswered(call_id=CALL, set_up_ms=12),
        ToneHeard(call_id=CALL, tone="busy", level_dbov=-18.5),
        StepEntered(call_id=CALL, flow="retail", step="greet", kind="say", says="안녕하세요. 무엇을 도와드릴까요?"),
        StepEntered(call_id=CALL, flow="retail", step="keep", kind="set"),
        TurnHeard(
            call_id=CALL, flow="retail", step="menu", by="speech", decision="accept", value="delivery",
            transcript="배송 조회요, 번호는 공일공 일이삼사 오육칠팔", confidence=0.93, speech_ms=1800,
        ),
        TurnHeard(call_id=CALL, flow="retail", step="menu", by="none", decision="no_input"),
        HandedOver(
            call_id=CALL, channel="web-chat", reason="agent", token="k.t.s", expires_at="2026-11-22T01:00:00Z",
            intent="delivery", slots={"order": "***5678"},
        ),
        RecordingStarted(call_id=CALL, path="2026-11-22/conversation-1.wav", format="wav"),
        RecordingEnded(
            call_id=CALL, path="2026-11-22/conversation-1.wav", format="wav", seconds=8.0, pauses=1, paused_s=2.5
        ),
        CallTransferred(call_id=CALL, target="sip:01012345678@pbx.local", result="refused"),
        CallEnded(
            call_id=CALL, cause="caller", sip_code=200, reason="Normal", duration_ms=9000, talk_ms=8000, outcome="done"
        ),
    ]  # fmt: skip
