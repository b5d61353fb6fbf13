"""The caps on calls out, from a worker: control counts them in the store; while it is away the worker counts alone."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import structlog

from voiceedge.clock import Clock, sleep
from voiceedge.edge.between.link import Handler, Head, LinkClient
from voiceedge.errors import LinkError
from voiceedge.switch.caps import RENEW_S, CallOut, Caps, LocalCaps
from voiceedge.switch.guard import Reason, Refusal

ANSWER_S = 2.0  # whoever dials waits for it
ADMIT, GO_ON, OVER = "call_out_admit", "call_out_go_on", "call_out_over"

log = structlog.get_logger()


def handlers(caps: Caps) -> Mapping[str, Handler]:
    """Control's side."""

    async def admit(head: Head, _: bytes) -> Head:
        refusal = await caps.admit(CallOut(**head["call"]))
        return {"refusal": refusal and asdict(refusal)}

    async def go_on(head: Head, _: bytes) -> Head:
        await caps.go_on(head["calls"])
        return {}

    async def over(head: Head, _: bytes) -> Head:
        await caps.over(head["call"], head["trunk"])
        return {}

    return {ADMIT: admit, GO_ON: go_on, OVER: over}


class LinkCaps:
    """`run` must run beside the calls. Never raises: a dead control process keeps nobody from calling."""

    def __init__(self, control: LinkClient, clock: Clock) -> None:
        self._control, self._clock = control, clock
        self._local = LocalCaps(clock)
        self._up: dict[str, str] = {}  # call by call, its trunk

    async def run(self) -> None:
        """Tell every RENEW_S which calls are still up, for ever."""
        while True:
            await sleep(self._clock, RENEW_S)
            if self._up:
                await self.go_on(sorted(self._up))

    async def admit(self, call: CallOut) -> Refusal | None:
        refusal = await self._local.admit(call)  # whole: what it has let through by itself counts afterwards too
        if refusal is None:
            refusal = await self._asked(call)
            if refusal is None:
                self._up[call.id] = call.trunk
            else:
                await self._local.over(call.id, call.trunk)
        return refusal

    async def _asked(self, call: CallOut) -> Refusal | None:
        try:
            answer = await self._control.request(ADMIT, {"call": asdict(call)}, timeout_s=ANSWER_S)
        except LinkError as error:
            log.warning("calls_out_counted_here", problem=str(error), effect="caps hold for each worker by itself")
            return None
        refusal = answer["refusal"]
        return Refusal(Reason(refusal["reason"]), refusal["why"]) if refusal else None

    async def go_on(self, ids: Sequence[str]) -> None:
        await self._local.go_on(ids)
        await self._tell(GO_ON, {"calls": list(ids)})

    async def over(self, call_id: str, trunk: str) -> None:
        if self._up.get(call_id) == trunk:
            del self._up[call_id]
        await self._local.over(call_id, trunk)
        await self._tell(OVER, {"call": call_id, "trunk": trunk})

    async def _tell(self, request: str, body: Head) -> None:
        try:
            await self._control.request(request, body, timeout_s=ANSWER_S)
        except LinkError as error:
            log.warning("calls_out_not_told", problem=str(error), effect="the trunk is free again a little later")
