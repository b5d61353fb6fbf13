"""A call's SIP ladder as one SVG file; whoever points at an arrow sees the whole message, where it was asked for."""

from collections.abc import Iterator
from html import escape

from voiceedge.edge.tracing.ladder import Arrow, Ladder, Lane

_LEFT, _GAP, _RIGHT = 150.0, 250.0, 260.0  # pixels: the times and the first lane's head; lane to lane; the notes
_TOP, _HEAD, _ROW, _FOOT = 64.0, 58.0, 30.0, 26.0
_TIP = 8.0

_STYLE = """
text { font: 12px 'Noto Sans', 'Noto Sans KR', 'DejaVu Sans', sans-serif; fill: #3c4450 }
.title { font-size: 17px; font-weight: 600; fill: #1b2330 } .lane { font-size: 13px; font-weight: 600; fill: #1b2330 }
.quiet { fill: #78818f; font-size: 11px } .time { fill: #78818f; font-size: 11px; font-variant-numeric: tabular-nums }
.line { stroke: #c3c9d2 } .head { fill: #f3f5f8 } .behind { fill: #fff }
.request { stroke: #2f6db5; fill: #2f6db5 } .provisional { stroke: #8a93a1; fill: #8a93a1 }
.success { stroke: #2b9a66; fill: #2b9a66 } .refusal { stroke: #d3263b; fill: #d3263b }
line { stroke-width: 1.6 } .again line { stroke-dasharray: 5 4 } .again { opacity: .55 }
"""


def draw(ladder: Ladder) -> str:
    width = _place(max(1, len(ladder.lanes) - 1)) + _RIGHT
    bottom = _TOP + _HEAD + _ROW * len(ladder.arrows) + _ROW / 2
    height = bottom + _FOOT * (len(ladder.lanes) + 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}">',
        f"<title>{escape(ladder.conversation)}</title><style>{_STYLE}</style>",
        '<rect width="100%" height="100%" fill="#fff"/>',
        _text(24, 30, ladder.conversation, "title"),
        _text(24, 48, f"{ladder.began:%Y-%m-%d %H:%M:%S %z}", "quiet"),
        *_lane(_place(-1), "VoiceEdge", "", bottom),
    ]
    for number, lane in enumerate(ladder.lanes):
        parts += _lane(_place(number), lane.title, lane.trunk and f"by {lane.trunk}", bottom)
    for row, arrow in enumerate(ladder.arrows):
        parts += _arrow(arrow, _TOP + _HEAD + _ROW * (row + 0.75), width)
    for number, lane in enumerate(ladder.lanes):
        parts.append(_text(24, bottom + _FOOT * (number + 1), _end(lane), "quiet"))
    return "\n".join([*parts, "</svg>\n"])


def _place(lane: int) -> float:
    """Of a lane, -1 being ours."""
    return _LEFT + _GAP * (0 if lane == 0 else 1 if lane < 0 else lane + 1)


def _lane(x: float, title: str, below: str, bottom: float) -> Iterator[str]:
    yield f'<line class="line" x1="{x}" x2="{x}" y1="{_TOP + _HEAD - 10}" y2="{bottom}"/>'
    yield f'<rect class="head" x="{x - 92}" y="{_TOP}" width="184" height="44" rx="5"/>'
    yield _text(x, _TOP + (19 if below else 27), title, "lane", "middle")
    if below:
        yield _text(x, _TOP + 36, below, "quiet", "middle")


def _arrow(arrow: Arrow, y: float, width: float) -> Iterator[str]:
    ours, theirs = _place(-1), _place(arrow.lane)
    start, end = (ours, theirs) if arrow.sent else (theirs, ours)
    back = _TIP if end > start else -_TIP
    yield f'<g class="{arrow.kind}{" again" if arrow.again else ""}">'
    if arrow.text:
        yield f"<title>{escape(arrow.text)}</title>"
    yield f'<line x1="{start}" x2="{end - back}" y1="{y}" y2="{y}"/>'
    yield f'<polygon stroke="none" points="{end},{y} {end - back},{y - 4.5} {end - back},{y + 4.5}"/></g>'
    middle = theirs - _GAP / 2 if arrow.lane else theirs + _GAP / 2
    label = f"{arrow.label} (again)" if arrow.again else arrow.label
    yield _text(middle, y - 6, label, "", "middle")
    yield _text(24, y + 4, f"{arrow.at_s:.3f} s", "time")
    if arrow.notes:
        yield _text(width - _RIGHT + 20, y + 4, arrow.notes, "quiet")


def _end(lane: Lane) -> str:
    left_out = f" · {lane.left_out} messages of the middle are not kept" if lane.left_out else ""
    return f"{lane.title}: {lane.end or 'is up'}{left_out}"


def _text(x: float, y: float, text: str, style: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">{escape(text)}</text>'
