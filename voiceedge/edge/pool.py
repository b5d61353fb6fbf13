"""The processes of one kind: how many there shall be, and which of them is started or retired next."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from voiceedge.edge.between.member import Facts, Main


@dataclass(frozen=True)
class Pool:
    """A kind of process. `main` runs in the child until SIGTERM and gets its predecessor's facts (its ports).

    At most `seats` live at once, so those that are being replaced included; with no seat to spare, the old one goes
    before the new one comes. A process of another `fingerprint` is made of older code or settings.
    """

    name: str
    main: Main
    fingerprint: str = ""
    count: int = 1
    seats: int = 1
    numbered: bool = False  # name-1, name-2 …
    drain_s: float | None = None  # told SIGUSR1 to retire, it ends by itself; None: it is told SIGTERM
    informed: bool = False  # gets SIGUSR1 whenever the status file tells something new
    beats_itself: bool = False
    stop_rank: int = 0  # the lowest are stopped first

    def name_of(self, seat: int) -> str:
        return f"{self.name}-{seat + 1}" if self.numbered else self.name


@dataclass
class Process:
    """One of a pool, alive or about to be (`pid` 0). All times are those of the monotonic clock."""

    pool: str
    name: str
    seat: int
    fingerprint: str
    pid: int = 0
    pipe: int = -1
    facts: Facts = field(default_factory=dict)
    is_ready: bool = False
    retired: bool = False
    pending: str = ""
    problem: str = ""  # its last words
    born: float = 0.0
    last_beat: float = 0.0
    start_at: float = 0.0
    end_at: float = float("inf")  # when it is told to stop, and later killed
    killing: bool = False  # it has been told to stop
    quick_deaths: int = 0

    @property
    def calls(self) -> int:
        return int(self.facts.get("calls", 0))


@dataclass(frozen=True)
class Steps:
    start: int
    retire: list[Process]


def next_steps(pool: Pool, processes: Sequence[Process]) -> Steps:
    """What brings the pool nearer to what it shall be, never with less in service than before.

    At a start all come at once. When others are to be replaced, they go one by one, each after its successor is ready.
    """
    here = [process for process in processes if process.pool == pool.name]
    staying = [process for process in here if not process.retired]
    current = [process for process in staying if process.fingerprint == pool.fingerprint]
    old = [process for process in staying if process.fingerprint != pool.fingerprint]
    retire = [process for process in old if not process.is_ready]  # they serve nobody
    old = [process for process in old if process.is_ready]
    missing = pool.count - len(current)
    free = pool.seats - len(here)
    start = 0
    if missing > 0:
        unserved = missing - len(old)
        settled = all(process.is_ready for process in current)
        start = max(0, min(missing, free, max(unserved, 1 if settled else 0)))
        if free <= 0 and old and len(here) == len(staying):
            return Steps(0, [*retire, _least_busy(old)[0]])
    ready = [process for process in current if process.is_ready]
    if missing < 0:
        retire += [process for process in current if not process.is_ready][:-missing]
    surplus = len(ready) + len(old) - pool.count
    if surplus > 0:
        retire += [*_least_busy(old), *_least_busy(ready)][:surplus]
    return Steps(start, retire)


def free_seat(pool: Pool, processes: Sequence[Process]) -> int:
    taken = {process.seat for process in processes if process.pool == pool.name}
    return next(seat for seat in range(pool.seats) if seat not in taken)


def _least_busy(processes: Sequence[Process]) -> list[Process]:
    return sorted(processes, key=lambda process: process.calls)
