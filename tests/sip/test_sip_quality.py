"""The opinion that loss and delay let one expect, against the E-model's own table (ITU-T G.107, Annex B; G.113)."""

import pytest

from voiceedge.sip.quality import Quality, mouth_to_ear_ms, opinion


@pytest.mark.parametrize(
    ("loss", "one_way_ms", "least", "most"),
    [
        (0.0, 20, 4.35, 4.5),  # "very satisfied": R of 90 and more
        (0.01, 100, 4.2, 4.36),
        (0.03, 150, 4.05, 4.2),  # "satisfied": R of 83
        (0.05, 150, 3.85, 4.0),
        (0.0, 400, 3.4, 3.7),  # delay alone: R of 69
        (0.2, 300, 1.5, 2.2),
        (1.0, 0, 1.0, 1.3),
    ],
)
def test_loss_and_delay_cost_what_the_standard_says(loss: float, one_way_ms: float, least: float, most: float) -> None:
    assert least <= opinion(loss, one_way_ms) <= most


def test_more_loss_is_never_better() -> None:
    scores = [opinion(percent / 100, 50) for percent in range(101)]
    assert scores == sorted(scores, reverse=True)


def test_shares_of_loss_are_of_what_was_due() -> None:
    quality = Quality("PCMU", 90, 100, 10, 5, 1.0, 1.0, 20.0, 40.0, 4.0)
    assert (quality.loss_in, quality.loss_out) == (0.1, 0.05)
    assert mouth_to_ear_ms(20.0, 40.0) == 90.0
    nothing = Quality("PCMU", 0, 0, 0, None, 0.0, None, None, 0.0, 4.0)
    assert (nothing.loss_in, nothing.loss_out) == (0.0, None)
