"""The embedded MQTT broker (amqtt) for a site without one: this machine only, nothing kept on disk."""

import asyncio
import logging
from contextlib import suppress

from amqtt.broker import Broker as AmqttBroker
from amqtt.contexts import BrokerConfig
from amqtt.errors import BrokerError

from voiceedge.errors import BusError

LOOPBACK = {"127.0.0.1", "::1", "localhost"}
STOP_S = 5.0


class EmbeddedBroker:
    """`url` is where clients find it once it is started."""

    def __init__(self, host: str, port: int) -> None:
        if host not in LOOPBACK:
            raise BusError(
                f"mqtt.embedded_host: {host} is not this machine: the embedded broker asks nobody for a password. "
                "For clients elsewhere run Mosquitto or EMQX and set mqtt.url."
            )
        self._host, self._port = host, port
        self._broker: AmqttBroker | None = None
        self.url: str | None = None

    async def start(self) -> None:
        logging.getLogger("amqtt").setLevel(logging.CRITICAL)  # it reports every client's coming and going as trouble
        config = {
            "listeners": {"default": {"type": "tcp", "bind": f"{self._host}:{self._port}"}},
            # Naming the plugins leaves out amqtt's own choice, which writes every packet to the log.
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
        broker = AmqttBroker(BrokerConfig.from_dict(config))
        try:
            await broker.start()
        except BrokerError as error:
            raise BusError(
                f"the embedded broker cannot listen on {self._host}:{self._port} ({error.__cause__ or error}): "
                "set mqtt.embedded_port to a free port (0 takes one), or mqtt.url to the broker that is there."
            ) from None
        self._broker = broker
        server = broker._servers["default"].instance  # noqa: SLF001 - amqtt does not tell the port it was given
        self.url = f"mqtt://{self._host}:{server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        if self._broker is None:
            return
        broker, self._broker, self.url = self._broker, None, None
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await broker.shutdown()
