"""Kamailio as our child: checked before it is used, started in the foreground, its log lines made ours."""

import asyncio
import contextlib
import ctypes
import hmac
import os
import re
import signal
import subprocess
import tempfile
from pathlib import Path

import structlog

from voiceedge.clock import Clock
from voiceedge.config import Config
from voiceedge.context.privacy.pii import mask_text
from voiceedge.edge.front.place import Place
from voiceedge.edge.front.render import STRUCTURE, render, write
from voiceedge.edge.front.tables import LOCATION_HEAD
from voiceedge.errors import ConfigError
from voiceedge.switch.plan import Plan

CHECK_S = 20.0
STOP_S = 4.0
SHARED_MB, PRIVATE_MB = 256, 16  # 128 MB bear 400 calls a second
LINES_PER_S = 50, 500  # what a flood may make us log: of quoted messages, which must not hide it, and of security …
LONGEST_LINE = 500  # … characters of each: Kamailio quotes whole messages
_PR_SET_PDEATHSIG = 1
_LINE = re.compile(r"^\s*\d+\(\d+\) (?P<level>[A-Z]+): (?:\{[^}]*\} )?(?:<?[\w-]+>?(?: \[[^\]]*\])?: )?(?P<text>.*)$")
_SECURITY = re.compile(
    r"(?P<mark>\w+) security event=(?P<what>\w+) address=(?P<address>[0-9.]+)"
    r"(?: (?:reason=(?P<reason>\w+)|method=(?P<method>\w+)))?"
)
_LEVELS = {"ALERT": "error", "BUG": "error", "CRITICAL": "error", "ERROR": "error", "WARNING": "warning"}
log = structlog.get_logger()


async def check(config: Config, plan: Plan, place: Place) -> None:
    """Let Kamailio read what we would give it, in a folder of its own. Raises ConfigError with what it says."""
    config.site.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="front-check-", dir=config.site.run_dir.absolute()) as name:
        folder = Path(name)
        lay_out(render(config, plan, place, folder), folder)
        command = [*_command(place, folder), "-c"]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            async with asyncio.timeout(CHECK_S):
                _, said = await process.communicate()
        except TimeoutError as error:
            process.kill()
            await process.wait()
            raise ConfigError(
                f"front.program: {place.program} took over {CHECK_S:.0f} s to check our files."
            ) from error
    lines = said.decode(errors="replace").splitlines()
    problems = [match["text"] for match in map(_LINE.match, lines) if match and match["level"] in {"ERROR", "CRITICAL"}]
    if process.returncode:
        told = "\n".join(problems or lines[-3:]).replace(f"{folder}/", "")
        raise ConfigError(
            f"front: Kamailio does not take the configuration made for it:\n{told}\n"
            "Where a module is named, install kamailio-tls-modules and kamailio-extra-modules; else this is a mistake "
            "of VoiceEdge."
        )


def lay_out(files: dict[str, str], folder: Path) -> None:
    """Write `files`, and those that must exist but hold what only Kamailio and the workers know."""
    own = {"dispatcher.list": "", "tables/location": f"{LOCATION_HEAD}\n"}
    write(files | {name: text for name, text in own.items() if not (folder / name).exists()}, folder)


def _command(place: Place, folder: Path) -> list[str]:
    memory = ["-m", str(SHARED_MB), "-M", str(PRIVATE_MB)]
    return [str(place.program), "-f", str(folder / STRUCTURE), "-Y", str(folder), *memory]


class Kamailio:
    """One process group, which ends with us, however we end."""

    def __init__(self, place: Place, folder: Path, clock: Clock) -> None:
        self._place, self._folder, self._clock = place, folder, clock
        self._mark = folder / "kamailio.pid"
        self.pid = 0
        self._ending = False  # what its processes then say of each other's absence is no news

    async def run(self) -> int:
        """Start it, log what it says, return its exit code when it is over; nothing of it is left then."""
        self._end_leftovers()
        command = [*_command(self._place, self._folder), "-DD", "-E"]
        read, write = os.pipe()  # ours, not asyncio's, whose wait() would last as long as any of its children
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=write,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        finally:
            os.close(write)
        self.pid, self._ending = process.pid, False
        self._mark.write_text(str(process.pid))
        listening = asyncio.create_task(self._listen(read))
        try:
            return await process.wait()
        finally:
            await self._end(process)
            await listening  # to its end: nobody holds the pipe any more
            self.pid = 0

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        self._ending = True
        if process.returncode is None:
            process.terminate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await process.wait()
        _kill_group(process.pid)
        await process.wait()
        self._mark.unlink(missing_ok=True)

    def _end_leftovers(self) -> None:
        """A front that was killed leaves a Kamailio that is still stopping and holds our ports."""
        with contextlib.suppress(OSError, ValueError):
            pid = int(self._mark.read_text())
            for member in _group(pid):
                if str(self._folder) in Path(f"/proc/{member}/cmdline").read_text(errors="replace"):
                    _kill_group(pid)
                    return

    async def _listen(self, pipe: int) -> None:
        stderr = asyncio.StreamReader(limit=65536)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stderr), os.fdopen(pipe, "rb"))
        second, counts = self._clock.monotonic(), [0, 0]  # of Kamailio's words, and of the template's
        while True:
            try:
                line = await stderr.readline()
            except ValueError:
                continue  # longer than any line we write
            if not line:
                return
            if self._clock.monotonic() - second >= 1:
                if dropped := sum(max(0, count - most) for count, most in zip(counts, LINES_PER_S, strict=True)):
                    log.warning("front_lines_dropped", count=dropped)
                second, counts = self._clock.monotonic(), [0, 0]
            ours = self._place.mark.encode() in line
            counts[ours] += 1
            if counts[ours] <= LINES_PER_S[ours] and not self._ending:
                tell(line[:LONGEST_LINE].decode(errors="replace").rstrip(), self._place.mark)


def tell(line: str, mark: str) -> None:
    """One line of Kamailio's as an event of ours: `security` in a form of its own, the rest without personal data.

    Kamailio quotes messages that it cannot read, line by line: only what bears the `mark` is what the template wrote.
    """
    match = _LINE.match(line)
    text = match["text"] if match else line
    security = _SECURITY.fullmatch(text)
    if security and hmac.compare_digest(security["mark"], mark):
        found = security.groupdict()
        log.warning(
            "security", **{name: found[name] for name in ("what", "address", "reason", "method") if found[name]}
        )
    elif match and match["level"] in _LEVELS:
        getattr(log, _LEVELS[match["level"]])("kamailio", said=mask_text(text))
    elif text:
        log.debug("kamailio", said=mask_text(text))


def _die_with_parent() -> None:
    """In the child, before it becomes Kamailio."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _group(leader: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                if os.getpgid(int(entry.name)) == leader:
                    found.append(int(entry.name))
    return found


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
