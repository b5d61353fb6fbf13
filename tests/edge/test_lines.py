"""Whom a flow, a key or a REFER means, and by whose name a call out is counted."""

from pathlib import Path

import pytest

from voiceedge.clock import VirtualClock
from voiceedge.config import Config
from voiceedge.edge.call.lines import Candidate, Lines
from voiceedge.switch.guard import Reason, Refusal
from voiceedge.switch.plan import Plan

PLAN = Plan.model_validate(
    {
        "trunks": {"carrier": {"host": "192.0.2.1", "own_numbers": ["0215881234"]}},
        "agents": {
            "kim": {"phone": "1001"},
            "lee": {"phone": "lee-desk"},
            "away": {"phone": "sip:900@192.0.2.7"},
        },
    }
)


@pytest.fixture
def lines(tmp_path: Path) -> Lines:
    site = {"data_dir": tmp_path, "run_dir": tmp_path}
    sip = {"transfer_targets": ["sip:desk@192.0.2.9"]}
    config = Config.model_validate({"site": site, "sip": sip, "front": {"realm": "Voice.Example"}})
    return Lines(config, PLAN, voice=None, caps=None, clock=VirtualClock(), group=None, phones=None)


@pytest.mark.parametrize(
    "target", ["01012345678", "tel:01012345678", "sip:01012345678@voice.example", "sips:+821012345678@VOICE.example"]
)
@pytest.mark.parametrize("caller", ["1001", "kim"])
def test_a_number_counts_for_whoever_asks_for_it_however_it_is_written(lines: Lines, target: str, caller: str) -> None:
    found = lines.find(target, caller=caller)
    assert isinstance(found, Candidate)
    assert [way.out and way.out.caller for way in found.ways] == ["1001"]
    looped = lines.find(target, caller=caller, hops=1)
    assert isinstance(looped, Refusal)
    assert looped.reason is Reason.LOOP


@pytest.mark.parametrize(("number", "shown"), [("0101234", "0101234"), ("", None), ('"x" <sip:y@z>', None)])
def test_an_agents_phone_shows_who_calls_and_a_trunk_a_number_of_ours(
    lines: Lines, number: str, shown: str | None
) -> None:
    agent, outside = lines.find("kim"), lines.find("01012345678")
    assert isinstance(agent, Candidate)
    assert isinstance(outside, Candidate)
    assert [way.caller_id for way in agent.showing(number).ways] == [shown]
    assert outside.showing(number) == outside


def test_a_colleague_is_seen_by_the_extension(lines: Lines) -> None:
    assert [lines.extension(name) for name in ("kim", "away", "nobody")] == ["1001", "900", ""]


@pytest.mark.parametrize(
    ("target", "agent"),
    [
        ("kim", "kim"),
        ("1001", "kim"),
        ("sip:1001@voice.example", "kim"),
        ("lee-desk", "lee"),
        ("sip:lee-desk@Voice.Example", "lee"),
        ("sip:900@192.0.2.7", "away"),
    ],
)
def test_agents_are_found_by_name_phone_and_address(lines: Lines, target: str, agent: str) -> None:
    found = lines.find(target)
    assert isinstance(found, Candidate)
    assert found.agent == agent


@pytest.mark.parametrize("target", ["nobody", "sip:nobody@voice.example", "sip:voice.example", "tel:", ""])
def test_who_is_not_there_is_not_found(lines: Lines, target: str) -> None:
    assert lines.find(target) is None


def test_addresses_elsewhere_are_called_only_where_the_configuration_names_them(lines: Lines) -> None:
    assert isinstance(lines.find("sip:desk@192.0.2.9"), Candidate)
    for target in ("sip:1001@192.0.2.9", "sip:01012345678@192.0.2.1", "sip:x@voice.example.192.0.2.9"):
        found = lines.find(target)
        assert isinstance(found, Refusal)
        assert found.reason is Reason.TARGET
