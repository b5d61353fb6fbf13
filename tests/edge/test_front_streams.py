"""The front over TCP and TLS: certificates, connections that are kept, and peers that dawdle or say too much."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from certificates import certify
from cryptography import x509
from front_rig import WAIT_S, Rig, from_worker, needs_kamailio
from peer import Message
from registering import authorization
from test_front import call_and_hear, serve

from voiceedge.errors import ConfigError

pytestmark = needs_kamailio


def tls_front(directory: Path) -> dict[str, object]:
    return {"tls_port": 0, "certificate": directory / "cert.pem", "private_key": directory / "key.pem"}


class Stream:
    """A phone on one TCP or TLS connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, transport: str) -> None:
        self.reader, self.writer, self.transport = reader, writer, transport
        self.host, self.port = writer.get_extra_info("sockname")

    def send(self, first: str, headers: dict[str, str], body: str = "") -> None:
        via = f"SIP/2.0/{self.transport} {self.host}:{self.port};branch=z9hG4bK{id(headers)};rport"
        lines = [first, *(f"{name}: {value}" for name, value in ({"Via": via, "Max-Forwards": "70"} | headers).items())]
        self.writer.write("\r\n".join([*lines, f"Content-Length: {len(body)}", "", body]).encode())

    async def read(self) -> Message:
        async with asyncio.timeout(WAIT_S):
            while True:
                head = await self.reader.readuntil(b"\r\n\r\n")
                message = Message.read(head, (self.host, self.port))
                await self.reader.readexactly(int(message["content-length"] or 0))
                if message.status != 100:
                    return message

    def answer(self, request: Message, status: int) -> None:
        kept = [
            f"{name}: {value}" for name, value in request.values if name in {"via", "from", "to", "call-id", "cseq"}
        ]
        self.writer.write("\r\n".join([f"SIP/2.0 {status} Said", *kept, "Content-Length: 0", "", ""]).encode())

    async def options(self) -> int:
        self.send("OPTIONS sip:voiceedge SIP/2.0", {
            "From": "<sip:a@b>;tag=1", "To": "<sip:voiceedge>", "Call-ID": "o", "CSeq": "1 OPTIONS",
        })  # fmt: skip
        return (await self.read()).status

    @property
    def certificate(self) -> str:
        der = self.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return x509.load_der_x509_certificate(der).subject.rfc4514_string()


@asynccontextmanager
async def connected(rig: Rig, *, tls: bool = False) -> AsyncIterator[Stream]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    port = rig.facts["tls_port" if tls else "sip_port"]
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context if tls else None)
    try:
        yield Stream(reader, writer, "TLS" if tls else "TCP")
    finally:
        writer.close()


async def test_a_certificate_is_exchanged_while_connections_last(tmp_path: Path) -> None:
    certify(tmp_path, "old.example")
    async with Rig(tmp_path, front=tls_front(tmp_path)) as rig, connected(rig, tls=True) as old:
        assert old.certificate == "CN=old.example"
        certify(tmp_path, "new.example")
        assert (await rig.ask("reload"))["restarted"] is False
        async with connected(rig, tls=True) as new:
            assert new.certificate == "CN=new.example"
            assert await new.options() == 200
        assert await old.options() == 200
        (tmp_path / "key.pem").write_text("no key")
        with pytest.raises(Exception, match=r"front\.certificate: .*cert\.pem and front\.private_key"):
            await rig.ask("reload")
        async with connected(rig, tls=True) as still:
            assert still.certificate == "CN=new.example"


async def test_a_certificate_that_cannot_serve_is_told_of_before_the_start(tmp_path: Path) -> None:
    front = tls_front(tmp_path)
    with pytest.raises(ConfigError, match=r"front\.certificate: .*cert\.pem cannot be read: No such file"):
        await Rig(tmp_path, front=front).start()
    certify(tmp_path, "one.example")
    key = (tmp_path / "key.pem").read_bytes()
    certify(tmp_path, "two.example")
    (tmp_path / "key.pem").write_bytes(key)
    with pytest.raises(ConfigError, match=r"no pair that TLS can use \(KEY_VALUES_MISMATCH\)"):
        await Rig(tmp_path, front=front).start()
    with pytest.raises(ConfigError, match=r"front\.tls_port: TLS needs front\.certificate and front\.private_key"):
        await Rig(tmp_path, front={"tls_port": 0}).start()


@pytest.mark.parametrize("tls", [False, True])
async def test_a_phone_is_called_over_the_connection_it_registered_by(tmp_path: Path, tls: bool) -> None:
    (tmp_path / "mina").write_text("secret\n")
    certify(tmp_path, "front.example")
    plan = '[agents.mina]\nphone = "201"\npassword_file = "mina"\n'
    async with Rig(tmp_path, plan, front=tls_front(tmp_path)) as rig, connected(rig, tls=tls) as phone:
        worker = await rig.worker()
        own = {
            "From": "<sip:201@voiceedge>;tag=1", "To": "<sip:201@voiceedge>", "Call-ID": "r", "Expires": "300",
            "Contact": f"<sip:201@10.9.9.9:5060;transport={'tls' if tls else 'tcp'}>",
        }  # fmt: skip
        phone.send("REGISTER sip:voiceedge SIP/2.0", own | {"CSeq": "1 REGISTER"})
        answer = authorization(await phone.read(), "REGISTER", "sip:voiceedge", "201", "secret")
        phone.send("REGISTER sip:voiceedge SIP/2.0", own | answer | {"CSeq": "2 REGISTER"})
        assert (await phone.read()).status == 200
        call = await from_worker(rig, worker, "sip:201@voiceedge")
        invitation = await phone.read()
        assert invitation.first.startswith("INVITE sip:201@")
        phone.answer(invitation, 486)
        assert (await call.final()).status == 486


async def test_peers_that_dawdle_or_say_too_much_do_not_keep_others_from_calling(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig, rig.peer() as caller:
        serve(await rig.worker())
        slow = [await asyncio.open_connection("127.0.0.1", rig.facts["sip_port"]) for _ in range(20)]
        for _, writer in slow:
            writer.write(b"INVITE sip:1000@voiceedge SIP/2.0\r\nVia: SIP/2.0/TCP x")
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.facts["sip_port"])
        writer.write(b"OPTIONS sip:voiceedge SIP/2.0\r\n" + b"X-Long: " + b"x" * 400_000)
        with suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(100), WAIT_S) == b""  # it is hung up on
        async with connected(rig) as phone:
            assert await phone.options() == 200
        await call_and_hear(rig, caller)
        for _, writer in slow:
            writer.close()


@pytest.mark.slow
@pytest.mark.parametrize("trusted", [False, True])
async def test_a_carrier_over_tls_must_have_a_certificate_that_this_machine_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    certify(tmp_path, "carrier.example")
    trust = tmp_path / "trust"
    trust.mkdir()
    if trusted:
        (trust / "carrier.pem").write_bytes((tmp_path / "cert.pem").read_bytes())
        subprocess.run(["openssl", "rehash", trust], check=True)  # noqa: ASYNC221 - nothing else runs yet
    monkeypatch.setenv("SSL_CERT_DIR", str(trust))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    reached: list[Message] = []

    async def carrier(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stream = Stream(reader, writer, "TLS")
        while True:
            message = await stream.read()
            reached.append(message)
            stream.answer(message, 486)

    server = await asyncio.start_server(carrier, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    plan = f'[trunks.secure]\nhost = "127.0.0.1"\nport = {port}\ntransport = "tls"\n'
    async with server, Rig(tmp_path, plan, front=tls_front(tmp_path)) as rig:
        worker = await rig.worker()
        uri = f"sip:15441234@127.0.0.1:{port};transport=tls"
        call = await from_worker(rig, worker, uri, **{"X-VoiceEdge-Trunk": "secure"})
        assert (await call.final()).status == (486 if trusted else 408)
        assert any(message.method == "INVITE" for message in reached) is trusted
