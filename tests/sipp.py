"""SIPp (Debian package sip-tester): its built-in caller, and scenarios of our own, against anything that speaks SIP."""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

import pytest
from ports import free_port


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
    own = free_port(host)
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


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    passed: bool
    errors: str  # SIPp's own words: what it expected, and the message that came


class Scenario:
    """One run of one scenario: SIPp calls, or waits at `port` to be called. It is over within `wait_s`."""

    def __init__(self, file: Path, host: str, wait_s: float) -> None:
        program = which("sipp")
        if not program:
            pytest.skip("sipp is not installed (apt install sip-tester)")
        self.host, self.port, self._wait_s = host, free_port(host), wait_s
        self._folder = TemporaryDirectory()
        self._command = [
            program,
            "-sf",
            str(file),
            "-i",
            host,
            "-p",
            str(self.port),
            "-m",
            "1",
            "-nostdin",
            "-trace_err",
        ]
        self._command += ["-mp", str(free_port(host)), "-timeout", str(int(wait_s)), "-timeout_error"]
        self._command += ["-error_file", "errors.log"]
        # What comes while the next message is still to be sent is no failure; what is awaited and does not come, is.
        self._command += ["-default_behaviors", "all,-abortunexp"]
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, *arguments: str) -> None:
        quiet = asyncio.subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(
            *self._command, *arguments, cwd=self._folder.name, stdout=quiet, stderr=quiet
        )

    async def call(self, user: str, port: int) -> ScenarioResult:
        await self.start("-s", user, f"{self.host}:{port}")
        return await self.result()

    async def listening(self) -> None:
        """Until SIPp has bound its port."""
        async with asyncio.timeout(self._wait_s):
            while not _is_bound(self.port):  # noqa: ASYNC110 - SIPp tells nobody
                await asyncio.sleep(0.02)

    async def result(self) -> ScenarioResult:
        assert self._process
        try:
            code = await asyncio.wait_for(self._process.wait(), self._wait_s + 5)
        finally:
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
        errors = await asyncio.to_thread(self._errors)
        return ScenarioResult(code == 0, errors[-4000:] or f"sipp ended with code {code}")

    def _errors(self) -> str:
        log = Path(self._folder.name, "errors.log")
        errors = log.read_text(errors="replace") if log.exists() else ""
        self._folder.cleanup()
        return errors


def _is_bound(port: int) -> bool:
    """As the kernel lists it: whoever tried would have the port at the moment in which SIPp wants it."""
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    return any(line.split()[1].endswith(f":{port:04X}") for line in lines)


def _last(text: str, counter: str) -> int:
    found = re.findall(rf"{counter}\s+\|\s+\d+\s+\|\s+(\d+)", text)
    return int(found[-1]) if found else -1
