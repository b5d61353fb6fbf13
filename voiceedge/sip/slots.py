"""How many calls one process of this PJSIP build carries."""

import os
from functools import cache

import pjsua2 as pj

from voiceedge.errors import SipError
from voiceedge.sip import library


@cache
def call_slots() -> int:
    """Asked in a child: PJSIP must not be started in a process that is to fork. Raises SipError where it fails."""
    read, write = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        try:
            os.write(write, str(_ask()).encode())
        finally:
            os._exit(0)
    os.close(write)
    with open(read, "rb") as answer:  # noqa: PTH123 - a descriptor
        told = answer.read()
    os.waitpid(pid, 0)
    if not told.isdigit():
        raise SipError("PJSIP does not start: see `voiceedge doctor`.")
    return int(told)


def _ask() -> int:
    library.silence_log()
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    settings = pj.EpConfig()
    settings.uaConfig.maxCalls = 10_000  # PJSIP lowers it to what it was built for
    settings.uaConfig.threadCnt = 0
    settings.logConfig.level = settings.logConfig.consoleLevel = 0
    endpoint.libInit(settings)
    return library.call_slots()
