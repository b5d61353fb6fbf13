"""Where a call came from: what the front says of it, and which of its own headers are to be believed."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from voiceedge.flow.call import Attestation, CallFacts
from voiceedge.sip.headers import address, user_part
from voiceedge.switch.numbers import is_anonymous
from voiceedge.switch.outgoing import HOPS_HEADER, TRUNK_HEADER
from voiceedge.switch.plan import Plan
from voiceedge.switch.routing import Incoming

AGENT_HEADER = "X-VoiceEdge-Agent"
IDENTITY_HEADER = "P-Asserted-Identity"  # RFC 3325
PRIVACY_HEADER = "Privacy"  # RFC 3323

_OURS = "x-voiceedge-"
_VERSTAT = re.compile(r";verstat=([A-Za-z-]{1,40})", re.IGNORECASE)  # 3GPP TS 24.229, 7.2A.20
_ATTESTATIONS: Mapping[str, Attestation] = {"tn-validation-passed": "passed", "tn-validation-failed": "failed"}
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
    is_trusted: bool = False  # it came by a line whose word on numbers is taken
    attestation: Attestation = "none"  # of the caller's number, by the network (STIR/SHAKEN)

    def facts(self, call_id: str, conversation_id: str, called: str) -> CallFacts:
        return CallFacts(
            call_id=call_id,
            conversation_id=conversation_id,
            caller=self.call.caller,
            called=called,
            headers=self.headers,
            trunk=self.call.trunk,
            attestation=self.attestation,
            trusted=self.is_trusted,
        )


def origin_of(  # noqa: PLR0917 - all that is known of an INVITE
    called: str, caller: str, headers: Mapping[str, str], plan: Plan, configured: Iterable[str], sender: str = ""
) -> Origin:
    """`headers` as read by `wanted_headers`; `configured` are those that flows may read.

    A plan with trunks says whose headers are believed; without one it is the firewall that does, and all are. `sender`
    is the URI of From.
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
        is_trusted=believed and not agent,
        attestation=_attestation((headers.get(IDENTITY_HEADER, ""), sender), believed=believed),
        is_hidden=bool(_HIDING & {want.strip().casefold() for want in headers.get(PRIVACY_HEADER, "").split(";")}),
    )


def _attestation(sources: Iterable[str], *, believed: bool) -> Attestation:
    """Anybody may say that a number is false; that it is true, only a line that is believed."""
    found = {_ATTESTATIONS.get(word.lower(), "none") for text in sources for word in _VERSTAT.findall(unquote(text))}
    if "failed" in found:
        return "failed"
    return "passed" if "passed" in found and believed else "none"
