"""Links go out by text message, e-mail and webhook, however badly the other side behaves, and none is lost."""

import asyncio
import email
import email.policy
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from post_office import certificate, gateway, mail_server, serving

from voiceedge.channels.file import ChannelsFile
from voiceedge.channels.senders.queue import LEASE_S, MessageQueue
from voiceedge.channels.senders.service import Senders, address_for
from voiceedge.clock import VirtualClock
from voiceedge.context.cloudevents import StampedEvent
from voiceedge.context.resuming.continuing import Ticket
from voiceedge.context.storage.database import FILE, Database
from voiceedge.context.storage.sqlite import Sqlite

KIM, LINK = "010-1234-5678", "https://talk.example/c#k.t.s"
MINUTES = 15
BEGAN_MS = int(VirtualClock().now().timestamp() * 1000)
Login = tuple[dict[str, str], ssl.SSLContext]


@dataclass
class House:
    """A site with a channels file, whose control process runs for as long as `open` lasts."""

    directory: Path
    clock: VirtualClock
    told: list[StampedEvent] = field(default_factory=list)
    senders: Senders | None = None

    @asynccontextmanager
    async def open(self, *, others: Mapping[str, dict] | None = None, **channel) -> AsyncIterator["House"]:
        channels = {"out": channel, **(others or {})}
        file = ChannelsFile.model_validate({"site": "보이스몰", "channels": channels}, context=self.directory)
        async with AsyncExitStack() as stack:
            database = Database(Sqlite(self.directory / FILE))
            await database.open()
            stack.push_async_callback(database.close)
            self.database = database
            queue = MessageQueue(database, b"k" * 32, self.clock)
            self.senders = await stack.enter_async_context(
                Senders.running(file, queue, self.ingest, "seoul", self.clock)
            )
            yield self

    async def ingest(self, events) -> None:
        self.told.extend(events)

    async def put(self, to: str = KIM, language: str = "ko", via: str = "out") -> bool:
        now = self.clock.now()
        until = now + timedelta(minutes=MINUTES)
        ticket = Ticket("k.t.s", until, until, pin="123456", link=LINK)
        more = {"channel": "web-chat", "conversation": "c1", "interaction": "call-1", "language": language}
        return await self.senders.put(ticket, via=via, to=to, **more)

    async def until(self, condition: Callable[[], object], step_s: float = 0.1) -> None:
        """Let time go by until it holds, so slowly that whoever answers in real time is in time."""
        async with asyncio.timeout(90):
            while not condition():
                await self.clock.advance(step_s)
                await asyncio.sleep(0.005)  # the other side is in real time

    @property
    def now_ms(self) -> int:
        return int(self.clock.now().timestamp() * 1000)

    @property
    def results(self) -> list[tuple[str, str]]:
        return [(event.data.result, event.data.why) for event in self.told]

    async def rows(self) -> list[tuple]:
        async with self.database.begin() as connection:
            return (
                await connection.exec_driver_sql("SELECT address, body, state, tries, due_ms FROM messages_out")
            ).all()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, VirtualClock())


def sms(url: str, **more) -> dict:
    body = {"to": "{address}", "text": "{text}", "ref": ["{id}", {"pin": "{pin}"}]}
    return {"kind": "sms", "url": url, "json": body, "timeout_s": 60, **more}


async def test_a_text_message_goes_out_and_nothing_of_it_stays(house: House, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    async with gateway() as gate, house.open(**sms(gate.url, bearer_file="secret", secret_headers={"X-Key": "secret"})):
        assert await house.put()
        await gate.until(1)
        await house.until(lambda: house.told)
        sent = gate.requests[0]
        body = json.loads(sent.body)
        assert body["to"] == "01012345678"
        assert body["text"] == f"[보이스몰] 상담을 이어 가시려면 15분 안에 눌러 주세요. {LINK}"
        assert body["ref"] == [sent.headers["idempotency-key"], {"pin": "123456"}]
        assert (sent.headers["authorization"], sent.headers["x-key"]) == ("Bearer s3cret", "s3cret")
        data = house.told[0].data
        assert (data.result, data.via, data.channel, data.address) == ("sent", "out", "web-chat", "***5678")
        assert house.told[0].conversation == "c1"
        assert (await house.rows())[0][:4] == ("***5678", "{}", "sent", 1)


async def test_a_gateway_that_fails_is_tried_again_with_the_same_key(house: House) -> None:
    async with gateway(500, 429, 200) as gate, house.open(**sms(gate.url)):
        await house.put()
        await house.until(lambda: house.told)
        assert house.results == [("sent", "")]
        assert len({request.headers["idempotency-key"] for request in gate.requests}) == 1
        assert len(gate.requests) == 3


async def test_a_gateway_that_hangs_is_given_up_and_tried_again(house: House) -> None:
    async with gateway(None, 200) as gate, house.open(**sms(gate.url, timeout_s=3)):
        await house.put()
        await gate.until(1)
        await house.until(lambda: house.told)
        assert house.results == [("sent", "")]
        assert len(gate.requests) >= 2


@pytest.mark.parametrize("status", [400, 302])
async def test_what_a_gateway_will_never_take_fails_at_once(house: House, status: int) -> None:
    async with gateway(status) as gate, house.open(**sms(gate.url)):
        await house.put()
        await gate.until(1)
        await house.until(lambda: house.told)
        assert (house.results, len(gate.requests)) == ([("failed", f"status {status}")], 1)


async def test_a_dead_gateway_is_tried_until_the_link_expires(house: House) -> None:
    async with house.open(**sms("http://127.0.0.1:1/")):
        await house.put()
        began = house.clock.now()
        await house.until(lambda: house.told, step_s=15)
        assert house.results == [("failed", "its link expired before it could be sent")]
        assert (house.clock.now() - began).total_seconds() >= MINUTES * 60
        assert (await house.rows())[0][:3] == ("***5678", "{}", "failed")


async def test_what_was_not_sent_before_a_restart_is_sent_after_it(house: House) -> None:
    async with gateway(500, 200) as gate:
        async with house.open(**sms(gate.url)):
            await house.put()
            await gate.until(1)
            while (await house.rows())[0].due_ms > BEGAN_MS + LEASE_S * 500:  # noqa: ASYNC110 - in the database
                await asyncio.sleep(0.01)
            await house.rows()
        await house.clock.advance(200)
        async with house.open(**sms(gate.url)):
            await house.until(lambda: house.told)
        assert (house.results, len(gate.requests)) == ([("sent", "")], 2)


async def test_a_gateway_that_does_not_answer_holds_up_no_other_channel(house: House) -> None:
    silent = asyncio.Event()

    async def stand_still(*_: object) -> None:
        await silent.wait()

    async with gateway() as good, serving(stand_still) as port:
        dead = sms(f"http://127.0.0.1:{port}")
        async with house.open(others={"good": sms(good.url)}, **dead):
            for number in range(30):
                assert await house.put(f"0101234{number:04}")
            assert await house.put(via="good")
            await good.until(1)  # no time has gone by
        silent.set()


async def test_what_was_for_a_channel_that_is_gone_is_given_up(house: House) -> None:
    async with gateway(500) as gate:
        async with house.open(others={"old": sms(gate.url)}, **sms(gate.url)):
            await house.put(via="old")
            await gate.until(1)
        async with house.open(**sms(gate.url)):
            await house.until(lambda: house.told, step_s=10)
    assert house.results == [("failed", "the channel is not in the file any more")]


async def test_a_mail_whose_time_is_up_is_not_sent_by_the_try_that_was_given_up(house: House) -> None:
    async with mail_server() as server, house.open(**mail(server.port)):
        server.hurries.clear()
        await house.put("kim@example.com")
        async with asyncio.timeout(60):
            while not server.asked:  # noqa: ASYNC110 - in another thread
                await asyncio.sleep(0.01)
        await house.clock.advance(200)  # three times the settings' 60 s
        while (await house.rows())[0].due_ms > house.now_ms + 10_000:  # noqa: ASYNC110 - not given up yet
            await asyncio.sleep(0.01)
        server.hurries.set()
        await house.until(lambda: house.told)
        assert (house.results, len(server.mails)) == ([("sent", "")], 1)


async def test_nobody_gets_more_than_a_few_an_hour(house: House) -> None:
    async with gateway() as gate, house.open(**sms(gate.url, hourly=3)):
        assert [await house.put(KIM if number % 2 else "+82 10 1234 5678") for number in range(5)] == [True] * 3 + [
            False
        ] * 2
        assert await house.put("01099998888")
        assert ("failed", "too many within an hour") in house.results
        await house.clock.advance(3601)
        assert await house.put()


async def test_where_there_is_no_address_nothing_is_sent(house: House) -> None:
    async with gateway() as gate, house.open(**sms(gate.url)):
        for to in ("", "anonymous", "kim@example.com", "010-1234-5678\r\nX: y" * 40):
            assert not await house.put(to)
        assert await house.rows() == []


async def test_a_webhook_is_signed_and_tells_all(house: House, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hush")
    settings = {"kind": "webhook", "secret_file": "secret", "link": "https://pf.example/go?t={token}"}
    async with gateway() as gate, house.open(url=gate.url, **settings):
        await house.put("kakao-user-7", "en")
        await gate.until(1)
        sent = gate.requests[0]
        told = json.loads(sent.body)
        assert told["link"] == "https://pf.example/go?t=k.t.s"
        assert told["text"].startswith("[보이스몰] Go on with your enquiry within 15 minutes: https://pf.example")
        assert (told["address"], told["conversation"], told["pin"]) == ("kakao-user-7", "c1", "123456")
        at, signature = (part.partition("=")[2] for part in sent.headers["webhook-signature"].split(","))
        signed = f"{at}.{sent.headers['webhook-id']}.".encode() + sent.body
        assert hmac.compare_digest(signature, hmac.digest(b"hush", signed, "sha256").hex())
        assert int(at) == int(house.clock.now().timestamp())


async def test_a_template_cannot_be_filled_with_another(house: House) -> None:
    """Whoever chooses an address must not reach the token through it."""
    async with (
        gateway() as gate,
        house.open(kind="sms", url=gate.url, form={"to": "{address}", "text": "{text}"}, text={"ko": "{site} {link}"}),
    ):
        await house.put()
        await gate.until(1)
        assert b"to=01012345678" in gate.requests[0].body
        assert gate.requests[0].headers["content-type"] == "application/x-www-form-urlencoded"


def mail(port: int, **more) -> dict:
    settings = {
        "kind": "email",
        "host": "localhost",
        "port": port,
        "tls": "none",
        "timeout_s": 60,
        "sender": "보이스몰 <talk@example.com>",
    }
    return settings | more


async def test_an_e_mail_goes_out_in_korean(house: House) -> None:
    async with mail_server() as server, house.open(**mail(server.port)):
        await house.put("kim@example.com")
        await house.until(lambda: house.told)
        assert house.results == [("sent", "")]
        letter = email.message_from_string(server.mails[0], policy=email.policy.default)
        assert letter["To"] == "kim@example.com"
        assert letter["Subject"] == "[보이스몰] 상담 이어 가기"
        assert LINK in letter.get_content()
        assert letter["Message-ID"].endswith("@example.com>")
        assert house.told[0].data.address == "***"


@pytest.fixture
def login(tmp_path: Path) -> Login:
    ca_file, context = certificate(tmp_path)
    (tmp_path / "password").write_text("pass")
    return {"username": "us", "password_file": "password", "ca_file": str(ca_file)}, context


async def test_mail_is_sent_by_starttls_with_a_login(house: House, login: Login) -> None:
    settings, context = login
    async with mail_server(starttls=context) as server, house.open(**mail(server.port, tls="starttls", **settings)):
        await house.put("kim@example.com")
        await house.until(lambda: house.told)
        assert (house.results, server.encrypted, len(server.logins)) == ([("sent", "")], True, 1)


async def test_mail_is_sent_over_tls_with_a_login(house: House, login: Login) -> None:
    settings, context = login
    async with mail_server(tls=context) as server, house.open(**mail(server.port, tls="tls", **settings)):
        await house.put("kim@example.com")
        await house.until(lambda: house.told)
        assert (house.results, len(server.logins)) == ([("sent", "")], 1)


async def test_a_password_is_told_to_nobody_without_tls(house: House, login: Login) -> None:
    async with mail_server() as server, house.open(**mail(server.port, tls="starttls", **login[0])):
        await house.put("kim@example.com")
        await house.until(lambda: house.told, step_s=30)
        assert (house.results[0][0], server.logins, server.mails) == ("failed", [], [])


async def test_a_mailbox_that_is_full_is_tried_again(house: House) -> None:
    async with mail_server(refusals=["452 full"]) as server, house.open(**mail(server.port)):
        await house.put("kim@example.com")
        await house.until(lambda: house.told)
        assert (house.results, len(server.mails)) == ([("sent", "")], 1)


async def test_a_mailbox_that_is_not_there_is_not(house: House) -> None:
    async with mail_server(refusals=["550 nobody"]) as server, house.open(**mail(server.port)):
        await house.put("lee@example.com")
        await house.until(lambda: house.told)
        assert house.results == [("failed", "the recipient is refused (550)")]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("kim@example.com", "kim@example.com"),
        ("kim@example.com\r\nBcc: all@example.com", None),
        ("a@b, c@d", None),
        ("<kim@example.com>", None),
        ("kim@[127.0.0.1]", None),
        ("01012345678", None),
        ("", None),
    ],
)
def test_an_e_mail_address_is_one_address(text: str, address: str | None) -> None:
    file = ChannelsFile.model_validate({"channels": {"out": mail(25)}})
    assert address_for(file.channels["out"], text) == address
