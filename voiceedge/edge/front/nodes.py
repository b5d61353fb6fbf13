"""Other nodes as the front sees them: who answers, and the end of the calls of one that is gone."""

import math
from dataclasses import dataclass

import structlog

from voiceedge import clock as clocks
from voiceedge.clock import Clock
from voiceedge.edge.front.rpc import Rpc
from voiceedge.edge.front.workers import as_list, end_calls
from voiceedge.errors import LinkError

LOOK_S = 2.0  # as often as Kamailio asks them (the template's ds_ping_interval)
LOST_S = 10.0  # without an answer; a Kamailio that was killed is back before

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Node:
    """Another front, by its address; `is_up`: it answers, so it is given calls."""

    address: str
    is_up: bool

    @property
    def uri(self) -> str:
        return f"sip:{self.address}"


async def list_nodes(rpc: Rpc) -> list[Node]:
    """Raises LinkError while Kamailio is away."""
    found = []
    for wrapped in (await rpc.ask("dispatcher.list"))["RECORDS"]:
        group = wrapped["SET"]
        if group["ID"] == 2:  # noqa: PLR2004 - as in dispatcher.list
            for target in as_list(group["TARGETS"]):
                facts = target["DEST"]
                found.append(Node(facts["URI"].removeprefix("sip:"), facts["FLAGS"].startswith("A")))
    return found


async def watch_forever(rpc: Rpc, clock: Clock) -> None:
    """Tell the log who is silent, and end the calls that are at a node once it has been so for LOST_S."""
    silent_since: dict[str, float] = {}
    while True:
        await clocks.sleep(clock, LOOK_S)
        try:
            for node in await list_nodes(rpc):
                await _follow(node, silent_since, rpc, clock.monotonic())
        except LinkError:
            silent_since.clear()  # a Kamailio that is new takes all nodes for living ones


async def _follow(node: Node, silent_since: dict[str, float], rpc: Rpc, now: float) -> None:
    if node.is_up:
        if silent_since.pop(node.address, None) is not None:
            log.info("node_back", node=node.address)
    elif node.address not in silent_since:
        silent_since[node.address] = now
        log.warning("node_silent", node=node.address, effect="it is given no calls")
    elif now - silent_since[node.address] >= LOST_S:
        silent_since[node.address] = math.inf
        if ended := await end_calls(rpc, node.uri, "Node lost"):
            log.warning("calls_of_node_ended", node=node.address, calls=ended)
