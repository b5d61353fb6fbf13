"""A worker's handler by which the desk of an agent who talks with a caller sends that caller on."""

from collections.abc import Mapping

import structlog

from voiceedge.context.privacy.pii import mask_text
from voiceedge.edge.between.link import Handler, Head
from voiceedge.edge.call.lines import RING_S, Candidate, Lines, Way
from voiceedge.switch.guard import Refusal

log = structlog.get_logger()


class SendingOn:
    """send_on {call, agent, and uri | queue | number} → {"found": …, "why": "" or why not}

    `call` is the Call-ID as events tell it, `agent` who sends the caller on. `uri` is the phone of `to`, another agent.
    """

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {"send_on": self.send_on}

    async def send_on(self, head: Head, _payload: bytes) -> Head:
        call = str(head["call"])
        talk = next((talk for talk in self._lines.talks.values() if mask_text(talk.call_id) == call), None)
        if talk is None:
            return {"found": False, "why": ""}
        to = self._to(head)
        if isinstance(to, Refusal):
            log.warning("transfer_refused", why=to.why)
            return {"found": True, "why": "refused"}
        if to is None:
            return {"found": True, "why": "unknown"}
        may = talk.partner == head["agent"] and talk.send_on(to)
        return {"found": True, "why": "" if may else "busy"}

    def _to(self, head: Head) -> str | Candidate | Refusal | None:
        if queue := head.get("queue"):
            return str(queue) if queue in self._lines.plan.queues else None
        if uri := head.get("uri"):
            entry = self._lines.plan.agents.get(head["to"])
            return Candidate((Way(str(uri)),), str(head["to"]), entry.ring_s if entry else RING_S)
        return self._lines.find(str(head["number"]), caller=str(head["agent"]))
