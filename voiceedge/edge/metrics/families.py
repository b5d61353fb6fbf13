"""What Prometheus sees: a snapshot of the service as families of metrics, with names by Prometheus' conventions.

Labels are few and bounded: names from the configuration and the plan, states, causes. No agent's or caller's name, no
number. What workers count begins at zero with each of them, which Prometheus' `rate` bears as long as each has a label.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from voiceedge import __version__
from voiceedge.config import Config
from voiceedge.edge.call.tally import SET_UP_MS
from voiceedge.edge.metrics.gathering import Snapshot
from voiceedge.edge.metrics.machine import Machine
from voiceedge.switch.queues.messages import AgentState

WINDOWS = {"last_15_min": "15m", "last_hour": "1h", "today": "today"}
OUTCOMES = ("handled", "abandoned", "overflowed", "called_back")

Row = tuple[tuple[str, ...], float]
Head = Mapping[str, Any]


class Figures(Collector):
    """One snapshot, for a registry."""

    def __init__(self, config: Config, snapshot: Snapshot) -> None:
        self._config, self._snapshot = config, snapshot

    def collect(self) -> Iterator[Metric]:
        now = self._snapshot
        yield from _service(self._config, now)
        yield from _calls(now.workers or {})
        yield from _sound(now.workers or {})
        yield from _front(now.front or {})
        yield from _trunks((now.front or {}).get("trunks", {}).get("trunks", ()))
        yield from _queues(now.queues or ())
        yield from _agents(now.agents)
        yield from _events(now.workers or {}, now.events or {})
        yield from _connectors(now.workers or {}, now.connectors or ())
        yield from _machine(now.machine)


def _service(config: Config, now: Snapshot) -> Iterator[Metric]:
    labels = (__version__, config.site.name, config.switch.node)
    yield _gauge("build_info", "Version, site and node; always 1.", ("version", "site", "node"), [(labels, 1)])
    processes = now.status.get("processes", {})
    workers = [facts for name, facts in processes.items() if name.startswith("worker-")]
    states = Counter(map(_state, workers))
    rows = [((state,), states[state]) for state in ("serving", "starting", "draining")]
    yield _gauge("workers", "Worker processes by state.", ("state",), rows)
    places = sum(facts.get("calls_each", 0) for facts in workers if _state(facts) == "serving")
    limit = min(places, config.sip.max_calls or places)
    yield _gauge("calls_limit", "Incoming calls that can be served at once now.", (), [((), limit)])
    ready = bool(now.status.get("ready"))
    yield _gauge("ready", "1 where every process that should run does.", (), [((), ready)])
    answered = [((part,), up) for part, up in now.parts.items()]
    yield _gauge("scrape_part_up", "1 where this part of the service told its figures in time.", ("part",), answered)
    yield _gauge("scrape_seconds", "How long it took to gather these figures.", (), [((), now.took_s)])


def _state(worker: Head) -> str:
    return "draining" if worker["draining"] else "serving" if worker["ready"] else "starting"


def _calls(workers: Mapping[str, Head]) -> Iterator[Metric]:
    yield _gauge("calls", "Calls that are up.", ("worker",), _each(workers, "calls"))
    yield _counter("calls_taken", "Calls that have come in.", ("worker",), _each(workers, "taken"))
    yield _counter("calls_answered", "Calls answered.", ("worker",), _each(workers, "answered"))
    causes = _by_key(workers, "ended")
    yield _counter("calls_ended", "Calls that are over, by what ended them.", ("worker", "cause"), causes)
    edges = [*(str(edge_ms / 1000) for edge_ms in SET_UP_MS), "+Inf"]
    help_ = "From INVITE to our 200, in seconds."
    set_up = HistogramMetricFamily("voiceedge_call_set_up_seconds", help_, labels=("worker",))
    for name, its in workers.items():
        counts = accumulate(its["set_up"])
        set_up.add_metric((name,), list(zip(edges, counts, strict=True)), its["set_up_ms"] / 1000)
    yield set_up


def _sound(workers: Mapping[str, Head]) -> Iterator[Metric]:
    """Of legs that are over."""
    yield _counter("legs", "Legs that are over, by whom they led to.", ("worker", "role"), _by_key(workers, "legs"))
    received, lost = _each(workers, "packets_in"), _each(workers, "lost_in")
    yield _counter("rtp_packets_received", "RTP packets received.", ("worker",), received)
    yield _counter("rtp_packets_lost", "RTP packets that never came.", ("worker",), lost)
    help_ = "Mean opinion score that a leg's audio lets one expect, 1.0 to 4.5 (ITU-T G.107)."
    score = SummaryMetricFamily("voiceedge_leg_opinion_score", help_, labels=("worker",))
    for name, its in workers.items():
        score.add_metric((name,), its["measured"], its["mos"])
    yield score
    gaps = [((name,), its["longest_gap_ms"] / 1000) for name, its in workers.items()]
    yield _gauge("audio_longest_gap_seconds", "Longest time between two frames of audio so far.", ("worker",), gaps)
    dropped = _each(workers, "samples_lost")
    yield _counter("audio_samples_lost", "Samples that the pipeline was too slow for.", ("worker",), dropped)


def _front(front: Head) -> Iterator[Metric]:
    stats, bans = front.get("stats", {}), front.get("bans", {}).get("bans", ())
    told: list[Row] = [((), stats["calls"])] if stats else []
    yield _gauge("front_calls", "Incoming calls that the front has let in.", (), told)
    rows = [((direction,), stats[key]) for direction, key in (("in", "incoming"), ("out", "outgoing")) if stats]
    yield _counter("front_calls_started", "Calls since the front's start.", ("direction",), rows)
    refused = [((reason,), count) for reason, count in stats.get("refused", {}).items()]
    yield _counter("front_refused", "Calls refused with 503, by reason.", ("reason",), refused)
    banned = [((reason,), count) for reason, count in Counter(ban["reason"] for ban in bans).items()]
    yield _gauge("front_banned_addresses", "Addresses that are banned, by reason.", ("reason",), banned)
    up: list[Row] = [((), stats["up_s"])] if stats else []
    yield _gauge("front_up_seconds", "Time since Kamailio's start.", (), up)


def _trunks(trunks: Iterable[Head]) -> Iterator[Metric]:
    found = {trunk["trunk"]: trunk for trunk in trunks}
    probed = [((name,), its["state"] == "up") for name, its in found.items() if its["state"] != "none"]
    yield _gauge(
        "trunk_up", "1 where the trunk answers our OPTIONS; those without a host are not asked.", ("trunk",), probed
    )
    registered = [((name,), its["registered"]) for name, its in found.items() if its["registered"] is not None]
    yield _gauge(
        "trunk_registered", "1 where we are registered at the trunk, where we should be.", ("trunk",), registered
    )
    yield _gauge("trunk_calls", "Calls by this trunk.", ("trunk",), _each(found, "calls"))
    limits = [((name,), its["max_calls"]) for name, its in found.items() if its["max_calls"]]
    yield _gauge("trunk_calls_limit", "Calls that the plan allows this trunk at once.", ("trunk",), limits)


def _queues(queues: Iterable[Head]) -> Iterator[Metric]:
    found = {queue["name"]: queue for queue in queues}
    yield _gauge("queue_open", "1 within the queue's hours.", ("queue",), _each(found, "open"))
    yield _gauge("queue_waiting", "Callers who wait, call-backs among them.", ("queue",), _each(found, "waiting"))
    yield _gauge("queue_call_backs", "Callers who wait to be called back.", ("queue",), _each(found, "call_backs"))
    longest = _each(found, "longest_wait_s")
    yield _gauge("queue_longest_wait_seconds", "How long the first has been waiting.", ("queue",), longest)
    yield _gauge("queue_talking", "Callers who talk with an agent.", ("queue",), _each(found, "talking"))
    agents = [((name, state), its["agents"].get(state, 0)) for name, its in found.items() for state in AgentState]
    yield _gauge("queue_agents", "Agents of the queue by state.", ("queue", "state"), agents)
    spans = {(name, label): its[key] for name, its in found.items() for key, label in WINDOWS.items()}
    callers = [((*span, outcome), its[outcome]) for span, its in spans.items() for outcome in OUTCOMES]
    help_ = "Callers whose waiting ended in this span of time; those called back are among the handled."
    yield _gauge("queue_callers", help_, ("queue", "window", "outcome"), callers)
    levels = [(span, its["service_level"]) for span, its in spans.items() if its["service_level"] is not None]
    help_ = "Part of the callers handled or lost who were answered in time, 0 to 1."
    yield _gauge("queue_service_level_ratio", help_, ("queue", "window"), levels)
    waits = [(span, its["wait_s"]) for span, its in spans.items() if its["wait_s"] is not None]
    yield _gauge("queue_wait_seconds", "Mean wait of the callers handled.", ("queue", "window"), waits)


def _agents(agents: Iterable[Head] | None) -> Iterator[Metric]:
    rows: list[Row] = []
    if agents is not None:
        states = Counter(agent["state"] for agent in agents)
        rows = [((state.value,), states[state.value]) for state in AgentState]
    yield _gauge("agents", "Agents of all queues by state.", ("state",), rows)


def _events(workers: Mapping[str, Head], outbox: Head) -> Iterator[Metric]:
    waiting = _each(workers, "events_waiting")
    yield _gauge("worker_events_waiting", "Events that control has not taken yet.", ("worker",), waiting)
    lost = _each(workers, "events_lost")
    yield _counter("worker_events_lost", "Events given up as control was away for too long.", ("worker",), lost)
    pending: list[Row] = [((), outbox["pending"])] if outbox.get("pending") is not None else []
    yield _gauge("events_pending", "Events on disk that the broker has not confirmed.", (), pending)
    published: list[Row] = [((), outbox["published"])] if outbox else []
    yield _counter("events_published", "Events that the broker has confirmed.", (), published)
    connected: list[Row] = [((), outbox["broker_connected"])] if outbox else []
    yield _gauge("broker_connected", "1 while the MQTT broker is connected.", (), connected)


def _connectors(workers: Mapping[str, Head], controls: Iterable[Head]) -> Iterator[Metric]:
    told = {name: its.get("connectors", ()) for name, its in workers.items()} | {"control": controls}
    found = {(process, its["name"]): its for process, theirs in told.items() for its in theirs}
    labels = ("process", "connector")
    ends = ("found", "not_found", "failed", "kept")
    results = [((*where, end), its[end]) for where, its in found.items() for end in ends]
    help_ = "Look-ups in other systems by their result; for those kept nobody was asked."
    yield _counter("look_ups", help_, (*labels, "result"), results)
    taken = SummaryMetricFamily("voiceedge_look_up_seconds", "How long the other system took.", labels=labels)
    for where, its in found.items():
        taken.add_metric(where, its["asked"], its["seconds"])
    yield taken
    resting = [(where, its["breaker"] != "closed") for where, its in found.items()]
    yield _gauge("connector_resting", "1 while the system is left alone as it has failed too often.", labels, resting)


def _machine(machine: Machine | None) -> Iterator[Metric]:
    uses = machine.uses if machine else ()
    cpu = [((use.process,), use.cpu_s) for use in uses]
    yield _counter("process_cpu_seconds", "CPU time, user and system.", ("process",), cpu)
    memory = [((use.process,), use.resident_bytes) for use in uses]
    help_ = "Resident memory; what the processes of the service share is in each."
    yield _gauge("process_resident_memory_bytes", help_, ("process",), memory)
    threads = [((use.process,), use.threads) for use in uses]
    yield _gauge("process_threads", "Threads.", ("process",), threads)
    free: list[Row] = [((), machine.disk_free_bytes)] if machine else []
    yield _gauge("disk_free_bytes", "Room left where site.data_dir is.", (), free)
    size: list[Row] = [((), machine.disk_bytes)] if machine else []
    yield _gauge("disk_size_bytes", "Size of the file system where site.data_dir is.", (), size)


def _each(things: Mapping[str, Head], key: str) -> list[Row]:
    return [((name,), its[key]) for name, its in things.items()]


def _by_key(things: Mapping[str, Head], key: str) -> list[Row]:
    return [((name, inner), value) for name, its in things.items() for inner, value in its[key].items()]


def _gauge(name: str, help_: str, labels: tuple[str, ...], rows: Iterable[Row]) -> Metric:
    family = GaugeMetricFamily(f"voiceedge_{name}", help_, labels=labels)
    for values, value in rows:
        family.add_metric(values, float(value))
    return family


def _counter(name: str, help_: str, labels: tuple[str, ...], rows: Iterable[Row]) -> Metric:
    family = CounterMetricFamily(f"voiceedge_{name}", help_, labels=labels)
    for values, value in rows:
        family.add_metric(values, float(value))
    return family
