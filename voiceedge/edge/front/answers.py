"""What the front answers over its link: bans, registrations, trunks, figures."""

import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from voiceedge.clock import Clock
from voiceedge.config import Config
from voiceedge.edge.between.link import Handler, Head
from voiceedge.edge.front import tables
from voiceedge.edge.front.nodes import list_nodes
from voiceedge.edge.front.place import Place
from voiceedge.edge.front.rpc import RefusedError, Rpc
from voiceedge.edge.front.workers import Pool, as_list
from voiceedge.errors import LinkError
from voiceedge.switch.plan import Plan, Trunk

REFUSED = "refused_"
DOWN_AFTER = 2  # unanswered probes, as in the template
_REGISTERED, _DISABLED = 1 << 2, 1 << 0  # flags of a registration with a carrier (Kamailio's uac module)


class Answers:
    """Every handler raises LinkError while Kamailio is away."""

    def __init__(
        self,
        config: Config,
        place: Place,
        rpc: Rpc,
        pool: Pool,
        *,
        clock: Clock,
        plan_of: Callable[[], Plan],
        reload: Callable[[], Awaitable[bool]],
    ) -> None:
        self._plan_of, self._config, self._place = plan_of, config, place
        self._rpc, self._pool, self._clock, self._reload = rpc, pool, clock, reload

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {
            "bans": self.bans,
            "unban": self.unban,
            "registrations": self.registrations,
            "trunks": self.trunks,
            "nodes": self.nodes,
            "stats": self.stats,
            "reload": self.reload,
        }

    async def bans(self, _head: Head, _payload: bytes) -> Head:
        """{"bans": [{"address", "reason": flood|scan|password, "left_s"}]}, the newest first."""
        now = self._clock.now().timestamp()
        found = []
        for address, value in (await self._table("bans")).items():
            reason, _, since = value.partition(" ")
            left_s = max(0, round(int(since or 0) + self._config.front.ban_s - now))
            found.append({"address": address, "reason": reason, "left_s": left_s})
        return {"bans": sorted(found, key=lambda ban: -ban["left_s"])}

    async def unban(self, head: Head, _payload: bytes) -> Head:
        """`address`; answers {"lifted": bool}."""
        try:
            address = str(ipaddress.IPv4Address(head["address"]))
        except ValueError as error:
            raise LinkError(f"{head['address']} is no IPv4 address") from error
        lifted = address in await self._table("bans")
        for table in ("bans", "strikes", "knocks"):
            try:
                await self._rpc.ask("htable.delete", table, address)
            except RefusedError:
                continue  # it is not in there
        return {"lifted": lifted}

    async def registrations(self, _head: Head, _payload: bytes) -> Head:
        """{"agents": [{"agent", "phone", "contacts": [{"address", "expires_s", "device"}]}]}."""
        agents = []
        for name, agent in self._plan_of().agents.items():
            if agent.password_file and ":" not in agent.phone:
                contacts = [_contact(contact) for contact in await self._contacts(agent.phone)]
                agents.append({"agent": name, "phone": agent.phone, "contacts": contacts})
        return {"agents": agents}

    async def trunks(self, _head: Head, _payload: bytes) -> Head:
        """{"trunks": [{"trunk", "host", "state": up|down|none, "registered": bool|null, "calls", "max_calls"}]}."""
        silent = await self._table("down")
        found = []
        for name, trunk in self._plan_of().trunks.items():
            state = "none" if not trunk.host else "down" if int(silent.get(name, 0)) >= DOWN_AFTER else "up"
            found.append(
                {
                    "trunk": name,
                    "host": trunk.host,
                    "state": state,
                    "registered": await self._registered(name, trunk),
                    "calls": await self._size("trunk", name),
                    "max_calls": trunk.max_calls,
                }
            )
        return {"trunks": found}

    async def nodes(self, _head: Head, _payload: bytes) -> Head:
        """{"nodes": [{"address", "state": up|down, "calls"}]}: the other fronts, and the calls that we gave them."""
        found = []
        for node in sorted(await list_nodes(self._rpc), key=lambda node: node.address):
            calls = await self._size("worker", node.uri)
            found.append({"address": node.address, "state": "up" if node.is_up else "down", "calls": calls})
        return {"nodes": found}

    async def stats(self, _head: Head, _payload: bytes) -> Head:
        """Calls now, by worker too; counted since Kamailio's start: incoming, outgoing, refused by reason."""
        counts = {name: int(value) for name, value in (await self._table("count")).items()}
        workers = {worker.name: await self._size("worker", worker.uri) for worker in self._pool.workers}
        return {
            "calls": await self._size("incoming"),
            "workers": workers,
            "incoming": counts.get("incoming", 0),
            "outgoing": counts.get("outgoing", 0),
            "refused": {
                name.removeprefix(REFUSED): value for name, value in counts.items() if name.startswith(REFUSED)
            },
            "up_s": int((await self._rpc.ask("core.uptime"))["uptime"]),
        }

    async def reload(self, _head: Head, _payload: bytes) -> Head:
        """Plan and certificate anew; answers {"restarted": bool}. Raises ConfigError, and then nothing has changed."""
        return {"restarted": await self._reload()}

    async def _table(self, name: str) -> dict[str, str]:
        slots = as_list(await self._rpc.ask("htable.dump", name))
        return {item["name"]: str(item["value"]) for slot in slots for item in slot["slot"]}

    async def _size(self, profile: str, *value: str) -> int:
        return int(await self._rpc.ask("dlg.profile_get_size", profile, *value))

    async def _contacts(self, phone: str) -> list[dict[str, Any]]:
        try:
            record = await self._rpc.ask("ul.lookup", "location", phone)
        except RefusedError:
            return []  # it is not registered
        return [item["Contact"] for item in record["Contacts"]]

    async def _registered(self, name: str, trunk: Trunk) -> bool | None:
        if not trunk.register_here:
            return None
        try:
            token = tables.line_token(name, self._place)
            record = await self._rpc.ask("uac.reg_info", "l_uuid", token)
        except RefusedError:
            return False
        return bool(int(record["flags"]) & _REGISTERED)


def _contact(contact: Mapping[str, Any]) -> dict[str, Any]:
    received = contact.get("Received", "[not set]")
    return {
        "address": contact["Address"] if received == "[not set]" else received,
        "expires_s": contact["Expires"],
        "device": contact.get("User-Agent", ""),
    }
