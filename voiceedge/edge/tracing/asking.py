"""A worker's answer to who wants to see what was said in SIP about a call."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict

from voiceedge.context.privacy.pii import mask_text
from voiceedge.edge.between.link import Handler, Head
from voiceedge.edge.call.known_legs import KnownLeg, KnownLegs
from voiceedge.edge.call.live_view import is_meant
from voiceedge.sip.message import read_message, without_secrets
from voiceedge.sip.trace import SipMessage, Talk

Traced = Callable[[Sequence[str]], Awaitable[list[Talk]]]


class Tracing:
    def __init__(self, known: KnownLegs, traced: Traced) -> None:
        self._known, self._traced = known, traced

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {"trace": self.trace}

    async def trace(self, head: Head, _payload: bytes) -> Head:
        """`conversation`, or its beginning or end; `full`: with the messages' texts, which hold personal data.

        Answers {"traces": [{"conversation", "legs": [{"call_id", "role", "far_end", "trunk", "cause", "sip_code",
        "q850", "codec", "mos", "left_out", "messages": [{"at", "sent", "again", "method", "code", "phrase", "sequence",
        "codecs", "direction", "q850", "text"}]}]}]}.
        """
        wanted, full = str(head["conversation"]), bool(head.get("full"))
        traces = []
        for conversation in self._known.conversations():
            if is_meant(conversation, wanted):
                legs = self._known.of(conversation)
                talks = await self._traced([leg.call_id for leg in legs])
                told = [_leg(leg, talk, full=full) for leg, talk in zip(legs, talks, strict=True)]
                traces.append({"conversation": conversation, "legs": told})
        return {"traces": traces}


def _leg(leg: KnownLeg, talk: Talk, *, full: bool) -> Head:
    ended, quality = leg.ended, leg.ended.quality if leg.ended else None
    seen: set[tuple[bool, bytes]] = set()
    messages = []
    for message in talk.messages:
        spoken = message.sent, message.text
        messages.append(_message(message, again=spoken in seen, full=full))
        seen.add(spoken)
    return {
        "call_id": leg.call_id,
        "role": leg.role,
        "far_end": leg.far_end,
        "trunk": leg.trunk,
        "cause": ended.cause if ended else None,
        "sip_code": ended.sip_code if ended else None,
        "q850": ended.q850 if ended else None,
        "codec": quality.codec if quality else None,
        "mos": quality.mos if quality else None,
        "left_out": talk.left_out,
        "messages": messages,
    }


def _message(message: SipMessage, *, again: bool, full: bool) -> Head:
    facts = asdict(read_message(message.text))
    told = {"at": message.at, "sent": message.sent, "again": again, **facts, "phrase": mask_text(facts["phrase"])}
    return {**told, "text": without_secrets(message.text)} if full else told
