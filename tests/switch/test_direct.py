"""Destinations that are no flow: each becomes one that the flow checker has nothing against."""

import pytest

from voiceedge.errors import FlowError
from voiceedge.flow.steps import DialStep, HangUp, QueueStep, VoicemailStep
from voiceedge.switch.direct import direct
from voiceedge.switch.routing import Destination


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize(
    ("kind", "name", "step"),
    [
        ("agent", "kim", DialStep), ("number", "+12125551234", DialStep), ("number", "02-777-8888", DialStep),
        ("queue", "support", QueueStep), ("voicemail", "office", VoicemailStep),
    ],
)  # fmt: skip
def test_a_destination_is_a_flow_of_its_own(kind, name, step, language):
    flow = direct(Destination(kind, name, "route 1"), language)
    assert (flow.name, flow.header.language, flow.warnings) == (f"to_{kind}", language, ())
    assert isinstance(flow.steps["begin"], step)
    assert all(isinstance(other, HangUp) for name, other in flow.steps.items() if name != "begin")


def test_a_name_cannot_become_more_of_the_flow():
    with pytest.raises(FlowError):
        direct(Destination("agent", 'x", next: over}\n  evil: {hang_up: ', "route 1"), "ko")
