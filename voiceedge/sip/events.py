"""What can happen to a leg: Answered and MediaUp once each at most, others as they come, Ended once and last."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from voiceedge.sip.quality import Quality

if TYPE_CHECKING:
    from voiceedge.sip.leg import Leg

Cause = Literal["caller", "us", "no_rtp", "cancelled", "failed", "transfer"]
KeyMethod = Literal["rfc4733", "info", "in_band"]  # how a key was told first


@dataclass(frozen=True, slots=True)
class Progress:
    """The called side is on it: 180 Ringing, 183 Session Progress … `early_media`: it sends audio of its own."""

    code: int
    early_media: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """The call is confirmed: our 200 was acknowledged, or we acknowledged theirs."""


@dataclass(frozen=True, slots=True)
class MediaUp:
    """Audio is agreed and the leg's channel is connected: what is played from now on is heard.

    Before Answered where audio is early: theirs (183 with an answer), or ours (`Leg.progress`).
    """


@dataclass(frozen=True, slots=True)
class Held:
    """The other side has put us on hold: it hears nothing, or only what we play to it (RFC 3264, 8.4)."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """The other side hears us again."""


@dataclass(frozen=True, slots=True)
class TransferAsked:
    """The other side wants its partner to be connected to `target` (REFER), or to the leg that `replaces` names.

    Only where the leg's `may_transfer` is set. `Leg.accept_transfer` or `Leg.decline_transfer` within seconds, or it is
    declined; what becomes of an accepted one is told by `Leg.transfer_progress`.
    """

    target: str
    replaces: "Leg | None"  # of this process
    elsewhere: str = ""  # a dialog of another process: call `target` with this as `SipEndpoint.call`'s `replaces`


@dataclass(frozen=True, slots=True)
class Replaced:
    """`by`, a new leg, has taken this one's place (RFC 3891): it is answered and has its bridges; Ended follows.

    Only where the leg's `may_be_replaced` is set.
    """

    by: "Leg"


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
    q850: int | None = None  # the other side's cause (RFC 3326, ITU-T Q.850), where it gave one
    moved_to: str = ""  # where a 3xx pointed to that we were not allowed to follow
    quality: Quality | None = None  # None: no audio was ever agreed


Event = Progress | Answered | MediaUp | Held | Resumed | TransferAsked | Replaced | Key | Ended
