"""The data under hardware/: all of it valid, and its mistakes told like those of the configuration."""

from pathlib import Path

import pytest

from voiceedge.appliance.profile import load_profile, load_trunk
from voiceedge.errors import ConfigError

HARDWARE = Path(__file__).parents[2] / "hardware"


def is_profile(path: Path) -> bool:
    return "[machine]" in path.read_text(encoding="utf-8")


PROFILES = [path for path in sorted(HARDWARE.glob("*.toml")) if is_profile(path)]
TRUNKS = [path for path in sorted(HARDWARE.glob("*.toml")) if not is_profile(path)]


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_a_profile_is_valid_and_knows_its_trunks(path):
    profile = load_profile(path)
    assert profile.name == path.stem
    assert set(profile.trunks) <= {trunk.stem for trunk in TRUNKS}


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_a_profile_has_ports_for_its_calls(path):
    load = load_profile(path).load
    first, last = load.rtp_ports
    assert (last - first + 1) // 2 >= 2 * load.calls  # a transferred call has two legs


@pytest.mark.parametrize("path", TRUNKS, ids=lambda path: path.stem)
def test_a_trunk_is_valid_and_tells_the_other_side_what_to_set(path):
    trunk = load_trunk(path)
    assert trunk.name == path.stem
    assert trunk.set_there
    assert (trunk.analogue is not None) == (trunk.kind == "gateway")


def test_an_unknown_key_is_named_with_its_line(tmp_path):
    path = tmp_path / "box.toml"
    text = PROFILES[0].read_text(encoding="utf-8")
    path.write_text(text.replace("cores = ", "corse = "), encoding="utf-8")
    line = next(number for number, line in enumerate(path.read_text().splitlines(), 1) if line.startswith("corse"))
    with pytest.raises(ConfigError) as caught:
        load_profile(path)
    assert f"{path}:{line}: machine.corse: unknown key; did you mean cores?" in str(caught.value)
    assert "machine.cores: is missing" in str(caught.value)


def test_a_trunk_is_not_taken_for_a_profile():
    with pytest.raises(ConfigError, match="machine: is missing"):
        load_profile(TRUNKS[0])
