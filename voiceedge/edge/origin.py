"""Where a call came from: what the front says of it, and which of its own headers are to be believed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from voiceedge.sip.headers import address, user_part
from voiceedge.switch.numbers import is_anonymous
from voiceedge.switch.outgoing import HOPS_HEADER, TRUNK_HEADER
from voiceedge.switch.plan import Plan
from voiceedge.switch.routing import Incoming

AGENT_HEADER = "X-VoiceEdge-Agent"
IDENTITY_HEADER = "P-Asserted-Identity"  # RFC 3325
PRIVACY_HEADER = "Privacy"  # RFC 3323

_OURS = "x-voiceedge-"
_HIDING = frozenset({"id", "user", "header"})


def wanted_headers(configured: Iterable[str], *, behind_front: bool) -> tuple[str, ...]:
    """What to read of an INVITE besides the front's own headers, which are read where there is one and nowhere else."""
    others = [name for name in configured if not name.casefold().startswith(_OURS)]
    return tuple(dict.fromkeys((*others, PRIVACY_HEADER, *((IDENTITY_HEADER,) if behind_front else ()))))


@dataclass(frozen=True, slots=True)
class Origin:
    """`headers` are for flows; `hops` is the Max-Forwards left, where the front tells it."""

    call: Incoming
    headers: Mapping[str, str]
    hops: int | None = None
    is_hidden: bool = False  # the caller's number is for us and for nobody else


def origin_of(called: str, caller: str, headers: Mapping[str, str], plan: Plan, configured: Iterable[str]) -> Origin:
    """`headers` as read by `wanted_headers`; `configured` are those that flows may read.

    A plan with trunks says whose headers are believed; without one it is the firewall that does, and all are.
    """
    trunk = headers.get(TRUNK_HEADER, "")
    line = plan.trunks.get(trunk)
    if line and line.trusted and IDENTITY_HEADER in headers and not is_anonymous(caller):
        caller = user_part(address(headers[IDENTITY_HEADER].partition(",")[0])) or caller
    agent = headers.get(AGENT_HEADER, "")
    if agent:  # whatever its From says: caps count by it
        caller = plan.agents[agent].phone if agent in plan.agents else agent
    believed = line.trusted if line else not plan.trunks
    names = {name.casefold() for name in configured} if believed else set()
    hops = headers.get(HOPS_HEADER, "")
    return Origin(
        Incoming(called, caller, trunk, agent),
        {name: value for name, value in headers.items() if name.casefold() in names},
        int(hops) if hops.isascii() and hops.isdigit() and len(hops) <= 3 else None,  # noqa: PLR2004 - up to 255
        is_hidden=bool(_HIDING & {want.strip().casefold() for want in headers.get(PRIVACY_HEADER, "").split(";")}),
    )
