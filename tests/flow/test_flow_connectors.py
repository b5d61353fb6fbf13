"""Flows that look up by a connector of the site: what they give it, where they go on, who may read what it found."""

import json
import re
from pathlib import Path

import httpx
import pytest
from answering import http, server
from talks import Service

from voiceedge.clock import RealClock
from voiceedge.connectors.answers import Failed, Found, NotFound
from voiceedge.connectors.profile import ConnectorsFile
from voiceedge.connectors.service import Connectors
from voiceedge.context.privacy.pii import PersonalDataClass
from voiceedge.flow.book import check_paths
from voiceedge.flow.look_up import Query, SiteLookUps
from voiceedge.flow.outside import Outside
from voiceedge.toml_file import read_toml

CRM = """
[connectors.crm]
kind = "http"
url = "http://127.0.0.1:9/{phone}"
numbers = ["phone"]
found.name = "customer.name"
found.grade = {from = "customer.grade", class = "none"}
found.resident = {from = "customer.resident", class = "sensitive"}
found.card = {from = "customer.card", class = "card"}
"""
HEAD = "flow: test\nlanguage: ko\nstart: who\non_error: trouble\n"
SLOTS = "slots: {customer: {means: 고객, class: none}, greeting: {means: 인사, class: none}}\n"
WHO = (
    "  who: {look_up: crm, with: {phone: '{call.caller}'}, into: customer, found: hello, not_found: none,\n"
    "    error: down}\n"
)
ENDS = "  none: {hang_up: 없음}\n  down: {hang_up: 고장}\n  trouble: {hang_up: 문제}\n  end: {hang_up: 끝}\n"
HELLO = "  hello: {say: '{customer.name}님, {customer.grade} 고객이시군요.', next: end}\n"
FLOW = f"{HEAD}{SLOTS}steps:\n{WHO}{HELLO}{ENDS}"

CUSTOMER = {"name": "김하나", "grade": "vip", "resident": "880101-1234567", "card": "4111111111111111"}
CLASSES = {
    "name": PersonalDataClass.PERSONAL,
    "grade": PersonalDataClass.NONE,
    "resident": PersonalDataClass.SENSITIVE,
    "card": PersonalDataClass.CARD,
}
FOUND = Found(CUSTOMER, CLASSES)


@pytest.fixture
def connectors(tmp_path: Path):
    def connectors(text=CRM):
        file = tmp_path / "connectors.toml"
        file.write_text(text, encoding="utf-8")
        return Connectors.load(file, RealClock())

    return connectors


def written(talk) -> str:
    """All that a log, an event or the conversation's record gets."""
    return json.dumps([event.model_dump(mode="json") for event in talk.events], ensure_ascii=False)


async def test_a_flow_greets_a_caller_whom_the_crm_knows(flows, connectors):
    flows.write(FLOW)
    async with server(http(json.dumps({"customer": CUSTOMER}).encode())) as (url, requests):
        made = connectors(CRM.replace("http://127.0.0.1:9", url))
        async with httpx.AsyncClient() as client, made:
            talk = await flows.talk(look_ups=SiteLookUps(client, RealClock(), made))
    assert requests[0].startswith(b"GET /01012345678 ")
    assert talk.said == ["김하나님, vip 고객이시군요.", "끝"]
    assert talk.outcome.slots["customer"].value["resident"] == "880101-1234567"


@pytest.mark.parametrize(("answer", "said"), [
    (FOUND, "끝"), (NotFound(), "없음"), (NotFound(many=True), "없음"), (Failed("x"), "고장"),
])  # fmt: skip
async def test_it_has_exits_for_found_not_found_and_error(flows, answer, said):
    flows.write(FLOW)
    service = Service(answer)
    assert (await flows.talk(look_ups=service)).said[-1] == said
    assert service.requests == [Query("crm", {"phone": "01012345678"})]


async def test_what_was_found_is_written_down_no_more_openly_than_the_connector_says(flows):
    flows.write(FLOW)
    talk = await flows.talk(look_ups=Service(FOUND))
    assert [step.says for step in talk.steps() if step.kind == "say"] == ["***님, vip 고객이시군요."]
    assert "김하나" not in written(talk)
    assert talk.conversation["slots"]["customer"].personal_data is PersonalDataClass.CARD  # of all that is in it
    assert talk.outcome.slots["customer"].class_ is PersonalDataClass.CARD


async def test_nor_is_it_where_the_slot_is_the_stricter_one(flows):
    flows.write(FLOW.replace("고객, class: none", "고객, class: sensitive"))
    talk = await flows.talk(look_ups=Service(FOUND))
    assert [step.says for step in talk.steps() if step.kind == "say"] == ["***님, *** 고객이시군요."]


@pytest.mark.parametrize(("value", "says"), [
    ("{customer.name}님", "***"),
    ("= customer.name + '님'", "***"),
    ('= customer["name"]', "***"),
    ("= customer.name == '김하나' ? '김하나' : customer.grade", "***"),
    ("= customer.grade", "vip"),
    ("{customer.grade}", "vip"),
    ("김하나", "김하나"),  # of the flow's own
])  # fmt: skip
async def test_nor_where_the_flow_moves_it_to_another_slot(flows, value, says):
    hello = f"  hello: {{set: {{greeting: {json.dumps(value, ensure_ascii=False)}}}, next: say}}\n"
    flows.write(f"{HEAD}{SLOTS}steps:\n{WHO}{hello}  say: {{say: '{{greeting}}', next: end}}\n{ENDS}")
    talk = await flows.talk(look_ups=Service(FOUND))
    assert talk.said[0] in {"김하나", "김하나님", "vip"}
    assert [step.says for step in talk.steps() if step.kind == "say"] == [says]


async def test_nor_in_a_sub_flow_nor_when_it_comes_back_from_there(flows):
    hello = (
        "  hello: {run: inner, with: {given: '= customer.name'}, into: {greeting: made}, on: {done: say}}\n"
        "  say: {say: '{greeting}', next: end}\n"
    )
    flows.write(f"{HEAD}{SLOTS}steps:\n{WHO}{hello}{ENDS}")
    slots = "slots: {given: {means: 받은 것, class: none}, made: {means: 만든 것, class: none}}\n"
    steps = "  a: {say: '{given}', next: b}\n  b: {set: {made: '{given}님'}, next: c}\n  c: {return: done}\n"
    flows.write(f"flow: inner\nlanguage: ko\nstart: a\n{slots}steps:\n{steps}", "inner")
    talk = await flows.talk(look_ups=Service(FOUND))
    assert talk.said == ["김하나", "김하나님", "끝"]
    assert [step.says for step in talk.steps() if step.kind == "say"] == ["***", "***"]
    assert "김하나" not in written(talk)


async def test_a_slot_that_is_filled_again_is_of_its_own_class_again(flows):
    hello = "  hello: {set: {customer: 아무나}, next: say}\n  say: {say: '{customer}', next: end}\n"
    flows.write(f"{HEAD}{SLOTS}steps:\n{WHO}{hello}{ENDS}")
    talk = await flows.talk(look_ups=Service(FOUND))
    assert [step.says for step in talk.steps() if step.kind == "say"] == ["아무나"]


@pytest.mark.parametrize(("text", "pauses"), [("{customer.card}", 1), ("{customer.grade}", 0)])
async def test_a_found_card_number_is_in_no_recording(flows, text, pauses):
    hello = f"  hello: {{record: start, next: say}}\n  say: {{say: '{text}', next: end}}\n"
    flows.write(f"{HEAD}{SLOTS}steps:\n{WHO}{hello}{ENDS}")
    talk = await flows.talk(look_ups=Service(FOUND))
    assert talk.notes.count("recording: pause") == pauses


@pytest.mark.parametrize(("change", "place", "message"), [
    (("look_up: crm", "look_up: crn"), "7:18", 'there is no connector "crn". Did you mean "crm"?'),
    (("look_up: crm", "look_up: erp"), "7:18", "[connectors] file"),
    (("with: {phone: '{call.caller}'}, ", ""), "7:18", '"crm" needs "phone". Give it as with: {phone: …}'),
    (("with: {phone:", "with: {fone:"), "7:30", '"crm" takes no "fone". Did you mean "phone"?'),
    (("into:", "timeout_s: 3, into:"), "7:55", '"timeout_s" is for an address'),
    (("into:", "send: {a: b}, into:"), "7:55", '"send" is for an address'),
    (("look_up: crm", "look_up: 'http://x/'"), "7:31", '"with" is for a connector'),
    (("look_up: crm", "look_up: localhost/crm"), "7:18", "write the name of a connector, or an address"),
    (("{call.caller}", "{call.coller}"), "7:37", 'there is no "call.coller"'),
    (("customer.name", "customer.nam"), "9:16", 'no connector finds "nam" for "customer". Did you mean "name"?'),
])  # fmt: skip
def test_a_mistake_is_told_where_it_is(flows, connectors, change, place, message):
    problems = check_paths([flows.write(FLOW.replace(*change, 1))], outside=Outside(connectors().profiles))
    told = [str(problem) for problem in problems]
    assert any(f":{place}: " in line and message in line for line in told), told


def test_a_right_flow_is_right_with_the_file_and_without(flows, connectors):
    path = flows.write(FLOW)
    assert not check_paths([path], outside=Outside(connectors().profiles))
    assert not check_paths([path])
    assert check_paths([path], outside=Outside({}))


def test_what_a_flow_makes_of_a_slot_itself_is_not_held_against_the_connector(flows, connectors):
    hello = "  hello: {set: {customer: 아무나}, next: say}\n  say: {say: '{customer.anything}', next: end}\n"
    path = flows.write(f"{HEAD}{SLOTS}steps:\n{WHO}{hello}{ENDS}")
    assert not check_paths([path], outside=Outside(connectors().profiles))


def test_the_flow_and_the_files_of_the_documentation_go_together(flows, tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "connectors.md").read_text(encoding="utf-8")
    file = tmp_path / "connectors.toml"
    file.write_text("".join(re.findall(r"```toml\n(\[connectors\.\w+\].*?)```", text, re.DOTALL)), encoding="utf-8")
    profiles = read_toml(ConnectorsFile, file).connectors
    assert [profile.kind for profile in profiles.values()] == ["http", "sql", "csv"]
    flow = re.search(r"```yaml\n(flow: .*?)```", text, re.DOTALL)[1]
    assert not check_paths([flows.write(flow)], outside=Outside(profiles))
