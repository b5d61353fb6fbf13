import asyncio
import gc
import signal
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from mosquitto import Mosquitto

from voiceedge.bus import client
from voiceedge.bus.client import Broker, BusRefusedError, Message, connect
from voiceedge.config import Mqtt
from voiceedge.errors import BusError, ConfigError

SECRET = "correct-horse"


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def guarded(new_mosquitto: Callable[..., Mosquitto], tmp_path: Path) -> Mosquitto:
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "edge", SECRET], check=True, capture_output=True)
    return new_mosquitto(f"allow_anonymous false\npassword_file {passwords}")


def credentials(tmp_path: Path, password: str) -> Mqtt:
    file = tmp_path / "password"
    file.write_text(password + "\n")
    return Mqtt(username="edge", password_file=file)


async def test_the_password_comes_from_its_file_at_each_connection(guarded: Mosquitto, tmp_path: Path) -> None:
    broker = Broker.from_url(guarded.url, credentials(tmp_path, "old"))
    with pytest.raises(BusError):
        async with connect(broker):
            pass
    (tmp_path / "password").write_text(SECRET)
    async with connect(broker) as connection:
        await connection.publish([Message("t", b"1")], lambda _: None)


async def test_a_wrong_password_is_explained_without_being_told(guarded: Mosquitto, tmp_path: Path) -> None:
    with pytest.raises(BusRefusedError) as caught:
        async with connect(Broker.from_url(guarded.url, credentials(tmp_path, "wrong-battery"))):
            pass
    assert "mqtt.password_file" in str(caught.value)
    assert "wrong-battery" not in str(caught.value)
    assert not caught.value.can_retry


async def test_a_broker_that_wants_a_user_says_which_settings_are_missing(guarded: Mosquitto) -> None:
    with pytest.raises(BusRefusedError, match=r"mqtt\.username"):
        async with connect(Broker.from_url(guarded.url, Mqtt())):
            pass


async def test_a_password_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    settings = Mqtt(username="edge", password_file=tmp_path / "absent")
    with pytest.raises(BusRefusedError, match=r"mqtt\.password_file: .*absent"):
        async with connect(Broker.from_url("mqtt://127.0.0.1:1", settings)):
            pass


async def test_an_absent_broker_can_be_tried_again(new_mosquitto: Callable[..., Mosquitto]) -> None:
    mosquitto = new_mosquitto()
    mosquitto.kill()
    broker = Broker.from_url(mosquitto.url, Mqtt())
    with pytest.raises(BusError, match="cannot be reached") as caught:
        async with connect(broker):
            pass
    assert caught.value.can_retry
    mosquitto.start()
    async with connect(broker):
        pass


@pytest.mark.parametrize(
    "url", ["http://h", "mqtt://", "mqtt://h:x", "mqtt://u:secret@h", "mqtt://h/path", "localhost:1883", "mqtt://[::1"]
)
def test_a_wrong_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigError, match=r"mqtt\.url") as caught:
        Broker.from_url(url, Mqtt())
    assert "secret" not in str(caught.value)


def test_the_scheme_chooses_port_and_tls() -> None:
    assert (Broker.from_url("mqtts://h", Mqtt()).port, Broker.from_url("mqtts://h", Mqtt()).tls) == (8883, True)
    assert (Broker.from_url("mqtt://h", Mqtt()).port, Broker.from_url("mqtt://h", Mqtt()).tls) == (1883, False)


async def test_messages_arrive_in_the_order_they_were_published_in(mosquitto: Mosquitto) -> None:
    broker = Broker.from_url(mosquitto.url, Mqtt())
    acknowledged: list[int] = []
    async with connect(broker) as subscriber, connect(broker) as publisher:
        await subscriber.subscribe("t/#")
        await publisher.publish([Message(f"t/{i % 3}", b"%d" % i) for i in range(1000)], acknowledged.append)
        received = []
        async for message in subscriber.messages():
            received.append(int(message.payload))
            if len(received) == 1000:
                break
    assert received == list(range(1000))
    assert sorted(acknowledged) == received


async def test_what_was_received_before_the_end_is_handed_on(mosquitto: Mosquitto) -> None:
    broker = Broker.from_url(mosquitto.url, Mqtt())
    async with connect(broker) as subscriber, connect(broker) as publisher:
        await subscriber.subscribe("t")
        messages = subscriber.messages()
        await publisher.publish([Message("t", b"%d" % i) for i in range(100)], lambda _: None)
        received = [int((await anext(messages)).payload)]
        async with asyncio.timeout(60):
            while len(subscriber._client.messages) < 99:  # noqa: ASYNC110 - they are on their way
                await asyncio.sleep(0.01)
        mosquitto.kill()
        with pytest.raises(BusError, match="lost"):  # noqa: PT012 - after how many is the question
            while True:
                await asyncio.sleep(0.01)
                received.append(int((await anext(messages)).payload))
    assert received == list(range(100))


async def test_a_broker_killed_while_publishing_is_noticed_at_once(
    mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ANSWER_S", 600)
    async with connect(Broker.from_url(mosquitto.url, Mqtt())) as connection:
        mosquitto.signal(signal.SIGSTOP)
        publishing = asyncio.create_task(connection.publish([Message("t", b"1")] * 10, lambda _: None))
        await asyncio.sleep(0.05)
        mosquitto.kill()
        async with asyncio.timeout(60):
            with pytest.raises(BusError, match="lost"):
                await publishing


async def test_a_broker_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "ANSWER_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        files = open_files()
        with pytest.raises(BusError, match="cannot be reached"):
            async with connect(Broker.from_url(f"mqtt://127.0.0.1:{mute.getsockname()[1]}", Mqtt())):
                pass
        async with asyncio.timeout(60):
            while open_files() > files:
                gc.collect()
                await asyncio.sleep(0.01)


async def test_a_remembered_session_tells_whether_the_broker_kept_its_memory(mosquitto: Mosquitto) -> None:
    broker = Broker.from_url(mosquitto.url, Mqtt())
    known = []
    for visit in range(3):
        if visit == 2:
            mosquitto.kill()
            mosquitto.start()
        async with connect(broker, client_id="me") as connection:
            known.append(connection.session_present)
    assert known == [False, True, False]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tls")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    for name in ("broker", "other"):
        files = ["-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}"]
        command = ["openssl", "req", "-x509", *curve, *files, "-addext", "subjectAltName=IP:127.0.0.1"]
        subprocess.run(command, check=True, capture_output=True, cwd=directory)
    return directory


async def test_tls_is_checked_against_the_given_authority(
    new_mosquitto: Callable[..., Mosquitto], certificates: Path
) -> None:
    mosquitto = new_mosquitto(
        f"allow_anonymous true\ncertfile {certificates}/broker.pem\nkeyfile {certificates}/broker.key"
    )
    url = mosquitto.url.replace("mqtt:", "mqtts:")
    async with connect(Broker.from_url(url, Mqtt(url=url, ca_file=certificates / "broker.pem"))) as connection:
        await connection.publish([Message("t", b"1")], lambda _: None)
    with pytest.raises(BusRefusedError, match=r"mqtt\.ca_file"):
        async with connect(Broker.from_url(url, Mqtt(url=url, ca_file=certificates / "other.pem"))):
            pass
    with pytest.raises(BusRefusedError, match=r"mqtt\.ca_file"):
        async with connect(Broker.from_url(url, Mqtt(url=url, ca_file=certificates / "broker.key"))):
            pass


async def test_a_cancelled_publisher_is_cancelled(mosquitto: Mosquitto) -> None:
    async with connect(Broker.from_url(mosquitto.url, Mqtt())) as connection:
        mosquitto.signal(signal.SIGSTOP)
        publishing = asyncio.create_task(connection.publish([Message("t", b"1")], lambda _: None))
        await asyncio.sleep(0.05)
        publishing.cancel()
        with suppress(asyncio.CancelledError):
            await publishing
        assert publishing.cancelled()
        mosquitto.signal(signal.SIGCONT)


async def test_whoever_is_cancelled_while_the_broker_answers_is_cancelled(
    mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = client._Client._on_connect

    def cancelled_at_once(self: client._Client, *answer: object) -> None:
        answered(self, *answer)
        connecting.cancel()

    async def visit() -> None:
        async with connect(Broker.from_url(mosquitto.url, Mqtt())):
            pass

    monkeypatch.setattr(client._Client, "_on_connect", cancelled_at_once)
    connecting = asyncio.create_task(visit())
    await asyncio.wait([connecting])
    assert connecting.cancelled()
