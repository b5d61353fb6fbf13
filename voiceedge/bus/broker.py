"""The embedded MQTT broker (amqtt) for a site without one: this machine only, nothing kept on disk."""

import asyncio
import logging
from contextlib import suppress

from amqtt.broker import Broker as AmqttBroker
from amqtt.contexts import BrokerConfig
from amqtt.errors import BrokerError

from voiceedge.errors import BusError

LOOPBACK = {"127.0.0.1", "::1", "localhost"}
DELIVER_S = 2.0
STOP_S = 5.0
POLL_S = 0.01


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

    async def delivered(self) -> None:
        """Wait until subscribers have what was acknowledged to publishers: amqtt drops it when a publisher leaves."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DELIVER_S):
                while self._broker and _is_busy(self._broker):  # noqa: ASYNC110 - amqtt has no event for it
                    await asyncio.sleep(POLL_S)


def _is_busy(broker: AmqttBroker) -> bool:
    """Told nowhere: a message goes from its publisher's queue to the common one, then to a task for each reader."""
    sessions = (session for session, _ in broker._sessions.values())  # noqa: SLF001
    return (
        any(not session.delivered_message_queue.empty() for session in sessions)
        or not broker._broadcast_queue.empty()  # noqa: SLF001
        or any(not task.done() for task in broker._tasks_queue)  # noqa: SLF001
    )
