"""The configuration file: working defaults, and mistakes told with line, key and remedy."""

from pathlib import Path

import pytest

from voiceedge.config import Config, load
from voiceedge.errors import ConfigError
from voiceedge.toml_file import readable_by_others


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "voiceedge.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def complaint(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path)
    return str(caught.value).replace(str(path), "FILE")


def test_an_empty_file_is_the_defaults(write):
    assert load(write("")) == Config()


def test_every_key_has_a_meaning():
    for name, section in Config.model_fields.items():
        for key, field in section.annotation.model_fields.items():
            assert field.description, f"{name}.{key} needs a description"


def test_relative_paths_are_meant_from_the_file(write, tmp_path):
    config = load(write('[site]\ndata_dir = "data"\n[flows]\ndir = "/srv/flows"\n'))
    assert config.site.data_dir == tmp_path / "data"
    assert config.flows.dir == Path("/srv/flows")


def test_a_value_that_is_not_allowed_is_named_with_its_line(write):
    assert complaint(write("# ours\n[sip]\ntcp = true\nport = 70000\n")).startswith("FILE:4: sip.port: ")


def test_a_misspelt_key_gets_the_nearest_known_one(write):
    assert complaint(write("[sip]\nprot = 5060\n")) == "FILE:2: sip.prot: unknown key; did you mean port?"
    assert complaint(write("[mqqt]\n")) == "FILE:1: mqqt: unknown key; did you mean mqtt?"


def test_a_key_like_no_other_gets_the_list(write):
    assert "known here: level, format" in complaint(write("[log]\nxyzzy = 1\n"))


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(write):
    text = (
        '[log]\nlevel = "loud"\n[sip]\nport = -1\ncodecs = [\n  "PCMA",\n  "OPUS",\n]\n[flows.routes]\n"1588" = "a b"\n'
    )
    lines = complaint(write(text)).splitlines()
    assert [line.split(" ")[0] for line in lines] == ["FILE:2:", "FILE:4:", "FILE:5:", "FILE:10:"]
    assert "sip.codecs[1]" in lines[2]


def test_dotted_and_quoted_keys_are_found(write):
    assert complaint(write('sip.tcp = true\nsip."port" = "x"\n')).startswith("FILE:2: sip.port: ")


def test_text_that_is_not_toml_is_told_with_its_place(write):
    assert complaint(write("[sip]\nport = \n")).startswith("FILE:2:8: is not TOML: ")


def test_a_file_that_is_not_utf8_says_so(tmp_path):
    path = tmp_path / "voiceedge.toml"
    path.write_bytes("# 설정\n".encode("cp949"))
    assert "Save it as UTF-8" in complaint(path)


def test_a_missing_file_says_so(tmp_path):
    assert "cannot be read" in complaint(tmp_path / "none.toml")


@pytest.mark.parametrize(
    "ports", ["[10001, 10999]", "[10000, 10998]", "[11000, 10999]", "[80, 10999]", "[10000, 70001]"]
)
def test_rtp_ports_must_be_an_even_to_odd_range(write, ports):
    assert "FILE:2: sip.rtp_ports: give an even port" in complaint(write(f"[sip]\nrtp_ports = {ports}\n"))


def test_headers_that_sip_is_routed_by_cannot_be_ours(write):
    assert "SIP itself needs Via" in complaint(write('[sip]\nheaders_out = ["X-Shop", "Via"]\n'))


def test_a_header_name_cannot_smuggle_a_line(write):
    assert "sip.headers_in[0]" in complaint(write('[sip]\nheaders_in = ["X-A\\r\\nVia: x"]\n'))


@pytest.mark.parametrize(
    "url", ["http://broker", "mqtt://", "mqtt://broker:99999", "mqtt://broker/topic", "broker:1883"]
)
def test_a_broker_address_is_mqtt_or_mqtts(write, url):
    assert complaint(write(f'[mqtt]\nurl = "{url}"\n')).startswith("FILE:2: mqtt.url: ")


def test_a_login_in_the_broker_address_is_refused_and_not_repeated(write):
    message = complaint(write('[mqtt]\nurl = "mqtt://shop:s3cret@broker"\n'))
    assert "password_file" in message
    assert "s3cret" not in message


@pytest.mark.parametrize(
    "url", ["postgresql://edge:s3cret@db/voiceedge", "postgresql://edge@db/voiceedge?password=s3cret"]
)
def test_the_database_password_has_no_place_in_its_url_and_is_not_repeated(write, url):
    message = complaint(write(f'[store]\nurl = "{url}"\n'))
    assert message.startswith("FILE:2: store.url: takes no password")
    assert "s3cret" not in message


@pytest.mark.parametrize("url", ["mysql://db/voiceedge", "postgresql://db", "postgresql://[::1/voiceedge"])
def test_a_database_url_is_held_to_its_form(write, url):
    assert "postgresql://user@host/database" in complaint(write(f'[store]\nurl = "{url}"\n'))


def test_a_password_file_that_is_not_there_is_told_at_once(write):
    assert "cannot be read" in complaint(write('[mqtt]\nusername = "edge"\npassword_file = "none"\n'))


def test_a_password_without_a_user_is_told_at_its_key(write, tmp_path):
    (tmp_path / "password").touch()
    assert complaint(write('[mqtt]\npassword_file = "password"\n')).startswith("FILE:2: mqtt.password_file: ")


def test_a_password_that_anyone_may_read_is_noticed(tmp_path):
    secret = tmp_path / "password"
    secret.touch()
    secret.chmod(0o644)
    assert readable_by_others(secret)
    secret.chmod(0o640)
    assert not readable_by_others(secret)
