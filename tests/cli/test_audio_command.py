"""`voiceedge audio` as a command: tables, JSON, a picture, test signals, and what it says when a file is wrong."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from voiceedge.cli import app


def run(*arguments):
    return CliRunner().invoke(app, ["audio", *map(str, arguments)])


@pytest.fixture(name="keys")
def _keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys.wav"
    assert run("signal", "keys", path).exit_code == 0
    return path


def test_a_recording_is_told_as_tables(keys: Path) -> None:
    result = run("inspect", keys)
    assert result.exit_code == 0
    for part in ("4.2 s, 8000 Hz", "no voice", "0:00.50", "80 ms", "twist"):
        assert part in result.stdout
    assert "tones" not in result.stdout  # there are none


def test_a_recording_is_told_as_json_and_drawn(keys: Path, tmp_path: Path) -> None:
    result = run("inspect", keys, "--json", "--picture", tmp_path / "keys.svg")
    found = json.loads(result.stdout)
    assert (found["file"], found["rate"], found["plan"]) == (str(keys), 8000, "kr")
    (side,) = found["sides"]
    assert "".join(key["key"] for key in side["keys"]) == "123A456B789C*0#D"
    assert side["loudness"]["clipped"] == 0
    assert (tmp_path / "keys.svg").read_text(encoding="utf-8").startswith("<svg ")


def test_tones_are_those_of_the_plan(tmp_path: Path) -> None:
    path = tmp_path / "tones.wav"
    assert run("signal", "tones", path, "--plan", "itu").exit_code == 0
    kinds = [
        tone["kind"] for tone in json.loads(run("inspect", path, "--plan", "itu", "--json").stdout)["sides"][0]["tones"]
    ]
    assert kinds[:4] == ["dial", "ringback", "busy", "congestion"]


def test_a_wrong_file_or_plan_is_named_with_what_to_do(keys: Path, tmp_path: Path) -> None:
    result = run("inspect", "README.md")
    assert result.exit_code == 1
    assert "README.md: not a WAV file" in result.stderr
    assert run("inspect", tmp_path / "none.wav").exit_code == 2
    result = run("inspect", keys, "--plan", "atlantis")
    assert result.exit_code == 1
    assert "only cn, de" in result.stderr
    result = run("inspect", keys, "--picture", tmp_path / "no" / "where.svg")
    assert result.exit_code == 1
    assert "where.svg" in result.stderr
    assert run("signal", "keys", tmp_path / "no" / "where.wav").exit_code == 1
