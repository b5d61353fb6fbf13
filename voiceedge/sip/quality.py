"""How good a leg's audio is: what RTP and RTCP count (RFC 3550), and the opinion they let one expect (ITU-T G.107)."""

import math
from dataclasses import dataclass

import pjsua2 as pj
import structlog

log = structlog.get_logger()

# The E-model with everything but delay and loss at its default (G.107, Table 2 and 7.1): R = 93.2 - Id - Ie,eff.
_R0 = 93.2
_UNNOTICED_MS = 100.0
_CODEC_DELAY_MS = 20.0  # a frame is gathered before it is sent
_LOSS_ROBUSTNESS = 25.1  # Bpl of G.711 with concealment (G.113, Appendix I), which PJSIP does


@dataclass(frozen=True, slots=True)
class Quality:
    """`in` is what we receive, `out` what the other side says that it receives (None: it sent no report yet)."""

    codec: str  # as in SDP: PCMU, PCMA, G722
    packets_in: int
    packets_out: int
    lost_in: int
    lost_out: int | None
    jitter_in_ms: float
    jitter_out_ms: float | None
    round_trip_ms: float | None
    buffer_ms: float  # mean delay of our jitter buffer
    mos: float  # of what we receive, 1.0 to 4.5

    @property
    def loss_in(self) -> float:
        """Share of packets that never came, 0 to 1."""
        due = self.packets_in + self.lost_in
        return self.lost_in / due if due else 0.0

    @property
    def loss_out(self) -> float | None:
        if self.lost_out is None:
            return None
        return min(1.0, self.lost_out / self.packets_out) if self.packets_out else 0.0


def opinion(loss: float, one_way_ms: float) -> float:
    """Mean opinion score (G.107, Annex B) for a share of lost packets, lost singly, and a delay from mouth to ear."""
    impaired = 95.0 * 100 * loss / (100 * loss + _LOSS_ROBUSTNESS)
    r = _R0 - _delayed(one_way_ms) - impaired
    if r <= 0:
        return 1.0
    return round(min(4.5, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6), 2)


def _delayed(one_way_ms: float) -> float:
    """What too long a delay costs without any echo (Idd of G.107, 7.4)."""
    if one_way_ms <= _UNNOTICED_MS:
        return 0.0
    x = math.log2(one_way_ms / _UNNOTICED_MS)
    return 25 * (math.pow(1 + x**6, 1 / 6) - 3 * math.pow(1 + (x / 3) ** 6, 1 / 6) + 2)


def mouth_to_ear_ms(round_trip_ms: float | None, buffer_ms: float) -> float:
    """Half the round trip, our jitter buffer, and a frame at either end."""
    return (round_trip_ms or 0.0) / 2 + buffer_ms + 2 * _CODEC_DELAY_MS


class Meter:
    """Counts a call's packets over all of its audio streams, in the pump: each re-INVITE may begin a new one.

    `signs_of_life` is a count, as of the last reading, that grows while the other side is there: of its packets and,
    once one has come, of its reports. Who suppresses silence sends no audio while he listens, but reports on ours (RFC
    3550, 6.2).
    """

    def __init__(self) -> None:
        self._stream: int | None = None
        self._codec = ""  # of it; asked for once
        self._last: Quality | None = None  # of all streams so far
        self._before: Quality | None = None  # … but the one that is up
        self.signs_of_life = 0

    @property
    def up(self) -> bool:
        return self._stream is not None

    def begin(self, stream: int) -> None:
        self._stream, self._codec = stream, ""

    def end(self, call: pj.Call) -> None:
        """The stream is about to go."""
        self._before = self.read(call)
        self._stream = None

    def read(self, call: pj.Call) -> Quality | None:
        """As of now, or as it was last."""
        if self._stream is None:
            return self._last
        try:
            self._last = self._measured(call, self._stream)
        except pj.Error:  # the stream is gone
            log.debug("sip_stream_not_read")
        return self._last

    def _measured(self, call: pj.Call, stream: int) -> Quality:
        stat, before = call.getStreamStat(stream), self._before  # kept by name: its parts are pointers into it
        self._codec = self._codec or call.getStreamInfo(stream).codecName
        rtcp = stat.rtcp
        heard, sent = rtcp.rxStat, rtcp.txStat
        reported = sent.updateCount > 0
        self.signs_of_life = heard.pkt + sent.updateCount if heard.pkt else 0
        round_trip, jitter_out = (before.round_trip_ms, before.jitter_out_ms) if before else (None, None)
        if rtcp.rttUsec.n:
            round_trip = rtcp.rttUsec.mean / 1000
        if reported:
            jitter_out = sent.jitterUsec.mean / 1000
        packets_in = heard.pkt + (before.packets_in if before else 0)
        lost_in = heard.loss + (before.lost_in if before else 0)
        lost_before = before.lost_out if before else None
        lost_out = (sent.loss if reported else 0) + (lost_before or 0) if reported or lost_before is not None else None
        buffer_ms = float(stat.jbuf.avgDelayMsec)
        due = packets_in + lost_in
        return Quality(
            codec=self._codec,
            packets_in=packets_in,
            packets_out=sent.pkt + (before.packets_out if before else 0),
            lost_in=lost_in,
            lost_out=lost_out,
            jitter_in_ms=heard.jitterUsec.mean / 1000,
            jitter_out_ms=jitter_out,
            round_trip_ms=round_trip,
            buffer_ms=buffer_ms,
            mos=opinion(lost_in / due if due else 0.0, mouth_to_ear_ms(round_trip, buffer_ms)),
        )
