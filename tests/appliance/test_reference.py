"""The configuration's handbook and sample file, which are made from its models."""

from pathlib import Path

from voiceedge.appliance import reference
from voiceedge.config import Config
from voiceedge.toml_file import read_toml

ROOT = Path(__file__).parents[2]
REMEDY = "run scripts/docs"


def test_the_handbook_is_in_step_with_the_code():
    assert (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8") == reference.handbook(), REMEDY


def test_the_sample_is_in_step_with_the_code():
    assert (ROOT / "systemd" / "voiceedge.toml").read_text(encoding="utf-8") == reference.sample(), REMEDY


def test_the_sample_sets_only_where_the_service_keeps_things():
    config = read_toml(Config, ROOT / "systemd" / "voiceedge.toml")
    assert config.site.data_dir == Path("/var/lib/voiceedge")
    assert config.sip == Config().sip


def test_every_example_in_the_sample_may_be_uncommented(tmp_path):
    lines = reference.sample().splitlines()
    text = "\n".join(line.removeprefix("# ") if " = " in line else line for line in lines)
    path = tmp_path / "all.toml"
    path.write_text(text, encoding="utf-8")
    config = read_toml(Config, path)
    assert config.mqtt.url is not None
    assert config.flows.routes


def test_every_key_of_the_configuration_is_in_the_handbook():
    handbook = reference.handbook()
    for section, field in Config.model_fields.items():
        for key in field.annotation.model_fields:
            assert f"| `{key}` |" in handbook.split(f"## [{section}]")[1].split("## [")[0]
