"""`voiceedge channel`: what is in the file, and a test message."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from voiceedge.cli import app, channel

assert channel  # commands are loaded when asked for


class Gateway(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.server.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def gateway() -> Iterator[http.server.HTTPServer]:
    server = http.server.HTTPServer(("127.0.0.1", 0), Gateway)
    server.bodies, server.status = [], 200
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def settings(tmp_path: Path, gateway: http.server.HTTPServer) -> Path:
    url = f"http://127.0.0.1:{gateway.server_port}/"
    (tmp_path / "channels.toml").write_text(
        f'[channels.sms]\nkind = "sms"\nurl = "{url}"\njson = {{ to = "{{address}}", text = "{{text}}" }}\n'
    )
    file = tmp_path / "voiceedge.toml"
    file.write_text('[site]\ndata_dir = "data"\n[channels]\nfile = "channels.toml"\n')
    return file


def run(settings: Path, *arguments: str):
    return CliRunner().invoke(app, ["channel", *arguments, "--config", str(settings)])


def test_the_channels_are_listed(settings: Path) -> None:
    assert json.loads(run(settings, "list", "--json").stdout) == [{"name": "sms", "kind": "sms", "link": "web-chat"}]
    assert "sms" in run(settings, "list").stdout


def test_a_message_is_tried(settings: Path, gateway: http.server.HTTPServer) -> None:
    result = run(settings, "try", "sms", "010-1234-5678", "--language", "en")
    assert (result.exit_code, result.stdout) == (0, "sent\n")
    assert gateway.bodies[0]["to"] == "01012345678"
    assert "https://talk.example/c#test" in gateway.bodies[0]["text"]


def test_what_goes_wrong_is_told(settings: Path, gateway: http.server.HTTPServer) -> None:
    gateway.status = 500
    result = run(settings, "try", "sms", "01012345678")
    assert (result.exit_code, result.stderr) == (1, "not sent: status 500\n")
    assert run(settings, "try", "pigeon", "01012345678").exit_code == 2
    assert run(settings, "try", "sms", "kim@example.com").exit_code == 2
    (settings.parent / "channels.toml").write_text('[channels.sms]\nkind = "pigeon"\n')
    result = run(settings, "list")
    assert result.exit_code == 78
    assert "channels.toml:2: channels.sms.kind" in result.stderr
