"""The call-detail record of a leg, made when it is over from what SIP and RTP told of it."""

from dataclasses import dataclass
from datetime import timedelta

from voiceedge.clock import Clock
from voiceedge.context.events.call import Journal, LegEnded
from voiceedge.context.privacy.pii import PersonalDataClass, mask
from voiceedge.edge.call.known_legs import KnownLegs, Role
from voiceedge.edge.call.tally import Tally
from voiceedge.sip.leg import Leg

NS_A_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class LegBook:
    """Where one conversation's legs are written down."""

    conversation: str
    journal: Journal
    clock: Clock
    tally: Tally
    known: KnownLegs

    def open(self, leg: Leg, *, role: Role, trunk: str | None = None, agent: str | None = None) -> None:
        """When it begins, for whoever looks while it lasts."""
        self.known.note(self.conversation, leg, role, trunk or None, agent)

    def close(self, leg: Leg, *, role: Role, trunk: str | None = None, agent: str | None = None) -> None:
        """Once for each leg, when it has Ended."""
        if leg.ended is None:
            return
        self.known.note(self.conversation, leg, role, trunk or None, agent)
        number = leg.caller if role == "caller" else leg.called
        record = _record(leg, role, trunk or None, agent, number, self.clock)
        self.tally.leg(record)
        self.journal.record(record, {"number": number})


def _record(  # noqa: PLR0917 - all of them are always given
    leg: Leg, role: Role, trunk: str | None, agent: str | None, number: str, clock: Clock
) -> LegEnded:
    ended = leg.ended
    assert ended  # noqa: S101 - `close` looked
    times, now = leg.times, clock.now()

    def when(at_ns: int | None) -> str | None:
        return None if at_ns is None else (now - timedelta(microseconds=(times.ended_ns - at_ns) / 1000)).isoformat()

    quality = ended.quality
    return LegEnded(
        call_id=leg.id,
        role=role,
        direction="out" if leg.is_placed else "in",
        trunk=trunk,
        agent=agent,
        far_end=agent or mask(number, PersonalDataClass.PERSONAL),
        began_at=when(leg.received_ns) or now.isoformat(),
        answered_at=when(times.answered_ns),
        ended_at=now.isoformat(),
        request_delay_ms=_between(leg.received_ns, times.progressed_ns),
        disconnect_delay_ms=_between(times.hung_up_ns, times.ended_ns),
        talk_ms=_between(times.answered_ns, times.ended_ns) or 0,
        cause=ended.cause,
        sip_code=ended.sip_code,
        q850=ended.q850,
        codec=quality.codec if quality else None,
        packets_in=quality.packets_in if quality else 0,
        packets_out=quality.packets_out if quality else 0,
        lost_in=quality.lost_in if quality else 0,
        lost_out=quality.lost_out if quality else None,
        jitter_in_ms=_rounded(quality.jitter_in_ms if quality else None),
        jitter_out_ms=_rounded(quality.jitter_out_ms if quality else None),
        round_trip_ms=_rounded(quality.round_trip_ms if quality else None),
        mos=quality.mos if quality else None,
    )


def _between(start_ns: int | None, end_ns: int | None) -> int | None:
    return None if start_ns is None or end_ns is None else round((end_ns - start_ns) / NS_A_MS)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
