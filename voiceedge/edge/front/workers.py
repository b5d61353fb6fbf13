"""The workers as the front sees them: destinations of calls, and calls to end when one is gone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from voiceedge.config import Config
from voiceedge.edge.between.serving import read_status
from voiceedge.edge.front.place import LOOPBACK, Place
from voiceedge.edge.front.rpc import RefusedError, Rpc

CONFIRMED = 3  # a dialog's state from the 200 on (Kamailio's dialog module)
_ADMIN_DISABLED = 4  # dispatcher's flag: gets no new calls, and is still known as a worker
_PROFILES = ("worker", "leg")  # calls given to a worker, calls made by it
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Worker:
    name: str
    pid: int
    port: int
    calls_each: int
    draining: bool

    @property
    def uri(self) -> str:
        return f"sip:{LOOPBACK}:{self.port}"

    @property
    def line(self) -> str:
        """Of dispatcher.list: set, address, flags, priority, attributes."""
        flags = _ADMIN_DISABLED if self.draining or not self.calls_each else 0
        return f"1 {self.uri} {flags} 0 cap={self.calls_each};name={self.name}\n"


def node_lines(config: Config, place: Place) -> str:
    """Of dispatcher.list: the other fronts. Those of nodes are asked when no worker of ours has a place."""
    return "".join(f"2 sip:{front} 0 0 socket=udp:{place.world}\n" for front in config.front.fronts)


def workers_up(path: Path) -> tuple[Worker, ...]:
    """The workers that are up, by the supervisor's status.json; none where it is missing."""
    processes = read_status(path).get("processes", {})
    return tuple(
        Worker(
            name=name,
            pid=facts["pid"],
            port=facts["sip_port"],
            calls_each=facts.get("calls_each", facts.get("capacity", 1)),
            draining=facts.get("draining", False),
        )
        for name, facts in sorted(processes.items())
        if name.startswith("worker") and facts["pid"] and facts["ready"] and "sip_port" in facts
    )


class Pool:
    """Keeps Kamailio's destinations equal to the supervisor's status.

    What could not be told because Kamailio was away is told the next time; a new Kamailio reads it from its file.
    """

    def __init__(self, rpc: Rpc, status: Path, folder: Path, nodes: str) -> None:
        """`nodes` are the lines of other nodes (`node_lines`)."""
        self._rpc, self._status, self._list, self._nodes = rpc, status, folder / "dispatcher.list", nodes
        self.workers: tuple[Worker, ...] = ()
        self._told: tuple[Worker, ...] = ()
        self._lost: list[Worker] = []

    def start_with(self) -> None:
        """For a Kamailio that starts: it knows no calls yet, so there are none to end."""
        self._look()
        self._told = self.workers
        self._lost.clear()

    async def follow(self) -> None:
        """Tell Kamailio who takes calls, and end the calls of those who are gone. Raises LinkError when it is away."""
        self._look()
        if self._told != self.workers:
            telling = self.workers
            await self._rpc.ask("dispatcher.reload")
            self._told = telling
            log.info(
                "workers_told", workers={worker.port: "draining" if worker.draining else "ready" for worker in telling}
            )
        while self._lost:
            worker = self._lost[-1]
            ended = await end_calls(self._rpc, worker.uri, "Worker lost")
            self._lost.remove(worker)
            if ended:
                log.warning("calls_of_worker_ended", worker=worker.name, calls=ended)

    def _look(self) -> None:
        now = workers_up(self._status)
        here = {(worker.pid, worker.port) for worker in now}
        self._lost += [old for old in self.workers if (old.pid, old.port) not in here]
        self.workers = now
        draft = self._list.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text("".join(worker.line for worker in now) + self._nodes, encoding="utf-8")
        draft.replace(self._list)


async def end_calls(rpc: Rpc, uri: str, why: str) -> int:
    """BYE to both ends of what talks, 503 to who waits for an answer, CANCEL to what rings; returns how many."""
    ended = 0
    for profile in _PROFILES:
        for dialog in as_list(await rpc.ask("dlg.profile_list", profile, uri)):
            try:
                await _end_call(rpc, dialog, profile, why)
                ended += 1
            except RefusedError as error:
                log.info("call_not_ended", problem=str(error))  # it was over in this very moment
    return ended


async def _end_call(rpc: Rpc, dialog: dict[str, Any], profile: str, why: str) -> None:
    call, cseq = dialog["call-id"], str(dialog["caller"]["cseq"])
    if dialog["state"] >= CONFIRMED:
        reason = f'Reason: SIP;cause=500;text="{why}"\r\n'
        await rpc.ask("dlg.end_dlg", dialog["h_entry"], dialog["h_id"], reason)
    elif profile == "worker":
        await rpc.ask("tm.reply_callid", 503, why, call, cseq, "lost", "Retry-After: 1\r\n")
    else:
        await rpc.ask("tm.cancel", call, cseq)


def as_list(answer: Any) -> list[dict[str, Any]]:
    """Kamailio gives one thing as itself, several as a list, none as nothing."""
    return answer if isinstance(answer, list) else [answer] if answer else []
