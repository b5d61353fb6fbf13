"""Names in flows are held against the channels and the switch plan of the site."""

from pathlib import Path

import pytest

from voiceedge.channels.file import ChannelsFile
from voiceedge.edge.checks.flow_names import outside_of
from voiceedge.flow.book import FlowBook, check_paths
from voiceedge.switch.plan import Plan

HEAD = "flow: test\nlanguage: ko\nstart: one\nsettings: {place: support, other: nobody}\n"
SLOTS = "slots: {ticket: {means: 표, class: none}}\n"
ENDS = "  two: {hang_up: 끝}\n"
WHOLE = ChannelsFile.model_validate(
    {
        "channels": {
            "sms": {"kind": "sms", "url": "https://sms.example", "json": {"to": "{address}"}},
            "kakao": {"kind": "api"},
        }
    }
)
PLAN = Plan.model_validate(
    {"agents": {"kim": {"phone": "201", "queues": ["support"]}}, "queues": {"support": {}}, "mailboxes": {"m": {}}}
)


@pytest.fixture
def told(flows):
    def told(step, channels=WHOLE, plan=PLAN):
        path = flows.write(f"{HEAD}{SLOTS}steps:\n  one: {{{step}, next: two, failed: two}}\n{ENDS}")
        return [(one.severity, one.message) for one in check_paths([path], outside=outside_of(None, channels, plan))]

    return told


OVER = "reason: 문의, hand_over: "


@pytest.mark.parametrize(
    "step",
    [
        OVER + "web-chat", OVER + "kakao, send: sms", OVER + "sms",
        "dial: [kim, 02-312-3456]", "dial: '{call.caller}'", "queue: '{settings.place}'", "voicemail: m",
    ],
)  # fmt: skip
def test_what_there_is_can_be_named(told, step):
    assert told(step) == []


@pytest.mark.parametrize(
    ("step", "severity", "message"),
    [
        (OVER + "kakoa", "error", 'there is no channel "kakoa". Did you mean "kakao"?'),
        (OVER + "web-chat, send: smss", "error", 'no channel "smss" sends anything. Did you mean "sms"?'),
        ("dial: [02-312-3456, kin]", "error", 'there is no agent "kin". Did you mean "kim"?'),
        ("queue: suport", "warning", 'there is no queue "suport". Did you mean "support"?'),
        ("queue: '{settings.other}'", "warning", 'there is no queue "nobody".'),
        ("voicemail: office", "warning", 'there is no mailbox "office".'),
    ],
)
def test_what_there_is_not_is_told(told, step, severity, message):
    ((found, text),) = told(step)
    assert found == severity
    assert message in text


def test_what_the_site_has_none_of_at_all_stops_no_start(told):
    nothing = ChannelsFile(), Plan()
    assert [severity for severity, _ in told(OVER + "web-chat, send: sms", *nothing)] == ["warning"]
    assert [severity for severity, _ in told("dial: kim", *nothing)] == ["warning"]
    FlowBook(Path("ivr_flows"), outside=outside_of({}, *nothing))


def test_a_setting_of_the_site_is_the_name_that_counts(flows):
    flows.write(f"{HEAD}steps:\n  one: {{queue: '{{settings.place}}', next: two, failed: two}}\n{ENDS}")
    there = outside_of(None, WHOLE, PLAN)
    assert FlowBook(flows.directory, {}, there).get("test").warnings == ()
    assert FlowBook(flows.directory, {"place": "nowhere"}, there).get("test").warnings


def test_a_field_that_a_ticket_has_not_is_told_without_any_file(flows):
    flow = (
        f"{HEAD}{SLOTS}steps:\n  one: {{{OVER}web-chat, into: ticket, next: say, failed: two}}\n"
        "  say: {say: '{ticket.pn:digits}', next: two}\n"
    )
    assert 'Did you mean "pin"?' in flows.errors(flow + ENDS)[0]
    assert flows.errors(flow.replace("ticket.pn", "ticket.pin") + ENDS) == []
