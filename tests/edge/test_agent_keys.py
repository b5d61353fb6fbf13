"""The keys by which an agent passes a caller on."""

import pytest

from voiceedge.edge.call.agent_keys import AgentKeys, BackToCaller, Consult, SendOn, TalkAll


def commands(keys):
    pressed = AgentKeys()
    return [command for key in keys if (command := pressed.press(key))]


@pytest.mark.parametrize(("keys", "expected"), [
    ("*1102#", [SendOn("102")]),
    ("*20212345678#", [Consult("0212345678")]),
    ("*3", [TalkAll()]),
    ("*4", [BackToCaller()]),
    ("*2102#*3*4", [Consult("102"), TalkAll(), BackToCaller()]),
    ("5*3", [TalkAll()]),
    ("**3", [TalkAll()]),
    ("*1*1102#", [SendOn("102")]),
    ("*110*2102#", [Consult("102")]),
])  # fmt: skip
def test_a_command_is_complete_with_its_last_key(keys, expected):
    assert commands(keys) == expected


@pytest.mark.parametrize("keys", ["1102#", "*1#", "*5", "*0", "*9102#", "#*", "*1A02#", "*1" + "1" * 21 + "#", "*"])
def test_what_makes_no_sense_is_nothing(keys):
    assert commands(keys) == []


def test_a_command_that_is_begun_keeps_its_keys_from_others_until_it_is_forgotten():
    keys = AgentKeys()
    assert not keys.pending
    for key in "*110":
        keys.press(key)
        assert keys.pending
    keys.forget()
    assert not keys.pending
    assert keys.press("#") is None
