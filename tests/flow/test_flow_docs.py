"""The page for designers is complete, and its flow works."""

import re
from pathlib import Path

import pytest

from voiceedge.flow.model import Header, Slot, Words
from voiceedge.flow.steps import STEPS, Choice, Digits
from voiceedge.flow.template import FORMATS

PAGE = Path("docs/flows.md").read_text(encoding="utf-8")
KEYS = {
    info.alias or name
    for model in (Header, Slot, Words, Choice, Digits, *STEPS.values())
    for name, info in model.model_fields.items()
}


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_key_is_described(key):
    assert re.search(rf"`{key}`|\b{key}:|### {key}\b", PAGE), key


def test_every_format_is_described():
    assert all(f":{format_}}}" in PAGE for format_ in FORMATS if format_ != "plain")


async def test_the_whole_flow_of_the_page_is_right_and_runs(flows):
    example = re.search(r"## A whole flow\n\n```yaml\n(.*?)```", PAGE, re.DOTALL)[1]
    assert flows.problems(example) == []
    talk = await flows.talk("영업 시간", flow="opening_hours")
    assert talk.said[-2:] == ["평일 오전 아홉 시부터 오후 여섯 시까지 운영합니다.", "이용해 주셔서 감사합니다."]


@pytest.mark.parametrize("step", re.findall(r"^### \w+\n.*?```yaml\n(  \w+:\n.*?)```", PAGE, re.MULTILINE | re.DOTALL))
def test_every_step_of_the_page_has_known_keys_and_right_types(flows, step):
    head = "flow: test\nlanguage: ko\nstart: a\nsteps:\n"
    cross = (
        "no step",
        "no slot",
        "no setting",
        '"settings.',
        "no flow",
        "trapped",
        "compare",
        "leads to",
        "leads nowhere",
    )
    errors = [error for error in flows.errors(head + step) if not any(part in error for part in cross)]
    assert errors == []
