"""What is wrong with a plan beyond its form."""

import pytest
from plans import plan

from voiceedge.errors import ConfigError
from voiceedge.switch.checks import check_plan, refuse_broken
from voiceedge.switch.plan import Plan

TRUNK = {"host": "192.0.2.1", "own_numbers": ["02-1234-5678"]}


def told(**tables):
    return [str(problem) for problem in check_plan(Plan.model_validate(tables), ["retail"])]


def test_a_sound_plan_has_only_what_one_should_know():
    assert [str(problem) for problem in check_plan(plan(), ["vip"])] == [
        'warning: guard.allowed: "1*" does not open 112, 119: emergency numbers are named one by one',
        "warning: guard.allowed: agents' phones cannot call 112; name those that they must reach",
    ]


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ({"routes": [{"flow": "retial"}]}, 'route 1: there is no flow "retial". Did you mean "retail"?'),
        (
            {"routes": [{"trunk": "carier", "flow": "retail"}], "trunks": {"carrier": TRUNK}},
            'route 1: there is no trunk "carier". Did you mean "carrier"?',
        ),
        (
            {"routes": [{"number": "+1 212 555 1234"}], "trunks": {"carrier": TRUNK}},
            "route 1: its number is never dialled: no prefix of guard.international covers it",
        ),
        (
            {"routes": [{"number": "02-1234-5678"}], "trunks": {"carrier": TRUNK}},
            "route 1: its number is never dialled: the number leads back to this switch",
        ),
        (
            {"routes": [{"flow": "retail"}, {"called": "1588*", "flow": "retail"}]},
            "warning: route 2: route 1 takes every call that it could take; put it before that one",
        ),
        ({"guard": {"international": ["81"]}}, 'guard.international: "81" is no E.164 prefix; write one such as "+81"'),
        (
            {"trunks": {"a": {"addresses": ["192.0.2.1"]}, "b": {"addresses": ["192.0.2.1"]}}},
            "trunks: 192.0.2.1/32 is in addresses of several; by which one a call came is then chance",
        ),
        (
            {"trunks": {"a": {"host": "192.0.2.1"}}},
            "warning: trunks.a: calls out show no number of ours: give own_numbers, or carriers may refuse them",
        ),
        (
            {"agents": {"kim": {"phone": "201"}, "lee": {"phone": "201"}}},
            "agents.kim: phone: another agent has the same",
        ),
        (
            {"agents": {"kim": {"phone": "201"}}, "queues": {"kim": {}}},
            "warning: agents.kim: a queue or mailbox has this name too; a phone that dials it reaches the agent",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place_and_remedy(tables, expected):
    assert expected in told(**tables)


def test_a_queue_that_nobody_could_ever_serve_is_told():
    agents = {"kim": {"phone": "201", "queues": ["help"], "skills": {"en": 1}}}
    relaxed = [{"after_s": 60, "skills": {"en": 1}}]
    hard, soft = {"skills": {"en": 3}}, {"skills": {"en": 3}, "relax": relaxed}
    assert told(agents=agents, queues={"help": hard, "care": {}}) == [
        "warning: queues.help: none of its agents can do what it asks for in the end (en 3); relax it",
        "warning: queues.care: no agent serves it; name it in an agent's queues",
    ]
    assert told(agents=agents, queues={"help": soft}) == []


def test_errors_stop_the_start_and_warnings_do_not():
    refuse_broken(plan(), ["vip"], "switch.toml")
    with pytest.raises(ConfigError, match=r'switch\.toml: route 4: there is no flow "vip"'):
        refuse_broken(plan(), ["retail"], "switch.toml")
