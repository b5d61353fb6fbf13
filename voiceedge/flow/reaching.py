"""Steps that bring the caller to somebody: what they ask of the call, and where what came of it leads."""

from collections.abc import Mapping, Sequence
from typing import Any

from voiceedge.flow.call import (
    Call,
    Dial,
    DialResult,
    Enqueue,
    QueueResult,
    Utterance,
    Voicemail,
    VoicemailResult,
)
from voiceedge.flow.frame import Frame, Spoken
from voiceedge.flow.steps import DialStep, QueueStep, Step, VoicemailStep
from voiceedge.flow.template import Template, plain


def prompt_of(frame: Frame, step: Step, values: Mapping[str, Any]) -> Spoken | None:
    """What the caller is told first, if anything. Raises TemplateError."""
    if not isinstance(step, VoicemailStep):
        return None
    return frame.spoken(step.prompt or frame.words.leave_message, values, recording=step.recording or frame.at)


async def reach(
    call: Call,
    frame: Frame,
    step: DialStep | QueueStep | VoicemailStep,
    prompt: Spoken | None,
    values: Mapping[str, Any],
) -> str:
    """The step that follows. Raises TemplateError."""
    match step:
        case DialStep():
            return await _dial(call, frame, step, values)
        case QueueStep():
            return await _queue(call, frame, step, values)
        case VoicemailStep():
            return await _voicemail(call, frame, step, prompt, values)


async def _dial(call: Call, frame: Frame, step: DialStep, values: Mapping[str, Any]) -> str:
    return _exit(
        step,
        await call.dial(
            Dial(
                targets=tuple(_filled(target, values) for target in step.dial),
                language=frame.flow.header.language,
                ring_s=step.ring_s,
                whisper=_whisper(frame, step.whisper, values),
                accept=step.accept,
                caller_id=_filled(step.caller_id, values) if step.caller_id else None,
                recorded=step.recorded,
            )
        ),
    )


async def _queue(call: Call, frame: Frame, step: QueueStep, values: Mapping[str, Any]) -> str:
    return _exit(
        step,
        await call.queue(
            Enqueue(
                queue=_filled(step.queue, values),
                language=frame.flow.header.language,
                priority=step.priority,
                skills=step.skills,
                whisper=_whisper(frame, step.whisper, values),
                may_leave=step.left is not None,
                may_be_called_back=step.call_back is not None,
            )
        ),
    )


async def _voicemail(
    call: Call, frame: Frame, step: VoicemailStep, prompt: Spoken | None, values: Mapping[str, Any]
) -> str:
    return _exit(
        step,
        await call.voicemail(
            Voicemail(
                mailbox=_filled(step.voicemail, values),
                language=frame.flow.header.language,
                prompt=prompt.utterances if prompt else (),
                longest_s=step.longest_s,
            )
        ),
    )


def _exit(step: DialStep | QueueStep | VoicemailStep, result: DialResult | QueueResult | VoicemailResult) -> str:
    """Results are named as the exits are, but for the ones with which all went well."""
    if result in {DialResult.TALKED, QueueResult.TALKED, VoicemailResult.KEPT}:
        return step.next
    target: str | None = getattr(step, result.value)
    return target or step.failed


def _filled(text: Template, values: Mapping[str, Any]) -> str:
    return text.fill(values, lambda _, value: plain(value))


def _whisper(frame: Frame, texts: Sequence[Template] | None, values: Mapping[str, Any]) -> tuple[Utterance, ...]:
    return frame.spoken(texts, values).utterances if texts else ()
