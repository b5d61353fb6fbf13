"""What the doctor says about [web], [channels] and figures, each with something wrong."""

import datetime as dt
import socket

import pytest
from certificates import certify

from voiceedge.appliance.finding import State
from voiceedge.config import Config
from voiceedge.edge.checks import web_check


@pytest.fixture
def told(tmp_path):
    """What is said about these tables and this channels file, but for what is fine."""

    def told(channels="", ours=(), **tables):
        if channels:
            (tmp_path / "channels.toml").write_text(channels, encoding="utf-8")
            tables["channels"] = {"file": tmp_path / "channels.toml"}
        findings = web_check.examine(Config.model_validate(tables), ours)
        return {finding.part: finding for finding in findings if finding.state is not State.FINE}

    return told


WHOLE = '[channels.web-chat]\nkind = "web-chat"\nphone = "1588-1234"\n'
WEB = {"port": 0, "public_url": "https://talk.example"}


def test_what_is_right_is_fine(told):
    assert told() == {}
    assert told(WHOLE, web=WEB) == {}


def test_a_broken_channels_file_is_broken(told):
    finding = told('[channels.sms]\nkind = "smss"\n')["channels"]
    assert finding.state is State.BROKEN
    assert "channels.toml" in finding.what


@pytest.mark.parametrize("section", ["web", "metrics"])
def test_a_port_that_another_holds_is_told_and_one_of_ours_is_not(told, section):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        table = {section: {"port": port, **({"public_url": "https://a.example"} if section == "web" else {})}}
        assert "another program" in told(WHOLE, **table)[f"{section} port"].what
        assert told(WHOLE, ours={port}, **table) == {}
    assert "no address" in told(WHOLE, web={**WEB, "host": "192.0.2.1"})["web port"].what.replace("not an", "no")


def test_a_certificate_is_held_against_its_key_and_the_day(told, tmp_path, monkeypatch):
    certify(tmp_path, "talk.example")
    web = {**WEB, "certificate": tmp_path / "cert.pem", "private_key": tmp_path / "key.pem"}
    assert told(WHOLE, web=web)["web certificate"].state is State.REDUCED  # valid for a day
    monkeypatch.setattr(web_check, "SOON", dt.timedelta())
    assert told(WHOLE, web=web) == {}
    key = (tmp_path / "key.pem").read_bytes()
    certify(tmp_path, "other.example")
    (tmp_path / "key.pem").write_bytes(key)
    assert "no pair" in told(WHOLE, web=web)["web certificate"].what


def test_a_certificate_past_its_day_is_broken(told, tmp_path, monkeypatch):
    certify(tmp_path, "talk.example")

    class Later(dt.datetime):
        @classmethod
        def now(cls, tz=None):
            return super().now(tz) + dt.timedelta(days=9)

    monkeypatch.setattr(web_check, "datetime", Later)
    web = {**WEB, "certificate": tmp_path / "cert.pem", "private_key": tmp_path / "key.pem"}
    assert told(WHOLE, web=web)["web certificate"].state is State.BROKEN


def test_links_without_an_address_and_codes_without_a_number_are_told(told):
    assert set(told(web={"port": 0})) == {"links", "chats"}
    assert "web-chat" in told(web=WEB)["chats"].what
    assert told(web=WEB, context={"continue_numbers": ["07080001001"]}) == {}
