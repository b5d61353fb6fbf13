"""The whole service as a process of its own, and what it publishes: for end-to-end tests and benchmarks.

with RunningService(tmp_path, flows=Path("tests/e2e/flows")) as service:
    async with Peer() as peer, service.events() as events:
        call = await peer.invite(service.uri("1000"))
        ...
        await events.until("voiceedge.call.ended")
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self
from urllib.parse import urlsplit

import aiomqtt

START_S, STOP_S, EVENT_S, AGAIN_S, RELOAD_S = 90, 60, 60, 0.2, 120
KAMAILIO_S = 1.0  # to answer


class RunningService:
    """`settings` are TOML tables beside the defaults for tests: loopback, free ports, prompts by espeak-ng.

    `prefix`: words before the command that starts it, such as those that lead into another network namespace.
    """

    def __init__(
        self,
        directory: Path,
        flows: Path,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        self.directory, self._prefix = directory, prefix
        self.log = directory / "service.log"
        tables: dict[str, dict[str, Any]] = {
            "site": {"name": "test", "data_dir": str(directory / "data"), "run_dir": str(directory / "run")},
            "sip": {"host": "127.0.0.1", "port": 0, "rtp_ports": [30000, 33999]},
            "flows": {"dir": str(flows.absolute()), "default": "main"},
            "prompts": {"engine": "espeak"},
            "mqtt": {"embedded_port": 0},
            "speech": {"decide_s": 30.0},  # machines that test are slow and shared
            "log": {"format": "json"},
            "front": {"inner_port": 0},
        }
        for name, table in (settings or {}).items():
            tables.setdefault(name, {}).update(table)
        self._tables = tables
        self.config = directory / "voiceedge.toml"
        self._write()
        self._process: subprocess.Popen[bytes] | None = None

    def _write(self) -> None:
        self.config.write_text(
            "\n".join(
                line
                for name, table in self._tables.items()
                for line in (f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items()))
            )
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def start(self) -> None:
        """Again, too, after a `stop`: with the same data."""
        (self.directory / "run" / "status.json").unlink(missing_ok=True)  # of a service that was ended suddenly
        with self.log.open("ab") as sink:
            self._process = subprocess.Popen(
                [*self._prefix, sys.executable, "-m", "voiceedge", "run", "--config", self.config],
                stdout=sink,
                stderr=sink,
            )
        try:
            self.until(lambda status: status["ready"], START_S)
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> int:
        """Return the exit code."""
        assert self._process
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_S)
        finally:
            self._process.kill()

    def end_suddenly(self) -> None:
        """As where a machine loses its power: all processes at once, without a farewell."""
        assert self._process
        os.kill(self._process.pid, signal.SIGSTOP)  # it replaces nobody meanwhile
        for pid in reversed(_family(self._process.pid)):
            with contextlib.suppress(ProcessLookupError):  # Kamailio ends the rest of itself
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    @property
    def status(self) -> dict[str, Any]:
        try:
            return json.loads((self.directory / "run" / "status.json").read_text())
        except FileNotFoundError:
            return {"ready": False, "processes": {}}

    def until(self, condition: Callable[[dict[str, Any]], object], within_s: float = START_S) -> dict[str, Any]:
        """Wait for a state of the supervisor's status file."""
        deadline = time.monotonic() + within_s
        while not condition(status := self.status):
            assert self._process
            assert self._process.poll() is None, f"the service ended:\n{self.log.read_text()[-4000:]}"
            assert time.monotonic() < deadline, f"not within {within_s} s:\n{self.log.read_text()[-4000:]}"
            time.sleep(0.02)
        return status

    def pid(self, name: str) -> int:
        return int(self.status["processes"][name]["pid"])

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        os.kill(self.pid(name), number)

    def replaced(self, name: str, pid: int) -> None:
        """Wait until another process than `pid` is ready in its place."""
        self.until(lambda status: status["ready"] and status["processes"][name]["pid"] != pid)

    def reload(self, within_s: float = RELOAD_S) -> dict[str, Any]:
        """Return how it ended: its number, state and problem."""
        assert self._process
        before = self.status["reload"]["number"]
        self._process.send_signal(signal.SIGHUP)

        def over(status: dict[str, Any]) -> bool:
            reload = status.get("reload", {"number": before})
            return reload["number"] > before and reload["state"] in {"flows", "refused", "done", "stuck"}

        return dict(self.until(over, within_s)["reload"])

    def change(self, table: str, **settings: Any) -> None:
        """Write the configuration anew, for the next reload."""
        self._tables.setdefault(table, {}).update(settings)
        self._write()

    @property
    def workers(self) -> dict[str, dict[str, Any]]:
        """Those that serve: ready, and not about to be replaced."""
        return {
            name: facts
            for name, facts in self.status["processes"].items()
            if name.startswith("worker-") and facts["ready"] and not facts["draining"]
        }

    @property
    def knows_its_workers(self) -> bool:
        """The front learns of a worker that is ready a moment after the status file says so: Kamailio is asked."""
        question = json.dumps({"jsonrpc": "2.0", "method": "dispatcher.list", "id": 1}).encode()
        with TemporaryDirectory() as ours, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
            asking.bind(f"{ours}/answer")
            asking.settimeout(KAMAILIO_S)
            try:
                asking.sendto(question, str(self.directory / "run" / "front" / "rpc.sock"))
                known = asking.recv(1 << 20).decode()
            except OSError:  # it is away, or busy
                return False
        return all(f'"sip:127.0.0.1:{worker["sip_port"]}"' in known for worker in self.workers.values())

    def uri(self, number: str = "1000") -> str:
        """Of the front where there is one, else of the worker that is alone."""
        entrance = "front" if self.status["front"] else "worker-1"
        return f"sip:{number}@127.0.0.1:{self.status['processes'][entrance]['sip_port']}"

    @property
    def mqtt_url(self) -> str:
        return str(self.status["processes"]["control"]["mqtt_url"])

    @asynccontextmanager
    async def events(self, **options: Any) -> AsyncIterator["Events"]:
        """Everything published from now on, until the block ends. `options` are those of aiomqtt's client."""
        events = Events()
        async with asyncio.TaskGroup() as group:
            following = group.create_task(events.follow(self.mqtt_url, options))
            async with asyncio.timeout(EVENT_S):
                await events.connected.wait()
            yield events
            following.cancel()


def _family(pid: int) -> list[int]:
    """The process and all that it has started, parents first."""
    try:
        children = [
            int(child) for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()
        ]
    except OSError:
        children = []
    return [pid, *(grandchild for child in children for grandchild in _family(child))]


class Events:
    """Each event once by its id, in order of arrival; a broker that goes away is waited for."""

    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []
        self.again: list[str] = []  # ids that came more than once
        self.connected = asyncio.Event()
        self._ids: set[str] = set()
        self._news = asyncio.Event()

    async def follow(self, url: str, options: Mapping[str, Any]) -> None:
        where = urlsplit(url)
        while True:
            try:
                async with aiomqtt.Client(where.hostname or "", where.port or 1883, **options) as client:
                    await client.subscribe("voiceedge/+/v1/events/#", qos=1)
                    self.connected.set()
                    async for message in client.messages:
                        self._take(json.loads(bytes(message.payload)))
            except aiomqtt.MqttError:
                await asyncio.sleep(AGAIN_S)

    def _take(self, event: dict[str, Any]) -> None:
        if event["id"] not in self._ids:
            self._ids.add(event["id"])
            self.all.append(event)
            self._news.set()
        else:
            self.again.append(event["id"])

    def of(self, kind: str, conversation: str | None = None) -> list[dict[str, Any]]:
        """The data of all events of a kind, given without the leading "voiceedge."."""
        return [
            event["data"]
            for event in self.all
            if event["type"] == f"voiceedge.{kind}" and conversation in (None, event["subject"])
        ]

    async def until(self, kind: str, condition: Callable[[dict[str, Any]], object] = bool) -> dict[str, Any]:
        """The first event's data of this kind that fits, waiting for it where need be."""
        async with asyncio.timeout(EVENT_S):
            while True:
                self._news.clear()
                for data in self.of(kind):
                    if condition(data):
                        return data
                await self._news.wait()
