"""Connections to an MQTT 3.1.1 broker by aiomqtt: QoS 1, and every trouble told as `BusError` with a remedy."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import aiomqtt

from voiceedge.config import Mqtt
from voiceedge.errors import BusError, ConfigError

KEEPALIVE_S = 15
ANSWER_S = 10.0  # for CONNACK, SUBACK and any PUBACK: a broker that takes longer is as good as away
IN_FLIGHT = 256
INCOMING = 10_000

PORTS = {"mqtt": 1883, "mqtts": 8883}
REFUSED_CREDENTIALS = {4, 5, 134, 135}  # CONNACK of MQTT 3.1.1 §3.2.2.3, and as paho numbers them
SUBACK_FAILURE = 0x80

Answer = TypeVar("Answer")


class BusRefusedError(BusError):
    """The broker is there and does not want us: somebody must change a setting first."""

    can_retry = False


@dataclass(frozen=True, slots=True)
class Message:
    topic: str
    payload: bytes
    retain: bool = False


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is and how to get in; the password is read from its file at each connection."""

    host: str
    port: int
    settings: Mqtt
    tls: bool = False

    @classmethod
    def from_url(cls, url: str, settings: Mqtt) -> "Broker":
        try:
            parts = urlsplit(url)
            port = parts.port or PORTS[parts.scheme]
        except (ValueError, KeyError) as error:
            raise ConfigError("mqtt.url: write mqtt://host:port, or mqtts://host:port for TLS.") from error
        if not parts.hostname or parts.username or parts.password or parts.path.strip("/"):
            raise ConfigError("mqtt.url: write mqtt://host:port only; user and password have settings of their own.")
        return cls(parts.hostname, port, settings, tls=parts.scheme == "mqtts")

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Connection:
    """An open connection. Its methods raise BusError when it is lost."""

    def __init__(self, client: "_Client", broker: Broker) -> None:
        self._client, self._broker = client, broker

    @property
    def session_present(self) -> bool:
        """Whether the broker remembers our last visit; if not, it may have forgotten what it acknowledged, too."""
        return self._client.session_present

    async def lost(self) -> None:
        """Wait for the connection's end, which is raised."""
        await self._client.ended.wait()
        raise self._lost()

    async def publish(self, messages: Sequence[Message], acknowledged: Callable[[int], None]) -> None:
        """Send all without waiting for one another, in order; `acknowledged` gets the index of each on its PUBACK."""

        async def one(index: int, message: Message) -> None:
            await self._client.publish(message.topic, message.payload, 1, message.retain, timeout=ANSWER_S)
            acknowledged(index)

        try:
            async with asyncio.TaskGroup() as watched:
                watch = watched.create_task(self.lost())
                async with asyncio.TaskGroup() as sending:
                    for index, message in enumerate(messages):
                        sending.create_task(one(index, message))
                watch.cancel()
        except ExceptionGroup as troubles:
            _, unknown = troubles.split((aiomqtt.MqttError, BusError))
            if unknown:
                raise unknown from None
            raise self._lost() from None

    async def subscribe(self, topic: str) -> None:
        try:
            granted = await self._client.subscribe(topic, qos=1, timeout=ANSWER_S)
        except aiomqtt.MqttError:
            raise self._lost() from None
        if any(_number(code) >= SUBACK_FAILURE for code in granted):
            raise BusRefusedError(
                f"the broker {self._broker} does not let this user read {topic}: see its access list."
            )

    async def messages(self) -> AsyncIterator[Message]:
        """What is subscribed to, for as long as the connection lasts; its end is raised."""
        while True:
            # The broker has our word for what has been received: it is handed on before an end is told.
            while message := self._client.received():
                yield _plain(message)
            try:
                message = await anext(self._client.messages)
            except aiomqtt.MqttError:
                if not len(self._client.messages):
                    raise self._lost() from None
            else:
                yield _plain(message)

    def _lost(self) -> BusError:
        return BusError(
            f"the connection to the broker {self._broker} was lost: it is tried again; is the broker running?"
        )


@asynccontextmanager
async def connect(
    broker: Broker, *, client_id: str | None = None, will: Message | None = None
) -> AsyncIterator[Connection]:
    """Connect, raising BusError if that fails. With a `client_id` the broker is asked to remember the session."""
    client = _Client(
        broker.host,
        broker.port,
        username=broker.settings.username,
        password=_password(broker.settings),
        identifier=client_id,
        clean_session=client_id is None,
        will=aiomqtt.Will(will.topic, will.payload, 1, will.retain) if will else None,
        timeout=ANSWER_S,
        keepalive=KEEPALIVE_S,
        max_inflight_messages=IN_FLIGHT,
        max_queued_incoming_messages=INCOMING,
        tls_context=_tls_context(broker.settings) if broker.tls else None,
    )
    client.pending_calls_threshold = IN_FLIGHT
    try:
        await client.__aenter__()
    except aiomqtt.MqttError as error:
        raise _refused(broker, error) from None
    try:
        yield Connection(client, broker)
    finally:
        with suppress(aiomqtt.MqttError):
            await client.__aexit__(None, None, None)


class _Client(aiomqtt.Client):
    """aiomqtt's client, which tells in addition whether the session was known, and when the connection has ended."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.session_present = False
        self.ended = asyncio.Event()
        self._disconnected.add_done_callback(self._note_end)

    def _note_end(self, end: asyncio.Future[None]) -> None:
        self.ended.set()
        if not end.cancelled():
            end.exception()  # looked at, or asyncio would report it when nobody else did

    def _on_connect(self, client: Any, userdata: Any, flags: Any, reason_code: Any, properties: Any = None) -> None:
        self.session_present = bool(flags.session_present)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def received(self) -> aiomqtt.Message | None:
        return None if self._queue.empty() else self._queue.get_nowait()

    async def _wait_for(self, answer: Awaitable[Answer], timeout: float | None) -> Answer:  # noqa: ASYNC109 - aiomqtt's
        """Whoever is cancelled in the moment of the answer is cancelled: asyncio.wait_for forgets it before 3.12."""
        try:
            async with asyncio.timeout(self.timeout if timeout is None else timeout):
                return await answer
        except TimeoutError:
            raise aiomqtt.MqttError("Operation timed out") from None

    async def __aenter__(self) -> Self:
        try:
            return await super().__aenter__()
        except BaseException:
            self._client.disconnect()  # aiomqtt leaves the socket open when CONNACK does not come
            raise


def _plain(message: aiomqtt.Message) -> Message:
    payload = message.payload if isinstance(message.payload, bytes) else b""
    return Message(str(message.topic), payload, bool(message.retain))


def _password(settings: Mqtt) -> str | None:
    if settings.password_file is None:
        return None
    try:
        return settings.password_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise BusRefusedError(f"mqtt.password_file: {settings.password_file} cannot be read: {reason}.") from None


def _tls_context(settings: Mqtt) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:
        raise BusRefusedError(
            f"mqtt.ca_file: {settings.ca_file} is not readable as PEM certificates: {error}."
        ) from None


def _number(code: Any) -> int:
    """paho gives plain numbers here and reason codes there."""
    return int(getattr(code, "value", code) or 0)


def _refused(broker: Broker, error: aiomqtt.MqttError) -> BusError:
    if _number(getattr(error, "rc", None)) in REFUSED_CREDENTIALS:
        who = f"the user {broker.settings.username}" if broker.settings.username else "a client without a user"
        return BusRefusedError(
            f"the broker {broker} refuses {who}: set mqtt.username, and put that user's password into the file that "
            f"mqtt.password_file names ({broker.settings.password_file or 'unset'})."
        )
    if "certificate" in str(error).lower():
        return BusRefusedError(
            f"the broker {broker} has a certificate that is not trusted ({error}): see mqtt.ca_file."
        )
    return BusError(f"the broker {broker} cannot be reached ({error}): start it, or correct mqtt.url.")
