"""A system asked over real HTTP: what it is sent, what leaves the connector, and every way to answer badly."""

import asyncio
import json
import ssl
import subprocess

import pytest
from answering import http, server

from voiceedge.connectors.answers import Failed, Found, NotFound
from voiceedge.context.privacy.pii import PersonalDataClass

CUSTOMER = {"customer": {"name": "김하나", "grade": "vip", "notes": "secret"}, "orders": [{"status": "sent"}]}
PATIENT = "timeout_s = 10"  # the most there is: machines that test stand still at times
MAPPING = """
[connectors.crm.found]
name = "customer.name"
grade = {from = "customer.grade", class = "none"}
status = {from = "orders[0].status", class = "sensitive"}
"""


@pytest.fixture
def crm(load):
    def crm(url, *keys):
        if not any(key.startswith("timeout_s") for key in keys):
            keys = (*keys, PATIENT)
        return load("\n".join(["[connectors.crm]", 'kind = "http"', f'url = "{url}"', *keys, MAPPING]))

    return crm


async def look_up(connectors, **values):
    async with asyncio.timeout(60), connectors:
        return await connectors.look_up("crm", values)


async def test_only_mapped_values_leave_it_each_with_its_class(crm):
    async with server(http(json.dumps(CUSTOMER).encode())) as (url, requests):
        answer = await look_up(crm(f"{url}/customers?phone={{phone}}"), phone="01012345678")
    assert answer == Found(
        {"name": "김하나", "grade": "vip", "status": "sent"},
        {
            "name": PersonalDataClass.PERSONAL,
            "grade": PersonalDataClass.NONE,
            "status": PersonalDataClass.SENSITIVE,
        },
    )
    assert requests[0].startswith(b"GET /customers?phone=01012345678 HTTP/1.1")


@pytest.mark.parametrize(("value", "path"), [
    ("a/b?c=d&e#f", b"/c/a%2Fb%3Fc%3Dd%26e%23f/x"),
    ("..", b"/c/%2E%2E/x"),
    ("한글 %", b"/c/%ED%95%9C%EA%B8%80%20%25/x"),
    ("a\r\nX-Evil: 1", b"/c/a%20%20X-Evil%3A%201/x"),
    (12345, b"/c/12345/x"),
    (True, b"/c/true/x"),
])  # fmt: skip
async def test_a_value_stays_one_part_of_the_address(crm, value, path):
    async with server(http(b"{}")) as (url, requests):
        await look_up(crm(f"{url}/c/{{value}}/x"), value=value)
    assert requests[0].startswith(b"GET " + path + b" HTTP/1.1")


async def test_a_body_is_posted_with_its_values_filled_in(crm):
    body = 'body = {query = {phone = "{phone}", fields = ["name", "{order}"]}, limit = 1}'
    async with server(http(b"{}")) as (url, requests):
        await look_up(crm(url, body), phone='"},{"', order="A-1")
    assert requests[0].startswith(b"POST / ")
    sent = json.loads(requests[0].partition(b"\r\n\r\n")[2])
    assert sent == {"query": {"phone": '"},{"', "fields": ["name", "A-1"]}, "limit": 1}


async def test_logins_come_from_files_and_are_read_again(crm, tmp_path):
    for name in ("token", "key"):
        (tmp_path / name).write_text(f"{name}-1\n")
    keys = ('bearer_file = "token"', 'secret_headers = {X-Api-Key = "key"}', 'headers = {X-Site = "seoul"}')
    async with server(http(b"{}")) as (url, requests), crm(f"{url}/{{phone}}", *keys) as connectors:
        await connectors.look_up("crm", {"phone": "1"})
        (tmp_path / "token").write_text("token-2\n")
        await connectors.look_up("crm", {"phone": "1"})
        (tmp_path / "token").unlink()
        assert "bearer_file" in (await connectors.look_up("crm", {"phone": "1"})).reason
    assert len(requests) == 2
    assert b"Authorization: Bearer token-1\r\n" in requests[0]
    assert b"Authorization: Bearer token-2\r\n" in requests[1]
    assert all(b"X-Api-Key: key-1\r\n" in request and b"X-Site: seoul\r\n" in request for request in requests)


async def test_basic_authentication(crm, tmp_path):
    (tmp_path / "password").write_text("open sesame\n")
    async with server(http(b"{}")) as (url, requests):
        await look_up(crm(f"{url}/{{phone}}", 'username = "edge"', 'password_file = "password"'), phone="1")
    assert b"Authorization: Basic ZWRnZTpvcGVuIHNlc2FtZQ==\r\n" in requests[0]  # RFC 7617


@pytest.mark.parametrize(("given", "sent"), [
    ("+82 10-1234-5678", b"01012345678"), ("010-1234-5678", b"01012345678"), ("02-312-3456", b"023123456"),
])  # fmt: skip
async def test_a_number_is_asked_for_by_its_national_digits(crm, given, sent):
    async with server(http(b"{}")) as (url, requests):
        await look_up(crm(f"{url}/{{phone}}", 'numbers = ["phone"]'), phone=given)
    assert requests[0].startswith(b"GET /" + sent + b" ")


@pytest.mark.parametrize("value", ["", "  ", None, "anonymous"])
async def test_nobody_is_asked_about_a_caller_without_a_number(crm, value):
    async with server(http(json.dumps(CUSTOMER).encode())) as (url, requests):
        assert await look_up(crm(f"{url}/{{phone}}", 'numbers = ["phone"]'), phone=value) == NotFound()
    assert not requests


@pytest.mark.parametrize("values", [{}, {"phone": "1", "name": "Kim"}, {"phone": ["1"]}, {"phone": "1" * 300}])
async def test_a_question_that_is_none_fails_without_its_values(crm, values):
    async with server(http(b"{}")) as (url, requests):
        answer = await look_up(crm(f"{url}/{{phone}}"), **values)
    assert isinstance(answer, Failed)
    assert "phone" in answer.reason
    assert "111" not in answer.reason
    assert not requests


@pytest.mark.parametrize(("answer", "keys"), [
    (http(b"", "404 Not Found"), ()),
    (http(b"", "410 Gone"), ("not_found = [404, 410]",)),
    (http(b"{}"), ()),
    (http(b"[]"), ()),
    (http(b'{"customer": {"name": null}}'), ()),
    (http(b'{"error": "no such customer"}'), ()),
])  # fmt: skip
async def test_an_answer_without_any_of_the_values_is_not_found(crm, answer, keys):
    async with server(answer) as (url, _):
        assert await look_up(crm(f"{url}/{{phone}}", *keys), phone="1") == NotFound()


def value_of(name: bytes) -> bytes:
    return http(b'{"customer": {"name": ' + name + b"}}")


@pytest.mark.parametrize(("answer", "reason"), [
    (http(b"<html>Welcome</html>"), "not JSON"),
    (http(b""), "not JSON"),
    (http(b"\xff\xfe"), "not JSON"),
    (http(b"[" * 10_000), "not JSON"),
    (http(b'{"a":' * 10_000), "not JSON"),
    (http(b'{"a":' * 9_000 + b"1" + b"}" * 9_000), "not JSON"),
    (value_of(b"NaN"), "not JSON"),
    (value_of(b"1e999"), "not JSON"),
    (value_of(b'"\\ud800"'), "not JSON"),
    (value_of(b"9" * 5000), "not JSON"),
    (value_of(b'{"first": "Kim"}'), '"name" is a record or a list'),
    (value_of(b'["Kim"]'), '"name" is a record or a list'),
    (value_of(b'"' + b"x" * 5000 + b'"'), '"name" is longer than'),
    (http(b" " * 70_000), "larger than 64 kB"),
    (http(b"", "500 Internal Server Error"), "status 500"),
    (http(b"", "401 Unauthorized"), "status 401"),
    (http(b"", "302 Found", "Location: http://169.254.169.254/latest/meta-data"), "redirect"),
    (http(b"{}").replace(b"Content-Length: 2", b"Content-Length: 80"), "breaks off"),
    (b"garbage\r\n\r\n", "not HTTP"),
    (b"", "breaks off"),
])  # fmt: skip
async def test_any_other_answer_is_an_error(crm, answer, reason):
    async with server(answer) as (url, _):
        failed = await look_up(crm(f"{url}/{{phone}}"), phone="01012345678")
    assert isinstance(failed, Failed)
    assert reason in failed.reason
    assert "5678" not in failed.reason
    assert url not in failed.reason


async def test_a_redirect_is_not_followed_even_to_itself(crm):
    async with server(http(b"{}")) as (inner, inner_requests):
        redirect = http(b"", "307 Temporary Redirect", f"Location: {inner}/")
        async with server(redirect) as (url, requests):
            assert isinstance(await look_up(crm(f"{url}/{{phone}}"), phone="1"), Failed)
    assert (len(requests), len(inner_requests)) == (1, 0)


async def drip(_request, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def silent(_request, writer):
    await writer.wait_closed()


@pytest.mark.parametrize("answer", [drip, silent])
async def test_a_slow_answer_is_an_error_in_time(crm, answer):
    async with server(answer) as (url, _):
        assert await look_up(crm(f"{url}/{{phone}}", "timeout_s = 0.1"), phone="1") == Failed("no answer within 0.1 s")


async def test_what_is_said_of_a_value_holds_no_control_characters(crm):
    async with server(value_of(b'"Kim\\u0000\\u001b[2J\\n"')) as (url, _):
        assert (await look_up(crm(f"{url}/{{phone}}"), phone="1")).values["name"] == "Kim  [2J "


async def test_nobody_listens(crm):
    assert await look_up(crm("http://127.0.0.1:1/{phone}"), phone="1") == Failed("it cannot be reached")


async def test_no_more_questions_at_once_than_allowed(crm):
    at_once, most = 0, 0

    async def answer(_request, writer):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.02)
        at_once -= 1
        writer.write(http(json.dumps(CUSTOMER).encode()))
        await writer.drain()

    async with server(answer) as (url, requests), crm(f"{url}/{{phone}}", "at_once = 3") as connectors:
        answers = await asyncio.gather(*(connectors.look_up("crm", {"phone": str(n)}) for n in range(12)))
    assert all(isinstance(answer, Found) for answer in answers)
    assert len(requests) == 12
    assert most == 3


@pytest.fixture
def certificate(tmp_path):
    """With its key beside it."""
    certificate = tmp_path / "ca.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", certificate.with_name("key.pem"), "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    return certificate


async def test_a_certificate_is_trusted_by_ca_file_only(load, certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(http(json.dumps(CUSTOMER).encode()))
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with listening:
        url = f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}/{{phone}}"
        text = f'[connectors.crm]\nkind = "http"\nurl = "{url}"\n{PATIENT}\n'
        assert await look_up(load(text + MAPPING), phone="1") == Failed("its certificate is not trusted")
        assert isinstance(await look_up(load(text + 'ca_file = "ca.pem"\n' + MAPPING), phone="1"), Found)


async def test_a_caller_who_hangs_up_takes_no_other_callers_answer_away(crm):
    begun = asyncio.Event()
    go_on = asyncio.Event()

    async def answer(_request, writer):
        begun.set()
        await go_on.wait()
        writer.write(http(json.dumps(CUSTOMER).encode()))
        await writer.drain()

    async with server(answer) as (url, requests), crm(f"{url}/{{phone}}") as connectors:
        first = asyncio.create_task(connectors.look_up("crm", {"phone": "1"}))
        await begun.wait()
        second = asyncio.create_task(connectors.look_up("crm", {"phone": "1"}))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        go_on.set()
        assert isinstance(await second, Found)
    assert len(requests) == 1


async def test_closing_ends_what_is_under_way(crm):
    begun = asyncio.Event()

    async def answer(_request, writer):
        begun.set()
        await writer.wait_closed()

    async with server(answer) as (url, _):
        async with crm(f"{url}/{{phone}}", "timeout_s = 10") as connectors:
            asking = asyncio.create_task(connectors.look_up("crm", {"phone": "1"}))
            await begun.wait()
        await asyncio.wait([asking], timeout=60)
        assert asking.cancelled()
