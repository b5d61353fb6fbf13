"""Slots and intents are called at the desk as their flows tell people."""

from pathlib import Path
from types import SimpleNamespace

from voiceedge.flow.book import FlowBook
from voiceedge.web.desk.naming import titles

FLOW = """
flow: {name}
language: ko
start: wish
slots:
  order: {{means: {order}, class: none}}
steps:
  wish:
    ask: 무엇을 도와드릴까요?
    choices:
      send: {{say: [배송 조회, 배송], intent: delivery, next: bye}}
      back: {{name: 반품하기, say: [반품], intent: return, next: bye}}
      other: {{key: 9, intent: other, next: bye}}
    otherwise: bye
  bye: {{hang_up: 감사합니다.}}
"""


def test_the_flow_that_was_last_walked_names_slots_and_intents(tmp_path: Path) -> None:
    for name, order in (("shop", "주문 번호"), ("sub", "교환 번호"), ("foreign", "남의 번호")):
        (tmp_path / f"{name}.yaml").write_text(FLOW.format(name=name, order=order), encoding="utf-8")
    flows = FlowBook(tmp_path).flows
    walked = SimpleNamespace(journey=[SimpleNamespace(flow=name) for name in ("shop", "sub", "gone")])
    found = titles(flows, walked)
    assert found.slots == {"order": "교환 번호"}
    assert found.intents == {"delivery": "배송 조회", "return": "반품하기"}
    assert titles(flows, SimpleNamespace(journey=[])).slots == {}
