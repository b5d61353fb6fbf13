"""Mosquitto beside the service: watched with its own client, killed in mid-call, and away when the service stops."""

import asyncio
from shutil import which

import pytest
from mosquitto import Mosquitto
from published import validate_as_published
from talk import talk, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (which("mosquitto") and which("mosquitto_sub")), reason="mosquitto is not installed"),
]


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    broker = Mosquitto(tmp_path_factory.mktemp("mosquitto"))
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture(scope="module")
def service(light, broker):
    """Its models are not where they should be."""
    speech = {"enabled": True, "vosk_model": "/nowhere/vosk", "whisper_model": "/nowhere/whisper"}
    with light(mqtt={"url": broker.url}, speech=speech) as running:
        yield running


async def test_a_call_can_be_watched_with_a_plain_mqtt_client(service, broker):
    watcher = await asyncio.create_subprocess_exec(
        "mosquitto_sub", "-p", str(broker.port), "-q", "1", "-t", "voiceedge/#", "-F", "%t %p",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert watcher.stdout
    async with asyncio.timeout(150):
        first = await watcher.stdout.readline()  # retained: from here on nothing is missed
        assert first == b'voiceedge/test/v1/status {"state": "online"}\n'
        async with talk(service) as call:
            await call.entered("menu")
            await call.press("2")
            await call.entered("more")
            await call.press("2")
            await call.call.ended()
        seen = []
        while not seen or seen[-1]["type"] != "voiceedge.call.ended":
            topic, _, payload = (await watcher.stdout.readline()).decode().partition(" ")
            seen.append(validate_as_published(topic, payload.encode()))
            assert topic == f"voiceedge/test/v1/events/{seen[-1]['subject']}"
    watcher.terminate()
    await watcher.wait()
    assert seen == call.events


async def test_a_broker_killed_in_mid_call_costs_no_event(service, broker):
    """Neither a subscriber who begins anew nor one whom the broker should have remembered."""
    async with service.events(identifier="desk", clean_session=False) as desk, talk(service) as call:
        await call.entered("menu")
        broker.kill()
        await call.press("2")
        await call.silence(await call.spoken_to())  # the call goes on
        await call.press("2")
        await call.call.ended()
        broker.start()
        ended = await call.over()
        assert [turn["value"] for turn in call.of("turn.heard")] == ["hours", "done"]
        assert ended["outcome"] == "said_goodbye"
        await until(lambda: [event for event in desk.all if event["subject"] == call.conversation] == call.events)


async def test_a_service_told_to_stop_says_goodbye_and_publishes_the_rest_when_it_can(service, broker):
    async with talk(service) as call:
        await call.entered("menu")
        broker.kill()
        stopped = asyncio.create_task(asyncio.to_thread(service.stop))
        await call.call.ended()
        assert await stopped == 0
        broker.start()
        assert not call.of("call.ended")
        await asyncio.to_thread(service.start)
        ended = await call.over()
        assert (ended["cause"], ended["outcome"]) == ("shutdown", "caller_hung_up")


def test_a_service_without_models_says_what_is_reduced(service):
    """The tests above have called it by keys."""
    log = service.log.read_text()
    assert "/nowhere/vosk" in log
    assert "/nowhere/whisper" in log
    assert log.count("speech_reduced") >= 2
