"""How keys become answers."""

import pytest

from voiceedge.edge.call.keys import KeyCollector
from voiceedge.flow.call import KeyRule

MENU = KeyRule(single=frozenset("120"))
NUMBER = KeyRule(shortest=5, longest=8, end="#")
NUMBER_OR_AGENT = KeyRule(single=frozenset("0*"), shortest=5, longest=8, end="#")


def press(rule, keys):
    """The answer and how many keys it took; None when more are awaited."""
    collector = KeyCollector(rule)
    for count, key in enumerate(keys, 1):
        if (answer := collector.add(key)) is not None:
            return answer, count
    return None


@pytest.mark.parametrize(
    ("rule", "keys", "answer"),
    [
        (MENU, "1", ("1", 1)),
        (MENU, "7", ("7", 1)),  # no such choice, but an answer: the engine says so
        (NUMBER, "12345", None),  # up to eight may come
        (NUMBER, "12345#", ("12345", 6)),
        (NUMBER, "12345678", ("12345678", 8)),
        (NUMBER, "#", ("#", 1)),  # an end without a beginning
        (NUMBER, "12*", ("12*", 3)),
        (NUMBER_OR_AGENT, "*", ("*", 1)),
        (NUMBER_OR_AGENT, "0", None),  # the agent, or an order number that begins with 0
        (NUMBER_OR_AGENT, "01234#", ("01234", 6)),
    ],
)
def test_keys_become_an_answer_as_the_rule_says(rule, keys, answer):
    assert press(rule, keys) == answer
