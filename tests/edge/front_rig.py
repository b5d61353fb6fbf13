"""A front of a test's own, in this process, with raw peers for workers, phones and carriers.

async with Rig(tmp_path, plan="...", front={"ban_s": 60}) as rig:
    worker = await rig.worker(calls_each=2)          # a Peer that the front sends calls to
    async with rig.peer("127.0.0.2") as caller:       # another source address
        call = await caller.invite(rig.uri("1000"))
        served = await worker.incoming()
"""

import asyncio
import contextlib
import json
import os
import re
import secrets
import signal
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from shutil import which
from typing import Any, Self

import pytest
import registering
import structlog
from peer import Message, Peer, PeerCall, sdp
from registering import md5

from voiceedge.clock import RealClock
from voiceedge.config import Config
from voiceedge.edge.between import paths
from voiceedge.edge.between.link import LinkClient
from voiceedge.edge.front import place, process, render
from voiceedge.switch.plan import load_plan

START_S, WAIT_S, ASK_S = 60.0, 60.0, 30.0
INSIDE_MS = 1500, 6000  # how long a worker may say nothing: in service, and where it stands still with this process
needs_kamailio = pytest.mark.skipif(
    not (which("kamailio") or Path("/usr/sbin/kamailio").exists()), reason="kamailio is not installed"
)


class Rig:
    """`hurried`: who is silent is given up as soon as in service; else as late as a busy machine needs it."""

    def __init__(
        self, directory: Path, plan: str = "", *, hurried: bool = False, **settings: Mapping[str, Any]
    ) -> None:
        self.directory, self._hurried = directory, hurried
        self.plan_file = directory / "switch.toml"
        self.plan_file.write_text(plan)
        tables: dict[str, dict[str, Any]] = {
            "site": {"data_dir": directory / "data", "run_dir": directory / "run"},
            "sip": {"host": "127.0.0.1", "port": 0},
            "front": {"inner_port": 0},
        }
        for name, table in settings.items():
            tables.setdefault(name, {}).update(table)
        self.config = Config.model_validate(tables)
        self.facts: dict[str, int] = {}
        self.workers: dict[str, dict[str, Any]] = {}
        self.log: list[dict[str, Any]] = []
        self._exits = contextlib.AsyncExitStack()
        self._ready = asyncio.Event()

    async def __aenter__(self) -> Self:
        self.config.site.run_dir.mkdir(parents=True, exist_ok=True)
        self._write_status()
        self._log_before = structlog.get_config()
        structlog.configure(processors=[self._keep])
        self._link = LinkClient(paths.front_socket(self.config))
        render.TEMPLATE = place.TEMPLATE if self._hurried else self._patient_template()
        await self.start()
        return self

    def _patient_template(self) -> Path:
        usual, patient = map(str, INSIDE_MS)
        text = place.TEMPLATE.read_text(encoding="utf-8")
        assert text.count(usual) == len(["to workers", "fr_timer"])
        file = self.directory / "patient.cfg"
        file.write_text(text.replace(usual, patient), encoding="utf-8")
        return file

    async def start(self) -> None:
        """Again, too, after `stop`: as the supervisor would."""
        self._ready.clear()
        self._main = asyncio.create_task(
            process.main(self.config, lambda: load_plan(self.plan_file), RealClock(), self, dict(self.facts))
        )
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait({self._main, ready}, timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
        if not self._ready.is_set():
            ready.cancel()
            if self._main.done():
                await self._main
            await self.stop()
            raise AssertionError(f"the front was not ready within {START_S} s: {self.log}")

    async def stop(self) -> None:
        self._main.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._main

    async def __aexit__(self, *_: object) -> None:
        await self._exits.aclose()
        await self._link.close()
        await self.stop()
        render.TEMPLATE = place.TEMPLATE
        structlog.configure(**self._log_before)

    # --- the supervisor's part ---

    def ready(self, facts: dict[str, int]) -> None:
        self.facts = facts
        self._ready.set()

    async def worker(self, calls_each: int = 4) -> Peer:
        """A peer that is listed in status.json as a worker."""
        worker = await self._exits.enter_async_context(Peer(user="worker"))
        self.list_worker(f"worker-{len(self.workers) + 1}", worker.port, calls_each=calls_each)
        await self.told({worker.port: "ready"})
        return worker

    def list_worker(self, name: str, port: int, **facts: Any) -> None:
        pid = 100000 + len(self.workers)
        self.workers[name] = {"pid": pid, "ready": True, "draining": False, "sip_port": port, **facts}
        self.tell()

    def change_worker(self, worker: Peer, **facts: Any) -> None:
        for known in self.workers.values():
            if known["sip_port"] == worker.port:
                known.update(facts)
        self.tell()

    def tell(self) -> None:
        self._write_status()
        os.kill(os.getpid(), signal.SIGUSR1)

    async def told(self, wanted: Mapping[int, str]) -> None:
        """Until Kamailio knows these of its workers, by port."""
        await until(lambda: any(wanted.items() <= line["workers"].items() for line in self.said("workers_told")[-1:]))

    def _write_status(self) -> None:
        file = paths.status_file(self.config)
        draft = file.with_suffix(".new")
        draft.write_text(json.dumps({"ready": True, "supervisor": os.getpid(), "processes": self.workers}))
        draft.replace(file)

    # --- the world's part ---

    @contextlib.asynccontextmanager
    async def peer(self, host: str = "127.0.0.1", user: str = "01012345678") -> AsyncIterator[Peer]:
        async with Peer(host, user) as peer:
            yield peer

    def uri(self, user: str) -> str:
        return f"sip:{user}@127.0.0.1:{self.facts['sip_port']}"

    @property
    def inner(self) -> str:
        return f"<sip:127.0.0.1:{self.facts['inner_port']};lr>"

    async def ask(self, name: str, **body: Any) -> dict[str, Any]:
        return await self._link.request(name, body, timeout_s=ASK_S)

    def said(self, event: str, **wanted: Any) -> list[dict[str, Any]]:
        """Lines of the log."""
        found = [line for line in self.log if line["event"] == event]
        return [line for line in found if all(line.get(name) == value for name, value in wanted.items())]

    def _keep(self, _: object, __: str, event: Any) -> Any:
        self.log.append(dict(event))
        raise structlog.DropEvent

    @property
    def kamailio(self) -> int:
        return int((paths.front_folder(self.config) / "kamailio.pid").read_text())


class Carrier(Peer):
    """Takes REGISTER and calls only with the right password (RFC 2617)."""

    password = "carrier:pass"
    realm = "carrier.example"
    silent = False

    def take(self, message: Message) -> None:
        if self.silent:
            return
        if message.method not in {"REGISTER", "INVITE"} or message.status or "tag=" in message["to"]:
            super().take(message)
        elif not self._knows(message):
            challenge = f'Digest realm="{self.realm}", nonce="{secrets.token_hex(8)}", algorithm=MD5, qop="auth"'
            name = "WWW-Authenticate" if message.method == "REGISTER" else "Proxy-Authenticate"
            self.stray.append(message)
            self.respond(message, 401 if message.method == "REGISTER" else 407, headers={name: challenge})
        elif message.method == "REGISTER":
            self.stray.append(message)
            self.respond(message, 200, headers={"Contact": f"{message['contact']};expires=60"})
        else:
            super().take(message)

    def _knows(self, message: Message) -> bool:
        said = dict(re.findall(r'(\w+)="?([^",]+)"?', message["authorization"] or message["proxy-authorization"]))
        if said.get("realm") != self.realm:
            return False
        ha1 = md5(f"{said['username']}:{self.realm}:{self.password}")
        ha2 = md5(f"{message.method}:{said['uri']}")
        given = ":".join((ha1, said["nonce"], said["nc"], said["cnonce"], said["qop"], ha2))
        return said["response"] == md5(given)


async def from_worker(rig: Rig, worker: Peer, uri: str, **headers: str) -> PeerCall:
    """A call that a worker places through the front: its first Route is the inner socket."""
    return invite_by(worker, uri, rig.facts["inner_port"], {"Route": rig.inner, **headers})


def invite_by(peer: Peer, uri: str, port: int, headers: Mapping[str, str]) -> PeerCall:
    """An INVITE to `uri` sent to `port`, whatever the URI says."""
    call = PeerCall(peer, uri, secrets.token_hex(8))
    peer._calls[call.id] = call
    call._dialog.to = ("127.0.0.1", port)
    peer.spawn(call.start(sdp(peer.host, call.rtp.port), headers))
    return call


async def until(look: Any, wait_s: float = WAIT_S) -> Any:
    """What `look` (a function, perhaps async) returns once that is something."""
    async with asyncio.timeout(wait_s):
        while True:
            found = look()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.02)


async def register(
    peer: Peer, rig: Rig, password: str, contact: str = "", expires: int = 300, *, call_id: str = ""
) -> Message:
    """REGISTER as `peer.user` with a digest; returns the last answer."""
    realm, port = rig.config.front.realm, rig.facts["sip_port"]
    return await registering.register(
        peer, port, password, contact=contact, expires=expires, realm=realm, call_id=call_id
    )
