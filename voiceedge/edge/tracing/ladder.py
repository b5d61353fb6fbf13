"""What was said in SIP about a call as a ladder: a lane for each leg, an arrow for each message, in order of time."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

Kind = Literal["request", "provisional", "success", "refusal"]
Style = Literal["title", "lane", "request", "provisional", "success", "refusal", "again", "quiet"]

_OK, _MULTIPLE = 200, 300
_LEFT, _GAP = 12, 26  # characters: before the first lane, and from lane to lane
_US = "VoiceEdge"
_ENDS = {
    "caller": "they hung up", "us": "we hung up", "no_rtp": "no audio came", "cancelled": "they gave up",
    "failed": "it came to nothing", "transfer": "they were sent on",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lane:
    """`end` is empty while the leg lasts."""

    title: str
    trunk: str
    end: str
    left_out: int


@dataclass(frozen=True, slots=True)
class Arrow:
    """`at_s` from the first; `sent` by us; `text` is the whole message where it was asked for."""

    at_s: float
    lane: int
    sent: bool
    label: str
    notes: str
    kind: Kind
    again: bool
    text: str


@dataclass(frozen=True, slots=True)
class Ladder:
    """The first lane stands left of us, all others right."""

    conversation: str
    began: datetime
    lanes: tuple[Lane, ...]
    arrows: tuple[Arrow, ...]


def read_ladder(conversation: str, legs: Sequence[Mapping[str, Any]]) -> Ladder:
    """Of the legs that workers tell (see Tracing)."""
    legs = sorted(legs, key=lambda leg: leg["role"] != "caller")
    times = [message["at"] for leg in legs for message in leg["messages"]]
    began = min(times, default=0.0)
    arrows = (_arrow(lane, message, began) for lane, leg in enumerate(legs) for message in leg["messages"])
    return Ladder(
        conversation,
        datetime.fromtimestamp(began, UTC).astimezone(),
        tuple(map(_lane, legs)),
        tuple(sorted(arrows, key=lambda arrow: arrow.at_s)),
    )


def _lane(leg: Mapping[str, Any]) -> Lane:
    title = leg["far_end"] if leg["role"] == "agent" else f"{leg['role']} {leg['far_end']}"
    facts = [_ENDS.get(leg["cause"], leg["cause"]), leg["sip_code"], leg["q850"] and f"Q.850 {leg['q850']}"]
    facts += [leg["codec"], leg["mos"] and f"MOS {leg['mos']:.2f}"]
    return Lane(
        title=title.strip(),
        trunk=leg["trunk"] or "",
        end=" · ".join(str(fact) for fact in facts if fact) if leg["cause"] else "",
        left_out=leg["left_out"],
    )


def _arrow(lane: int, message: Mapping[str, Any], began: float) -> Arrow:
    code = message["code"]
    notes = ["/".join(message["codecs"]), message["direction"], message["q850"] and f"Q.850 {message['q850']}"]
    if code and message["method"] != "INVITE":
        notes.insert(0, f"to {message['method']}")
    return Arrow(
        at_s=message["at"] - began,
        lane=lane,
        sent=message["sent"],
        label=f"{code} {message['phrase']}".strip() if code else message["method"],
        notes=" · ".join(filter(None, notes)),
        kind=_kind(code),
        again=message["again"],
        text=message.get("text", ""),
    )


def _kind(code: int | None) -> Kind:
    if code is None:
        return "request"
    return "provisional" if code < _OK else "success" if code < _MULTIPLE else "refusal"


# --- for a terminal ---


def lines(ladder: Ladder) -> Iterator[tuple[str, Style]]:
    """Each line and what it shows; whole messages follow their arrows."""
    yield f"{ladder.conversation}, {ladder.began:%Y-%m-%d %H:%M:%S.%f}"[:-3], "title"
    yield _heads(ladder, [_US, *(lane.title for lane in ladder.lanes)]), "lane"
    if any(lane.trunk for lane in ladder.lanes):
        yield _heads(ladder, ["", *(lane.trunk and f"by {lane.trunk}" for lane in ladder.lanes)]), "quiet"
    for arrow in ladder.arrows:
        yield _drawn(ladder, arrow), "again" if arrow.again else arrow.kind
        for line in arrow.text.splitlines():
            yield f"{'':{_LEFT}}{line}", "quiet"
    for lane in ladder.lanes:
        if lane.left_out:
            yield f"{lane.title}: {lane.left_out} messages of the middle are not kept", "quiet"
        yield f"{lane.title}: {lane.end or 'is up'}", "lane"


def _place(lane: int) -> int:
    """Of a lane, -1 being ours."""
    return _LEFT + _GAP * (0 if lane == 0 else 1 if lane < 0 else lane + 1)


def _heads(ladder: Ladder, titles: Sequence[str]) -> str:
    row = _Row(ladder)
    for lane, title in zip(range(-1, len(ladder.lanes)), titles, strict=True):
        row.centre(_place(lane), title, _GAP - 2)
    return row.text()


def _drawn(ladder: Ladder, arrow: Arrow) -> str:
    row = _Row(ladder)
    row.put(0, f"{arrow.at_s:9.3f}")
    for lane in range(-1, len(ladder.lanes)):
        row.put(_place(lane), "│")
    left, right = sorted((_place(-1), _place(arrow.lane)))
    row.put(left + 1, "─" * (right - left - 1))
    goes_right = arrow.sent == (arrow.lane > 0)
    row.put(right - 1 if goes_right else left + 1, "▶" if goes_right else "◀")
    near = right if arrow.lane > 1 else (left + right + 1) // 2 + _GAP // 2
    label = f"{arrow.label} (again)" if arrow.again else arrow.label
    row.centre(near - _GAP // 2, f" {_cut(label, _GAP - 8)} ", _GAP - 4)
    return f"{row.text()}  {arrow.notes}".rstrip()


class _Row:
    """A line of cells; a wide character takes two of them (Unicode Standard Annex 11)."""

    def __init__(self, ladder: Ladder) -> None:
        self._cells = [" "] * (_place(max(1, len(ladder.lanes) - 1)) + _GAP)

    def put(self, at: int, text: str) -> None:
        for character in text:
            wide = _width(character)
            if at >= 0 and at + wide <= len(self._cells):
                self._cells[at : at + wide] = [character, *[""] * (wide - 1)]
            at += wide

    def centre(self, at: int, text: str, most: int) -> None:
        text = _cut(text, most)
        self.put(at - sum(map(_width, text)) // 2, text)

    def text(self) -> str:
        return "".join(self._cells).rstrip()


def _cut(text: str, most: int) -> str:
    widths = list(map(_width, text))
    if sum(widths) <= most:
        return text
    kept = next(count for count in range(len(text), -1, -1) if sum(widths[:count]) < most)
    return f"{text[:kept]}…"


def _width(character: str) -> int:
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
