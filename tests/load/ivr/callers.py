"""The callers of the IVR load: SIPp signals, rtpgen sends and hears the RTP and presses the digit."""

import csv
import hashlib
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from types import TracebackType
from typing import Any, Self

HERE = Path(__file__).parent
CACHE = Path(tempfile.gettempdir()) / f"voiceedge-load-{os.getuid()}"

SIP_HOST, RTP_HOST = "127.0.0.1", "127.0.0.10"  # the second one stands in the scenarios
UNUSED_HOST = "127.0.0.9"  # where SIPp opens media sockets of its own
FIRST_PORT, PLACES = 20000, 2500  # SIPp counts its ports modulo 10000
STOP_S = 60.0

_COMPILE = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror")

Row = Mapping[str, str]


class NoCallersError(Exception):
    """A program is missing; the message says which."""


def built(source: str, *flags: str) -> Path:
    """The C file as a program or library, compiled where it has changed."""
    text = (HERE / source).read_bytes()
    target = CACHE / f"{Path(source).stem}-{hashlib.sha256(text).hexdigest()[:16]}"
    if not target.exists():
        CACHE.mkdir(exist_ok=True)
        fresh = target.with_suffix(f".{os.getpid()}")
        subprocess.run(["cc", *_COMPILE, HERE / source, "-o", fresh, *flags], check=True)
        fresh.replace(target)
    return target


@dataclass(frozen=True)
class Offer:
    """`calls` new ones in `within_s`, one after the other at equal distances, until there were `total`; never more than
    `at_once` at a time."""

    calls: int
    within_s: float
    total: int
    at_once: int
    scenario: str = "ivr.xml"


class Callers:
    """On their own cores. `digit_ms` after the first packet each presses its digit."""

    def __init__(self, folder: Path, cores: set[int], audio: bytes, digit_ms: int, digit: int) -> None:
        self._folder, self._cores = folder, cores
        folder.mkdir()
        (folder / "audio.ul").write_bytes(audio)
        self._digit_ms, self._digit = digit_ms, digit
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        if not which("sipp"):
            raise NoCallersError("sipp is not installed (apt install sip-tester)")
        self._environment = os.environ | {"LD_PRELOAD": str(built("hires.c", "-shared", "-fPIC"))}
        places = [str(FIRST_PORT), str(PLACES), "audio.ul", str(self._digit_ms), str(self._digit)]
        self._start([str(built("rtpgen.c", "-lm")), RTP_HOST, *places, "seconds.csv", "calls.csv"], "rtpgen.log")
        deadline = time.monotonic() + STOP_S
        while not self.seconds():  # the first line: its sockets are open
            if time.monotonic() > deadline:
                raise NoCallersError(f"rtpgen does not start: {(self._folder / 'rtpgen.log').read_text()}")
            time.sleep(0.01)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def call(self, port: int, offer: Offer, number: str = "1000") -> subprocess.Popen[bytes]:
        """Begin to call the service; the process ends with the last call."""
        name = Path(offer.scenario).stem
        command = ["sipp", "-sf", str(HERE / offer.scenario), f"{SIP_HOST}:{port}", "-i", SIP_HOST, "-s", number]
        command += ["-mi", UNUSED_HOST, "-mp", str(FIRST_PORT), "-nostdin", "-timer_resol", "1", "-max_socket", "10"]
        command += ["-m", str(offer.total), "-l", str(offer.at_once)]
        command += ["-r", str(offer.calls), "-rp", str(round(offer.within_s * 1000))]
        command += ["-trace_rtt", "-rtt_freq", "1", "-trace_logs", "-log_file", f"{name}-refused.log"]
        command += ["-trace_err", "-error_file", f"{name}-errors.log"]
        command += ["-trace_stat", "-stf", f"{name}-stat.csv", "-fd", "1"]
        return self._start(command, f"{name}.log", self._environment)

    def _start(
        self, command: Sequence[str], log: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, self._cores)  # what is started inherits it
        try:
            with (self._folder / log).open("wb") as sink:
                process = subprocess.Popen(
                    command, cwd=self._folder, stdout=sink, stderr=subprocess.STDOUT, env=environment
                )
        finally:
            os.sched_setaffinity(0, cores)
        self._stack.callback(_stop, process)
        return process

    # --- what came of it ---

    def seconds(self) -> list[Row]:
        """What rtpgen counted, second by second; its last, unfinished line is left out."""
        return _rows(self._folder / "seconds.csv")

    def calls(self) -> list[Row]:
        """What each call that has ended heard."""
        return _rows(self._folder / "calls.csv")

    def active(self) -> int:
        rows = self.seconds()
        return int(rows[-1]["active"]) if rows else 0

    def signalled(self, scenario: str = "ivr.xml") -> dict[str, Any]:
        """Of SIPp: calls that went as the scenario says, refused ones among them, and those that did not."""
        name = Path(scenario).stem
        rows = _rows(self._folder / f"{name}-stat.csv", ";")
        last = rows[-1] if rows else {"SuccessfulCall(C)": "0", "FailedCall(C)": "0"}
        log = self._folder / f"{name}-refused.log"
        refused = len(re.findall("refused", log.read_text())) if log.exists() else 0
        return {
            "succeeded": int(last["SuccessfulCall(C)"]) - refused,
            "refused": refused,
            "failed": int(last["FailedCall(C)"]),
            "retransmissions": int(last.get("Retransmissions(C)", "0")),
        }

    def set_up_ms(self, scenario: str = "ivr.xml") -> list[float]:
        """INVITE → 200 of each call, in order of their answers."""
        rows = [row for path in self._folder.glob(f"{Path(scenario).stem}_*_rtt.csv") for row in _rows(path, ";")]
        return [float(row["response_time_ms"]) for row in rows if row["rtd_no"].strip('" ') == "1"]

    def problems(self) -> str:
        """What SIPp found unexpected, for the message of a failure."""
        return "".join(path.read_text()[:2000] for path in self._folder.glob("*-errors.log"))


def _rows(path: Path, delimiter: str = ",") -> list[Row]:
    try:
        with path.open() as file:
            return list(csv.DictReader(_whole(file), delimiter=delimiter))
    except FileNotFoundError:
        return []


def _whole(lines: Iterator[str]) -> Iterator[str]:
    return (line for line in lines if line.endswith("\n"))


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
