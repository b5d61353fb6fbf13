"""Start the audio pipeline and the SIP stack once, on loopback, and say what they can: a process of its own, as PJSIP aborts.

Run as `python -m voiceedge.edge.self_test`; prints one JSON object.
"""

import asyncio
import json
import logging
import os
import sys

import structlog

from voiceedge.audio.pipeline import Pipeline
from voiceedge.config import Sip
from voiceedge.sip.endpoint import SipEndpoint
from voiceedge.sip.leg import Leg


async def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    pipeline = Pipeline()
    problems = pipeline.self_test()
    endpoint = SipEndpoint(Sip(host="127.0.0.1", port=0), pipeline, _refuse)
    await endpoint.start()  # checks PJSIP's memory layout before it is relied upon
    json.dump({"problems": problems, "capacity": endpoint.capacity}, sys.stdout)
    sys.stdout.flush()
    await endpoint.stop()
    os._exit(0)  # PJSIP's late destructors must not run


def _refuse(leg: Leg) -> None:
    leg.reject(503)


if __name__ == "__main__":
    asyncio.run(main())
