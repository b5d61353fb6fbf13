"""What identifies a caller is planted wherever a call can carry it, and looked for in everything the service tells."""

import asyncio
import json
import re
from collections.abc import Iterator
from itertools import groupby

import httpx
import pytest
from commands import voiceedge
from talk import talk, until

from voiceedge.context.privacy.said import digits_in
from voiceedge.edge.between.link import LinkClient
from voiceedge.errors import LinkError

pytestmark = pytest.mark.slow

CALLER, PHONE, RESIDENT, CARD, BUSINESS = (
    "01055667788", "01098765432", "9001011234567", "4111111111111111", "2208162517",
)  # fmt: skip
SPOKEN, MAIL, SPOKEN_MAIL, REFERENCE = "01077665544", "hong.gildong@example.com", "홍길동 골뱅이", "01033221100"
NUMBERS = (CALLER, PHONE, RESIDENT, CARD, BUSINESS, SPOKEN, REFERENCE)
HEADERS = {"X-Customer-Ref": f"{REFERENCE} {MAIL}", "User-to-User": f"{REFERENCE.encode().hex()};encoding=hex"}
COMMANDS = (
    ("calls", "records"), ("calls", "records", "--json"), ("queue", "list"), ("outbound", "list"),
    ("recordings", "list"),
)  # fmt: skip


def planted_in(text: str) -> Iterator[str]:
    """What stands in it in the clear, written in whatever groups or said."""
    for run, characters in groupby(text, lambda character: character in "공영일이삼사오육칠팔구0123456789 -.,·"):
        digits = digits_in("".join(characters)) if run else ""
        yield from (number for number in NUMBERS if number in digits)
    yield from (words for words in (MAIL, SPOKEN_MAIL, REFERENCE.encode().hex()) if words in text)


async def command(*arguments):
    async with voiceedge(*arguments) as process:
        said, complained = await process.communicate()
    return (said + complained).decode()


@pytest.mark.parametrize(
    "text", ["010-9876-5432", "공일공 구팔칠육 오사삼이", f"<{MAIL}>", "4111 1111 1111 1111", SPOKEN_MAIL]
)
def test_what_is_planted_would_be_found(text):
    assert list(planted_in(f"그건 {text}, 입니다"))


async def test_what_a_caller_tells_is_in_nothing_that_the_service_tells(light):
    tables = {
        "flows.routes": {"9100": "planted"},
        "metrics": {"port": 0},
        "log": {"level": "debug"},
        "web": {"port": 0},
    }
    told: dict[str, str] = {}
    with light(**tables, recording={"enabled": True}) as service:
        async with talk(service, "9100", user=CALLER, headers=HEADERS) as call:
            for step, keys in (("phone", PHONE), ("resident", RESIDENT), ("card", CARD), ("business", BUSINESS)):
                await call.entered(step)
                if step == "phone":
                    told["calls list"] = await command("calls", "list", "--json", "--config", service.config)
                await call.press(keys)
                if step == "phone":
                    await call.entered("phone", "confirm")
                    await call.press("1")
            handed_over = await call.until("conversation.handed_over")
            await call.entered("told")
            await call.hang_up()
            await call.over()
            conversation = call.conversation
        told["events"] = json.dumps(call.events, ensure_ascii=False)
        assert handed_over["slots"]["card"] in {"***1111", "***"}

        told["refused"] = await refusals(service)
        commands = (*COMMANDS, ("calls", "trace", conversation))
        said = await asyncio.gather(*(command(*arguments, "--config", service.config) for arguments in commands))
        told |= {" ".join(arguments[:3]): text for arguments, text in zip(commands, said, strict=True)}
        assert "INVITE" in said[-1]
        told["web"] = await web(service)
        told["metrics"] = await fetched(service, "metrics_port", "/metrics")
        status = await until(lambda: json.dumps(service.status))
        told["status"] = status
        files = [path for path in service.directory.rglob("*") if path.is_file()]
        told["names of files"] = "\n".join(str(path.relative_to(service.directory)) for path in files)
    told["log"] = service.log.read_text()

    assert "***5432" in told["events"], "the numbers came, and were masked"
    assert call.call.id in told["calls records --json"]
    found = {where: set(planted_in(re.sub(r'"time(?:stamp)?":\s*"[^"]*"', "", text))) for where, text in told.items()}
    assert {where: what for where, what in found.items() if what} == {}
    kept = b"".join(path.read_bytes() for path in service.directory.rglob("*") if path.is_file())
    assert CARD.encode() not in kept, "a card's number is kept nowhere"


async def refusals(service) -> str:
    """What the control process answers to requests that are wrong and hold what is planted."""
    said = []
    client = LinkClient(service.directory / "run" / "control.sock")
    wishes = (
        ("redeem_token", {"token": f"{PHONE}.{RESIDENT}", "channel": f"sms {MAIL}"}),
        ("redeem_token", {"token": PHONE, "channel": "web-chat"}),
        ("outbound_add", {"order": {"number": PHONE, "flow": f"{CARD}", "campaign": RESIDENT}}),
        (f"no_{PHONE}", {"number": PHONE}),
    )
    try:
        for request, wish in wishes:
            with pytest.raises(LinkError) as refused:
                await client.request(request, wish, timeout_s=30)
            if PHONE not in request:  # who asks for what there is not is told so
                said.append(str(refused.value))
    finally:
        await client.close()
    return "\n".join(said)


SCOPES = ("conversations:read", "conversations:write", "tokens", "calls", "customers:read", "webhooks")


async def web(service) -> str:
    """Its answers to what is wrong, and what it shows of the call to a key that may not see values in the clear."""
    scopes = [part for scope in SCOPES for part in ("--scope", scope)]
    key = (await command("key", "add", "test", *scopes, "--config", service.config)).strip()
    order = {"number": PHONE, "flow": CARD, "slots": {RESIDENT: MAIL}}
    asked = (
        ("GET", f"/v1/conversations/{PHONE}", None), ("POST", "/v1/calls", order),
        ("POST", "/v1/conversations", [CARD]), ("POST", "/v1/tokens/resolve", {"token": CARD, "channel": MAIL}),
        ("POST", "/v1/webhooks", {"url": f"http://{MAIL}/{RESIDENT}"}),
        ("POST", "/v1/conversations/search", {"phone": MAIL}),
        ("POST", "/v1/customers/search", {"email": MAIL}), ("GET", f"/{MAIL}", None), ("POST", "/chat", order),
        ("POST", "/desk/login", {"name": MAIL, "password": CARD}),
    )  # fmt: skip
    answers = [await fetched(service, "web_port", path, method, body, key=key) for method, path, body in asked]
    return "\n".join(answers)


async def fetched(service, port: str, path: str, method: str = "GET", body: object = None, *, key: str = PHONE) -> str:
    host = f"http://127.0.0.1:{await until(lambda: service.status['processes']['control'].get(port))}"
    async with httpx.AsyncClient(timeout=20, headers={"Authorization": f"Bearer {key}"}) as http:
        return (await http.request(method, host + path, json=body)).text
