"""Calls that a worker places: whom a name, a number or an address means, by which ways, and the legs to them."""

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

import structlog

from voiceedge.audio.channel import Channel
from voiceedge.audio.events import AudioEvent
from voiceedge.clock import Clock
from voiceedge.config import Config
from voiceedge.context.privacy.pii import PersonalDataClass, mask
from voiceedge.edge.call.known_legs import Role
from voiceedge.edge.call.leg_record import LegBook
from voiceedge.edge.call.party import Hear, Party
from voiceedge.edge.call.phones import Phones
from voiceedge.edge.call.voice import WorkerVoice
from voiceedge.errors import PromptError, SipError
from voiceedge.flow.call import Utterance
from voiceedge.sip.accounts import Srtp
from voiceedge.sip.endpoint import SipEndpoint
from voiceedge.sip.headers import host_of, is_allowed, is_caller_id, user_part
from voiceedge.sip.leg import Leg
from voiceedge.switch.caps import CallOut, Caps, call_out
from voiceedge.switch.guard import Guard, Reason, Refusal
from voiceedge.switch.outgoing import TRUNK_HEADER, Attempt, Outgoing
from voiceedge.switch.plan import AgentEntry, Plan

if TYPE_CHECKING:
    from voiceedge.edge.call.talk import Talk

T = TypeVar("T")

RING_S = 20.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Way:
    """One try at reaching somebody; `out` is what it counts as where it leaves by a trunk."""

    uri: str
    headers: Mapping[str, str] = field(default_factory=dict)
    caller_id: str | None = None
    out: CallOut | None = None
    replaces: str | None = None  # a dialog whose place it takes (RFC 3891)
    codecs: tuple[str, ...] = ()  # these only; none: all that are configured
    srtp: Srtp = "off"


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody who can be rung: by these ways, one after the other. `agent` is their name where they are one."""

    ways: tuple[Way, ...]
    agent: str | None = None
    ring_s: float = RING_S

    @property
    def masked(self) -> str:
        """Who it is, for others to read."""
        return self.agent or mask(user_part(self.ways[0].uri), PersonalDataClass.PERSONAL)

    def in_place_of(self, dialog: str) -> "Candidate":
        return replace(self, ways=tuple(replace(way, replaces=dialog) for way in self.ways))

    def showing(self, number: str) -> "Candidate":
        """Where it is an agent, their phone shows who calls; nobody where `number` is empty or hostile.

        What leaves by a trunk shows a number of ours.
        """
        if self.agent is None:
            return self
        shown = number if is_caller_id(number) else None
        return replace(self, ways=tuple(replace(way, caller_id=shown) for way in self.ways))


class Lines:
    """One in every worker. What it runs in the background outlives a call: a leg may pass from one call to another."""

    def __init__(
        self,
        config: Config,
        plan: Plan,
        *,
        voice: WorkerVoice,
        caps: Caps,
        clock: Clock,
        group: asyncio.TaskGroup,
        phones: Phones,
    ) -> None:
        self._config, self.plan = config, plan
        self._voice, self._caps, self._clock, self._group = voice, caps, clock, group
        self.phones = phones
        self._outgoing = Outgoing(plan, Guard(plan))
        self._endpoint: SipEndpoint | None = None
        self._ears: dict[int, Hear] = {}
        self._out: dict[int, CallOut] = {}  # by the channel of the leg
        self.talks: dict[int, Talk] = {}  # by the number of the caller's leg

    def open(self, endpoint: SipEndpoint) -> None:
        self._endpoint = endpoint

    # --- who is meant ---

    def find(
        self, target: str, *, caller: str = "", caller_id: str | None = None, hops: int | None = None
    ) -> Candidate | Refusal | None:
        """A name of the plan, a number or a SIP address; None where there is nobody of that name.

        `caller` is the number or name of whoever the call is for: the guard counts by it. `hops` is the Max-Forwards
        that call came with.
        """
        if entry := self.plan.agents.get(caller):
            caller = entry.phone  # by which what that phone dials itself is counted
        if agent := self.plan.agents.get(target):
            return self.agent(target, agent)
        scheme = target.partition(":")[0].lower()
        number = user_part(target) if scheme in {"sip", "sips", "tel"} else target
        is_here = scheme not in {"sip", "sips"} or host_of(target).casefold() == self._config.front.realm.casefold()
        for name, entry in self.plan.agents.items():
            if entry.phone == target or (is_here and entry.phone == number):
                return self.agent(name, entry)
        if not is_here:
            return self._elsewhere(target)
        if not any(map(str.isdigit, number)):
            return None
        found = self._outgoing.attempts(number, caller, caller_id, hops)
        if isinstance(found, Refusal):
            return found
        call_id = str(uuid4())
        return Candidate(tuple(self._way(attempt, call_id, caller) for attempt in found))

    def _way(self, attempt: Attempt, call_id: str, caller: str) -> Way:
        counted = None if attempt.is_emergency else call_out(call_id, caller, attempt.trunk, self.plan, self._clock)
        return Way(attempt.uri, attempt.headers, attempt.caller_id, counted, codecs=attempt.codecs, srtp=attempt.srtp)

    def agent(self, name: str, entry: AgentEntry, ring_s: float | None = None) -> Candidate:
        """`phone` is a whole address, or the name that a phone registers by at the front."""
        return Candidate((Way(self._address(entry)),), name, ring_s or entry.ring_s)

    def phone_of(self, agent: str | None) -> str | None:
        """The address of this agent's own phone."""
        entry = self.plan.agents.get(agent or "")
        return self._address(entry) if entry else None

    def _address(self, entry: AgentEntry) -> str:
        return entry.phone if ":" in entry.phone else f"sip:{entry.phone}@{self._config.front.realm}"

    def extension(self, agent: str) -> str:
        """What the phone of this agent is called by."""
        phone = self.plan.agents[agent].phone if agent in self.plan.agents else ""
        return user_part(phone) if ":" in phone else phone

    def _elsewhere(self, uri: str) -> Candidate | Refusal:
        """By an address that is not of our domain."""
        if is_allowed(uri, self._config.sip.transfer_targets):
            return Candidate((Way(uri),))
        return Refusal(Reason.TARGET, "sip.transfer_targets does not name it")

    # --- legs ---

    async def call(self, way: Way, agent: str | None, legs: LegBook) -> Party:
        """Raises SipError, also where a cap on calls out is reached."""
        leg = await self.place(way)
        role: Role = "agent" if agent else "other"
        trunk = way.headers.get(TRUNK_HEADER)
        legs.open(leg, role=role, trunk=trunk, agent=agent)

        def over(ended: Leg) -> None:
            legs.close(ended, role=role, trunk=trunk, agent=agent)
            if agent and ended is party.leg:  # else another phone of theirs has taken it over
                self.phones.end(way.uri)

        party = Party(leg, agent, ears=self, voice=self._voice, clock=self._clock, spawn=self.spawn, over=over)
        if agent:
            self.phones.begin(way.uri)
        return party

    async def place(self, way: Way) -> Leg:
        """A leg that whoever asked for it sees to, and asks to `forget` its channel at its end. Raises SipError."""
        if self._endpoint is None:
            raise SipError("The SIP endpoint is not running.")
        if way.out and (refusal := await self._caps.admit(way.out)):
            raise SipError(f"No call out by {way.out.trunk}: {refusal.why}.")
        headers = {name: way.headers[name] for name in way.headers if name in self._endpoint.headers_out}  # the front's
        try:
            leg = await self._endpoint.call(
                way.uri,
                headers,
                caller_id=way.caller_id,
                replaces=way.replaces,
                codecs=way.codecs,
                srtp=way.srtp,
            )
        except BaseException:
            self._is_over(way.out)
            raise
        if way.out:
            self._out[id(leg.channel)] = way.out
        return leg

    async def prepare(self, utterances: Sequence[Utterance]) -> None:
        """Have ready what somebody will be told as soon as they answer."""
        pieces = [piece for utterance in utterances for piece in self._voice.library.pieces(utterance)]
        for piece in pieces:
            if not piece.personal:  # which is kept nowhere
                with contextlib.suppress(PromptError):  # it is left out then, and that is told
                    await self._voice.samples(piece)

    def listen(self, channel: Channel, hear: Hear) -> None:
        self._ears[id(channel)] = hear

    def forget(self, channel: Channel) -> None:
        self._ears.pop(id(channel), None)
        self._is_over(self._out.pop(id(channel), None))

    def _is_over(self, call: CallOut | None) -> None:
        if call:
            self.spawn(self._caps.over(call.id, call.trunk))

    def hear(self, event: AudioEvent) -> None:
        """From the pipeline, whatever was heard on a channel."""
        if hear := self._ears.get(id(event.channel)):
            hear(event)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """In the worker's own group, which a failure must not reach."""
        return self._group.create_task(_guarded(work))

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """The same of work that raises nothing, for its result."""
        return self._group.create_task(work)


async def _guarded(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception:
        log.exception("line_failed")
