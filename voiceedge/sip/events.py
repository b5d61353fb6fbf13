"""What can happen to a leg: Answered and MediaUp once each, Key often, Ended once and last."""

from dataclasses import dataclass
from typing import Literal

Cause = Literal["caller", "us", "no_rtp", "cancelled", "failed", "transfer"]
KeyMethod = Literal["rfc4733", "info", "in_band"]  # how a key was told first


@dataclass(frozen=True, slots=True)
class Answered:
    """The call is confirmed: our 200 was acknowledged, or we acknowledged theirs."""


@dataclass(frozen=True, slots=True)
class MediaUp:
    """Audio is agreed and the leg's channel is connected: what is played from now on is heard."""


@dataclass(frozen=True, slots=True)
class Key:
    """One press of one key, reported when it begins; `duration_ms` is what was known of its length by then."""

    key: str  # 0-9 * # A-D
    duration_ms: int
    method: KeyMethod
    at_ns: int  # time.monotonic_ns


@dataclass(frozen=True, slots=True)
class Ended:
    """`caller` is the other side, whoever called whom; `sip_code` the final status, 200 for an ordinary BYE."""

    cause: Cause
    sip_code: int
    reason: str


Event = Answered | MediaUp | Key | Ended
