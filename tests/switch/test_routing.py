"""The dial plan: which route takes a call, and why the others do not."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plans import plan

from voiceedge.clock import VirtualClock
from voiceedge.config import Flows
from voiceedge.switch.plan import Plan
from voiceedge.switch.routing import KINDS, Incoming, Router

MONDAY, SUNDAY = "2026-11-23 10:00", "2026-11-22 10:00"
FLOWS = Flows(default="retail", routes={"1588-9999": "sale"})


def router(at=MONDAY, of=None):
    clock = VirtualClock(datetime.fromisoformat(at).replace(tzinfo=ZoneInfo("Asia/Seoul")))
    return Router(of or plan(), FLOWS, clock)


def where(call, at=MONDAY):
    found = router(at).route(call)
    return found.kind, found.name, found.by


@pytest.mark.parametrize("called", ["15881234", "1588-1234", "0215881234", "+82215881234"])
def test_a_number_is_the_same_however_the_carrier_writes_it(called):
    assert where(Incoming(called, "01012345678", "carrier")) == ("queue", "support", "route 1")


def test_out_of_hours_the_next_route_takes_it_and_the_explanation_says_when_it_opens():
    found = router(SUNDAY).route(Incoming("15881234", "01012345678", "carrier"))
    assert (found.kind, found.name) == ("voicemail", "office")
    assert found.passed == ('route 1: hours "office" are closed until 2026-11-23 09:00',)


@pytest.mark.parametrize("caller", ["", "anonymous", "Anonymous", "restricted"])
def test_a_caller_without_a_number_is_anonymous_in_every_carriers_words(caller):
    assert where(Incoming("0299990000", caller)) == ("reject", "433", "route 3")


@pytest.mark.parametrize("caller", ["01012345678", "+821012345678", "821012345678"])
def test_routes_choose_by_caller(caller):
    assert where(Incoming("0212345678", caller)) == ("flow", "vip", "route 4")
    assert where(Incoming("0212345678", "0311234567")) == ("agent", "kim", "route 6")


def test_routes_choose_by_trunk_and_every_other_says_why_not():
    found = router().route(Incoming("7000", "0311234567", "pbx"))
    assert (found.kind, found.name, found.by) == ("number", "02-777-8888", "route 5")
    assert found.passed == (
        'route 1: called is not "1588-1234"', 'route 2: called is not "1588-1234"',
        'route 3: caller is not "anonymous"', 'route 4: called is not "02-1234-56*"',
    )  # fmt: skip


def test_what_no_route_takes_goes_where_the_configuration_says():
    assert where(Incoming("15889999", "0311234567", "carrier")) == ("flow", "sale", "flows.routes")
    assert where(Incoming("0700000000", "0311234567", "carrier")) == ("flow", "retail", "flows.default")
    assert Router(Plan(), FLOWS, VirtualClock()).route(Incoming("1")).by == "flows.default"


def test_an_explanation_holds_no_number_of_the_call():
    call = Incoming("01099998888", "01077776666", "carrier")
    found = router().route(call)
    assert not any(number in f"{found.by} {found.passed}" for number in (call.called, call.caller))


@pytest.mark.parametrize(
    ("called", "expected"),
    [
        ("201", ("agent", "kim", "agent of the plan")),
        ("kim", ("agent", "kim", "agent of the plan")),
        ("support", ("queue", "support", "queue of the plan")),
        ("office", ("voicemail", "office", "voicemail of the plan")),
        ("1588-1234", ("queue", "support", "route 1")),
        ("010-9999-8888", ("number", "01099998888", "dialled by an agent")),
        ("nobody", ("reject", "404", "neither a name of the plan nor a number")),
    ],
)
def test_an_agents_phone_reaches_colleagues_queues_our_own_numbers_and_the_world(called, expected):
    assert where(Incoming(called, "kim", agent="kim")) == expected


def test_routes_for_any_number_are_not_for_agents_phones():
    open_to_all = Plan.model_validate({"agents": {"kim": {"phone": "201"}}, "routes": [{"flow": "retail"}]})
    found = router(of=open_to_all).route(Incoming("01099998888", "kim", agent="kim"))
    assert (found.kind, found.name) == ("number", "01099998888")


def test_nobody_outside_reaches_an_agent_by_the_name_or_extension():
    assert where(Incoming("kim", "0311234567", "carrier"))[0] == "flow"
    assert where(Incoming("201", "0311234567", "carrier"))[0] == "flow"


def test_a_call_of_ours_that_comes_back_does_not_go_out_again():
    found = router().route(Incoming("7000", "0212345678", "pbx"))
    assert (found.kind, found.code) == ("reject", 482)


@given(st.text(max_size=200), st.text(max_size=200), st.sampled_from(["", "kim"]))
def test_whatever_is_dialled_leads_somewhere(called, caller, agent):
    assert ROUTER.route(Incoming(called, caller, "carrier", agent)).kind in KINDS


ROUTER = router()
