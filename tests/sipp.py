"""SIPp (Debian package sip-tester) as a caller: its built-in scenarios against anything that answers calls."""

import asyncio
import re
import socket
from dataclasses import dataclass
from shutil import which
from tempfile import TemporaryDirectory

import pytest


@dataclass(frozen=True, slots=True)
class SippResult:
    succeeded: int
    failed: int
    output: str  # its last screens, for the message of a failed assertion


async def sipp_uac(
    host: str, port: int, *, calls: int, at_once: int = 1, rate: int = 10, user: str = "answer", wait_s: float = 120
) -> SippResult:
    """`sipp -sn uac`: INVITE, 200, ACK, BYE; `calls` in all, `at_once` at most, `rate` new ones a second at most."""
    program = which("sipp")
    if not program:
        pytest.skip("sipp is not installed (apt install sip-tester)")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        own = probe.getsockname()[1]
    command = [program, "-sn", "uac", f"{host}:{port}", "-i", host, "-p", str(own), "-s", user, "-nostdin"]
    command += ["-m", str(calls), "-l", str(at_once), "-r", str(rate), "-timeout", str(int(wait_s))]
    with TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            screens, _ = await asyncio.wait_for(process.communicate(), wait_s + 10)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    text = screens.decode(errors="replace")
    return SippResult(_last(text, "Successful call"), _last(text, "Failed call"), text[-4000:])


def _last(text: str, counter: str) -> int:
    found = re.findall(rf"{counter}\s+\|\s+\d+\s+\|\s+(\d+)", text)
    return int(found[-1]) if found else -1
