"""Start the audio pipeline and the SIP stack once, on loopback, and say what they can do; PJSIP may abort it.

Run as `python -m voiceedge.edge.checks.self_test`; prints one JSON object.
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


async def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    pipeline = Pipeline()
    problems = pipeline.self_test()
    endpoint = SipEndpoint(Sip(host="127.0.0.1", port=0), pipeline, lambda _: None)
    await endpoint.start()  # checks PJSIP's memory layout before it is relied upon
    json.dump({"problems": problems, "capacity": endpoint.capacity}, sys.stdout)
    sys.stdout.flush()
    await endpoint.stop()
    os._exit(0)  # PJSIP's late destructors must not run


if __name__ == "__main__":
    asyncio.run(main())
