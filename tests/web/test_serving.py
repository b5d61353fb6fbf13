"""The web server inside the running service: its port, its headers, its certificate, and how it refuses."""

import ssl
import time
from pathlib import Path

import httpx
import pytest
from certificates import certify
from cryptography import x509
from service import RunningService

FLOWS = Path("tests/e2e/flows")
WAIT_S = 60


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    settings = {"speech": {"enabled": False}, "web": {"port": 0}}
    with RunningService(tmp_path_factory.mktemp("web"), flows=FLOWS, settings=settings) as service:
        status = service.until(lambda status: status["processes"]["control"].get("web_port") and status)
        yield f"http://127.0.0.1:{status['processes']['control']['web_port']}"


def test_the_api_describes_itself(url):
    document = httpx.get(f"{url}/v1/openapi.json", timeout=WAIT_S).json()
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"] == "VoiceEdge"


def test_what_is_not_there_is_a_problem_that_programs_can_read(url):
    answer = httpx.get(f"{url}/v1/nowhere", timeout=WAIT_S)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["code"] == "not_found"


def test_every_answer_keeps_browsers_careful(url):
    headers = httpx.get(f"{url}/v1/openapi.json", timeout=WAIT_S).headers
    assert "script-src 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert "server" not in headers


def shown(port):
    """Whose certificate."""
    found = x509.load_pem_x509_certificate(ssl.get_server_certificate(("127.0.0.1", port)).encode())
    return found.subject.rfc4514_string()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_new_certificate_is_shown_after_a_reload_and_a_broken_one_never(tmp_path):
    certify(tmp_path, "old.example")
    web = {"port": 0, "certificate": str(tmp_path / "cert.pem"), "private_key": str(tmp_path / "key.pem")}
    with RunningService(tmp_path, flows=FLOWS, settings={"speech": {"enabled": False}, "web": web}) as service:
        port = service.until(lambda status: status["processes"]["control"].get("web_port"))
        port = port["processes"]["control"]["web_port"]
        assert shown(port) == "CN=old.example"
        certify(tmp_path, "new.example")
        service.reload()
        deadline = time.monotonic() + WAIT_S
        while shown(port) != "CN=new.example":
            assert time.monotonic() < deadline
        (tmp_path / "cert.pem").write_text("no certificate")
        assert service.reload()["state"] == "refused"
        assert shown(port) == "CN=new.example"
