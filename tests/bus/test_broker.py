import socket

import pytest

from voiceedge.bus.broker import EmbeddedBroker
from voiceedge.bus.client import Broker, Message, connect
from voiceedge.config import Mqtt
from voiceedge.errors import BusError


async def test_port_0_takes_a_free_port_and_tells_it() -> None:
    embedded = EmbeddedBroker("127.0.0.1", 0)
    await embedded.start()
    try:
        assert embedded.url
        broker = Broker.from_url(embedded.url, Mqtt())
        async with connect(broker) as subscriber, connect(broker) as publisher:
            await subscriber.subscribe("t/#")
            await publisher.publish([Message("t/1", b"%d" % i) for i in range(500)], lambda _: None)
            received = []
            async for message in subscriber.messages():
                received.append(int(message.payload))
                if len(received) == 500:
                    break
        assert received == list(range(500))
    finally:
        await embedded.stop()


async def test_a_taken_port_is_named_with_the_ways_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        embedded = EmbeddedBroker("127.0.0.1", other.getsockname()[1])
        with pytest.raises(BusError, match=r"mqtt\.embedded_port"):
            await embedded.start()
    await embedded.start()  # the other program is gone
    await embedded.stop()


def test_the_embedded_broker_is_for_this_machine_only() -> None:
    with pytest.raises(BusError, match=r"mqtt\.url"):
        EmbeddedBroker("0.0.0.0", 1883)


async def test_a_stopped_broker_can_be_started_again() -> None:
    embedded = EmbeddedBroker("127.0.0.1", 0)
    for _ in range(2):
        await embedded.start()
        assert embedded.url
        async with connect(Broker.from_url(embedded.url, Mqtt())):
            pass
        await embedded.stop()
        assert embedded.url is None
