"""The IVR load in three forms: so many calls at once, so many set up a second, twice as many as there is room for."""

import json
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copy
from subprocess import Popen
from typing import Any

import numpy as np
from ivr import process_tree, sounds
from ivr.callers import Callers, Offer
from ports import free_port
from rtp import RATE
from service import RunningService

from voiceedge.audio import wav

FLOW = Path(__file__).parents[1] / "flows" / "load.yaml"
DIGIT = 1
GAP_MS = 60.0  # none longer between two packets
SETTLE_S = 2.0
IDLE_S = 3.0
PEAK_S = 20.0
SPARE = 4  # a call that is over holds its place for a moment yet
LATE_MS = 100.0  # callers that send so late have no core to themselves: what they hear says nothing
SETUPS_S = 10.0
MOST_RATE = 100_000  # the front's limits for strangers, out of the way: all callers have one address


@dataclass(frozen=True)
class Talk:
    """How long each part of a call takes, and how long is measured once all are up."""

    first_s: float
    digit_s: float  # after the first packet
    second_s: float
    window_s: float

    @property
    def call_s(self) -> float:
        """A little less, so that as many as wanted are up all the time."""
        return self.digit_s + self.second_s


USUAL = Talk(first_s=20.0, digit_s=20.5, second_s=2.0, window_s=20.0)
QUICK = Talk(first_s=3.0, digit_s=3.3, second_s=0.7, window_s=4.0)


@dataclass(frozen=True)
class Stand:
    """A running service with its callers beside it."""

    service: RunningService
    callers: Callers
    port: int

    @property
    def root(self) -> int:
        return int(self.service.status["supervisor"])

    @property
    def workers(self) -> int:
        return sum(name.startswith("worker") for name in self.service.status["processes"])

    def overruns(self) -> dict[str, Any]:
        """What the service says of its calls' audio when they end."""
        lines = list(_objects(self.service.log.read_text()))
        told = [line for line in lines if line.get("event") == "line"]
        return {
            "overruns": sum(line["samples_lost"] + line["events_dropped"] for line in told),
            "unjudged_ms": sum(line["unjudged_ms"] for line in told),
            "service_gap_ms": max((line["longest_gap_ms"] for line in told), default=0),
            "errors": sorted({line["event"] for line in lines if line.get("level") in {"error", "critical"}}),
        }


@contextmanager
def stand(folder: Path, talk: Talk, room: int, *, talks: bool = False) -> Iterator[Stand]:
    """The service, with room for so many calls, on one core, its callers on another, where there is another."""
    cores = sorted(os.sched_getaffinity(0))
    flows = folder / "flows"
    flows.mkdir()
    copy(FLOW, flows)
    wav.save(flows / "first.wav", sounds.prompt(talk.first_s), RATE)
    wav.save(flows / "second.wav", sounds.prompt(talk.second_s), RATE)
    port = free_port()
    settings = {
        "sip": {"port": port, "codecs": ["PCMU", "PCMA"], "max_calls": room},
        "front": {"inner_port": 0, "calls_per_s": MOST_RATE, "flood_per_s": MOST_RATE},
        "flows": {"default": "load"},
        "speech": {"enabled": False},  # recognisers: nobody is asked for words here
    }
    audio = sounds.caller(talks=talks)
    service = RunningService(folder, flows, settings)
    with Callers(folder / "callers", {cores[-1]}, audio, round(talk.digit_s * 1000), DIGIT) as callers:
        os.sched_setaffinity(0, {cores[0]})  # the service inherits it
        try:
            service.start()
        finally:
            os.sched_setaffinity(0, set(cores))
        os.sched_setaffinity(0, {cores[-1]})
        try:
            yield Stand(service, callers, port)
        finally:
            os.sched_setaffinity(0, set(cores))
            service.stop()


def measure(folder: Path, talk: Talk, calls: int, *, talks: bool) -> dict[str, Any]:
    """`calls` at once: when one ends the next begins, until the time that is measured is over."""
    turns = 1 + (talk.window_s + 2 * SETTLE_S) / talk.call_s
    with stand(folder, talk, calls + SPARE, talks=talks) as here:
        idle = _cpu_pct(here, IDLE_S)
        sipp = here.callers.call(here.port, Offer(calls, talk.call_s, round(calls * turns), calls))
        time.sleep(talk.call_s + SETTLE_S)
        before, at = process_tree.cpu_s(here.root), time.monotonic()
        time.sleep(talk.window_s)
        after, seconds = process_tree.cpu_s(here.root), time.monotonic() - at
        active = statistics.mean(int(row["active"]) for row in here.callers.seconds()[-int(talk.window_s) :])
        use = process_tree.use(here.root)
        _wait_for(sipp, 3 * talk.call_s)
        _quiet(here, talk)
        used = {name: (cpu - before.get(name, 0.0)) / seconds * 100 for name, cpu in after.items()}
        result = {
            "calls": calls,
            "cpu_pct_per_call": sum(used.values()) / max(active, 1),
            "rss_mib": use.memory_mib,
            **heard(here),
            "active": active,
            "workers": here.workers,
            "processes": use.processes,
            "threads": use.threads,
            "rss_each_mib": use.resident_mib,
            "idle_cpu_pct": idle,
            "cpu_pct": _by_kind(used),
        }
    if result["failed"] or active < 0.9 * calls - 1:
        result["problems"].append(f"{active:.0f} calls were up, {result['failed']} failed: {here.callers.problems()}")
    return _rounded(result)


def measure_setups(folder: Path, talk: Talk, calls: int, rate: int) -> dict[str, Any]:
    """`rate` calls a second, each hung up by its caller at once."""
    with stand(folder, talk, calls) as here:
        total = round(rate * SETUPS_S)
        before = process_tree.cpu_s(here.root)
        sipp = here.callers.call(here.port, Offer(rate, 1.0, total, total, "cps.xml"))
        _wait_for(sipp, 4 * SETUPS_S)
        used = sum(process_tree.cpu_s(here.root).values()) - sum(before.values())
        signalled = here.callers.signalled("cps.xml")
        result: dict[str, Any] = {
            "calls": total,
            "rate": rate,
            "failed": total - signalled["succeeded"],
            "retransmissions": signalled["retransmissions"],
            "invite_200_ms": spread(here.callers.set_up_ms("cps.xml")),
            "cpu_ms_a_call": used * 1000 / total,
            "workers": here.workers,
            "errors": here.overruns()["errors"],
            "problems": [],
        }
    if result["failed"]:
        result["problems"].append(f"{result['failed']} set-ups failed: {here.callers.problems()}")
    return _rounded(result)


def measure_peak(folder: Path, talk: Talk, calls: int) -> dict[str, Any]:
    """Twice as many as there is room for, in 20 s; none may end before the last has come."""
    within_s = min(PEAK_S, talk.call_s - 1)
    with stand(folder, talk, calls) as here:
        sipp = here.callers.call(here.port, Offer(2 * calls, within_s, 2 * calls, 2 * calls))
        most, deadline = 0, time.monotonic() + 3 * talk.call_s
        while sipp.poll() is None and time.monotonic() < deadline:
            most = max(most, here.callers.active())
            time.sleep(0.5)
        _quiet(here, talk)
        idle = _cpu_pct(here, IDLE_S)
        result = {
            "calls": calls,
            "offered": 2 * calls,
            "most_active": most,
            **heard(here),
            "idle_cpu_pct": idle,
        }
        result["failed"] = here.callers.signalled()["failed"]
    if (result["served"], result["refused"], result["failed"]) != (calls, calls, 0):
        result["problems"].append(
            f"{result['served']} served, {result['refused']} refused, {result['failed']} failed: "
            f"{here.callers.problems()}"
        )
    return _rounded(result)


def spread(values: Sequence[float]) -> dict[str, float | int | None]:
    if not values:
        return {"n": 0, "p50": None, "p95": None, "max": None}
    p50, p95 = np.percentile(values, (50, 95))
    return {"n": len(values), "p50": float(p50), "p95": float(p95), "max": max(values)}


def heard(here: Stand) -> dict[str, Any]:
    """What the callers can say when all calls are over."""
    each, seconds, told = here.callers.calls(), here.callers.seconds(), here.overruns()
    signalled = here.callers.signalled()
    answered = [call for call in each if call["answered"] == "1"]
    unanswered = max(0, signalled["succeeded"] - len(answered))
    gap_ms = max((float(call["longest_gap_ms"]) for call in each), default=0.0)
    problems = [f"no packet for {gap_ms:.0f} ms"] if gap_ms > GAP_MS else []
    late_ms = max((float(row["latest_ms"]) for row in seconds), default=0.0)
    if late_ms > LATE_MS:
        problems.append(f"the callers themselves were {late_ms:.0f} ms late: measure on a machine with two idle cores")
    if told["overruns"] or told["errors"]:
        problems.append(f"overruns: {told['overruns']}, errors in the log: {', '.join(told['errors']) or 'none'}")
    return {
        "invite_200_ms": spread(here.callers.set_up_ms()),
        "digit_to_audio_ms": spread([float(call["digit_to_audio_ms"]) for call in answered]),
        "key_to_audio_ms": spread([float(call["key_to_audio_ms"]) for call in answered]),
        "lost": sum(int(call["lost"]) for call in each),
        "failed": signalled["failed"] + signalled["refused"] + unanswered,
        "served": signalled["succeeded"] - unanswered,
        "refused": signalled["refused"],
        "retransmissions": signalled["retransmissions"],
        "gap_ms": gap_ms,
        "late_packets": sum(int(call["late"]) for call in each),
        "caller_late_ms": late_ms,
        **told,
        "problems": problems,
    }


def _objects(log: str) -> Iterator[dict[str, Any]]:
    """Many processes write it: two lines may stand in one."""
    decoder, at = json.JSONDecoder(), log.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(log, at)
        except json.JSONDecodeError:
            end = at + 1
        else:
            yield value
        at = log.find("{", end)


def _by_kind(used: dict[str, float]) -> dict[str, float]:
    """Workers together."""
    kinds: dict[str, float] = {}
    for name, cpu in used.items():
        kind = name.removeprefix("ve-").partition("-")[0]
        kinds[kind] = kinds.get(kind, 0.0) + cpu
    return {kind: cpu for kind, cpu in kinds.items() if cpu >= 0.05}


def _cpu_pct(here: Stand, seconds: float) -> float:
    before, at = sum(process_tree.cpu_s(here.root).values()), time.monotonic()
    time.sleep(seconds)
    return (sum(process_tree.cpu_s(here.root).values()) - before) / (time.monotonic() - at) * 100


def _quiet(here: Stand, talk: Talk) -> None:
    """Wait until rtpgen has heard the end of every call."""
    deadline = time.monotonic() + talk.call_s
    time.sleep(SETTLE_S)
    while here.callers.active() and time.monotonic() < deadline:
        time.sleep(0.2)


def _wait_for(sipp: Popen[bytes], within_s: float) -> None:
    """Calls that have not ended by then never do; SIPp's last figures say how many those are."""
    deadline = time.monotonic() + within_s
    while sipp.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    return round(value, 3) if isinstance(value, float) else value
