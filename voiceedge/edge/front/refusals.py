"""Tells the log of callers who found no place, in one line a minute: Kamailio counts them and says nothing."""

import structlog

from voiceedge import clock as clocks
from voiceedge.clock import Clock
from voiceedge.edge.front.answers import Answers
from voiceedge.errors import LinkError

TELL_S = 60.0
FULL = ("full", "no_worker")  # as the template counts them: past sip.max_calls, and all workers busy

log = structlog.get_logger()


async def tell_forever(answers: Answers, clock: Clock) -> None:
    told = 0
    while True:
        await clocks.sleep(clock, TELL_S)
        try:
            refused = (await answers.stats({}, b""))["refused"]
        except LinkError:
            continue  # Kamailio is away: what it counted is gone with it
        now = sum(refused.get(why, 0) for why in FULL)
        fresh = now - told if now >= told else now  # less than before: it is another one
        told = now
        if fresh:
            log.warning("calls_refused_full", calls=fresh, within_s=TELL_S, setting="sip.max_calls")
