"""What a worker says to control about calls out: that they are up, and what became of them, until it is heard."""

import structlog

from voiceedge.bus.backoff import backoff
from voiceedge.clock import Clock, sleep
from voiceedge.edge.between.link import LinkClient
from voiceedge.errors import LinkError
from voiceedge.switch.outbound.messages import RENEW_S, Report

ASK_S = 5.0
INSIST_S = 300.0  # whoever is not heard by then has called somebody who may be called again

log = structlog.get_logger()


class OutboundDesk:
    """One in every worker."""

    def __init__(self, control: LinkClient, clock: Clock) -> None:
        self._control, self._clock = control, clock

    async def keep(self, call: str) -> None:
        """Say for ever that this call is up."""
        while True:
            try:
                await self._control.request("outbound_go_on", {"calls": [call]}, timeout_s=ASK_S)
            except LinkError as error:
                log.warning("call_out_not_told", problem=str(error), effect="told again soon")
            await sleep(self._clock, RENEW_S)

    async def said(self, report: Report) -> None:
        body, delays = report.model_dump(mode="json"), backoff()
        until = self._clock.monotonic() + INSIST_S
        while True:
            try:
                await self._control.request("outbound_said", body, timeout_s=ASK_S)
            except LinkError as error:
                if not error.can_retry or self._clock.monotonic() >= until:
                    log.error("call_out_result_lost", order=report.order, problem=str(error))  # noqa: TRY400
                    return
            else:
                return
            await sleep(self._clock, next(delays))
