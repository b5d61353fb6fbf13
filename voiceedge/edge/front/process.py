"""The front process: writes Kamailio's files, keeps it running, tells it of workers and plan, and answers questions."""

import asyncio
import contextlib
import signal
from collections.abc import Callable

import structlog

from voiceedge import clock as clocks
from voiceedge.clock import Clock
from voiceedge.config import Config
from voiceedge.edge.between import paths
from voiceedge.edge.between.link import LinkServer
from voiceedge.edge.between.member import Facts, Reporter
from voiceedge.edge.front import kamailio, nodes, refusals
from voiceedge.edge.front.answers import Answers
from voiceedge.edge.front.kamailio import Kamailio
from voiceedge.edge.front.place import Place, settle
from voiceedge.edge.front.render import STRUCTURE, render
from voiceedge.edge.front.rpc import RefusedError, Rpc
from voiceedge.edge.front.tables import registrations
from voiceedge.edge.front.workers import Pool, node_lines
from voiceedge.errors import ConfigError, LinkError
from voiceedge.switch.plan import Plan

START_S = 20.0
AGAIN_S = 1.0  # after Kamailio was too busy to hear of its workers
LOOK_S = 0.1  # for each look whether a starting Kamailio is up
SAVE_S = 5.0  # of registrations a killed Kamailio may lose
MOST_SILENCES = 3  # in a row, and Kamailio is taken for hung
LONGEST_PAUSE_S = 5.0
LIVED_WELL_S = 30.0

log = structlog.get_logger()


async def main(config: Config, plan_of: Callable[[], Plan], clock: Clock, reporter: Reporter, before: Facts) -> None:
    """Serve until cancelled. `plan_of` reads the switch plan; `before` holds the ports of a predecessor.

    SIGUSR1: the supervisor's status.json has changed. SIGHUP: read plan and certificate again. Raises ConfigError
    where Kamailio is missing or does not take what was made for it.
    """
    place = settle(config, before)
    plan = plan_of()
    await kamailio.check(config, plan, place)
    folder = paths.front_folder(config)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with Rpc(folder) as rpc, asyncio.TaskGroup() as group:
        front = Front(config, plan_of, clock, place, rpc)
        front.lay_out(plan)
        group.create_task(front.keep_running())
        await front.up.wait()
        answers = Answers(config, place, rpc, front.pool, clock=clock, plan_of=front.plan, reload=front.reload)
        async with LinkServer(paths.front_socket(config), answers.handlers):
            front.watch_signals(group)
            group.create_task(front.follow_workers())
            group.create_task(front.save_forever())
            group.create_task(refusals.tell_forever(answers, clock))
            if config.front.fronts:
                group.create_task(nodes.watch_forever(rpc, clock))
            reporter.ready(place.facts())
            await asyncio.Event().wait()


class Front:
    """Kamailio, the plan it was given last, and the workers it knows."""

    def __init__(self, config: Config, plan_of: Callable[[], Plan], clock: Clock, place: Place, rpc: Rpc) -> None:
        self._config, self._plan_of, self._clock, self._place, self._rpc = config, plan_of, clock, place, rpc
        self._folder = paths.front_folder(config)
        self._child = Kamailio(place, self._folder, clock)
        self._plan, self._structure = Plan(), ""
        self._changing = asyncio.Lock()
        self._again, self._status_changed = asyncio.Event(), asyncio.Event()
        self.up = asyncio.Event()
        self.pool = Pool(rpc, paths.status_file(config), self._folder, node_lines(config, place))

    def plan(self) -> Plan:
        return self._plan

    def lay_out(self, plan: Plan) -> None:
        """Raises ConfigError before anything is written."""
        files = render(self._config, plan, self._place, self._folder)
        kamailio.lay_out(files, self._folder)
        self._plan, self._structure = plan, files[STRUCTURE]

    async def keep_running(self) -> None:
        """Start Kamailio again whenever it ends: at once where it had lived well, else after ever longer pauses."""
        pause_s = 0.0
        while True:
            self.pool.start_with()
            began = self._clock.monotonic()
            running = asyncio.create_task(self._child.run())
            try:
                if await self._is_up(running):
                    self.up.set()
                    self._status_changed.set()  # what changed while it started
                    await self._until_over(running)
            finally:
                self.up.clear()
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
            lived_s = self._clock.monotonic() - began
            wanted = self._again.is_set()
            self._again.clear()
            pause_s = 0.0 if wanted or lived_s > LIVED_WELL_S else min(LONGEST_PAUSE_S, max(0.2, pause_s * 2))
            log.warning("kamailio_ended", wanted=wanted, lived_s=round(lived_s, 1), again_in_s=pause_s)
            await clocks.sleep(self._clock, pause_s)

    async def _is_up(self, running: asyncio.Task[int]) -> bool:
        with contextlib.suppress(TimeoutError):
            async with clocks.timeout(self._clock, START_S):
                while not running.done():
                    try:
                        await self._rpc.ask("core.version", timeout_s=LOOK_S)
                    except LinkError:
                        await clocks.sleep(self._clock, LOOK_S)
                    else:
                        log.info("kamailio_up", pid=self._child.pid, **self._place.facts())
                        return True
        return False

    async def _until_over(self, running: asyncio.Task[int]) -> None:
        again = asyncio.create_task(self._again.wait())
        try:
            await asyncio.wait({running, again}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            again.cancel()

    def watch_signals(self, group: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, self._status_changed.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: group.create_task(self._reload_or_tell()))

    async def follow_workers(self) -> None:
        while True:
            await self._status_changed.wait()
            self._status_changed.clear()
            try:
                await self.pool.follow()
            except LinkError as error:  # a Kamailio that is to come reads it from its file
                log.warning("workers_not_told", problem=str(error))
                if self.up.is_set():
                    await clocks.sleep(self._clock, AGAIN_S)
                    self._status_changed.set()

    async def save_forever(self) -> None:
        """Registrations reach the disk only when Kamailio is told to; one that hears nothing is replaced."""
        silences = 0
        while True:
            await clocks.sleep(self._clock, SAVE_S)
            try:
                await self._rpc.ask("db_text.dump")
                silences = 0
            except LinkError as error:
                silences += self.up.is_set()
                if silences >= MOST_SILENCES:
                    log.error("kamailio_hung", problem=str(error))  # noqa: TRY400 - a message for people
                    self._again.set()
                    silences = 0

    async def _reload_or_tell(self) -> None:
        try:
            await self.reload()
        except (ConfigError, LinkError, OSError) as error:
            log.error("front_not_reloaded", problem=str(error))  # noqa: TRY400 - a message for people

    async def reload(self) -> bool:
        """Read plan and certificate again; True where that took a restart of Kamailio, which ends no call.

        Raises ConfigError, and then all goes on as it was.
        """
        async with self._changing:
            plan = self._plan_of()
            files = render(self._config, plan, self._place, self._folder)
            if files[STRUCTURE] != self._structure:
                await kamailio.check(self._config, plan, self._place)
                self.lay_out(plan)
                self._again.set()
                return True
            before = registrations(self._config, self._plan, self._place)
            self.lay_out(plan)
            await self._rpc.ask("htable.reload", "plan")
            await self._rpc.ask("permissions.addressReload")
            if self._place.tls_port:
                await self._rpc.ask("tls.reload")
            await self._register_anew(before, registrations(self._config, plan, self._place))
            return False

    async def _register_anew(self, before: dict[str, tuple[str, ...]], now: dict[str, tuple[str, ...]]) -> None:
        for token in before.keys() - now.keys():
            with contextlib.suppress(RefusedError):
                await self._rpc.ask("uac.reg_remove", token)
        for token in (token for token, row in now.items() if before.get(token) != row):
            await self._rpc.ask("uac.reg_refresh", token)
