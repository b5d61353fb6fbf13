"""What people get wrong and what machines run out of: flows, recordings, targets, passwords, models, disks."""

import asyncio
import re
import subprocess

import pytest
from commands import voiceedge
from disk import small_disk
from mosquitto import Mosquitto
from peer import Peer
from talk import now_ns, talk, until

pytestmark = pytest.mark.slow

RIGHT, WRONG = "correct-horse", "wrong-battery"
BROKEN = "flow: changing\nlanguage: ko\nstart: question\nsteps:\n  question:\n    aks: 번호를 눌러 주세요.\n"


async def test_a_reload_of_broken_flows_changes_nothing_and_says_where_the_mistake_is(service, flows):
    changing = flows / "changing.yaml"
    good = changing.read_text()
    changing.write_text(BROKEN)
    try:
        refused = await asyncio.to_thread(service.reload)
    finally:
        changing.write_text(good)
    assert refused["state"] == "refused"
    assert re.search(r"changing\.yaml:5:\d+: ", refused["problem"])
    async with talk(service, "6000") as call:
        await call.press("1")
        await call.call.ended()
        ended = await call.over()
        assert ended["outcome"] == "the_old_way"


def times_loaded(service):
    """How often the worker has loaded its flows, who is not the only one to do so."""
    lines = service.log.read_text().splitlines()
    return sum('"flows loaded"' in line and '"process": "worker-1"' in line for line in lines)


async def test_a_reload_is_for_the_next_call_and_not_for_the_running_one(service, flows):
    changing = flows / "changing.yaml"
    good = changing.read_text()
    async with service.events() as events, talk(service, "6000", events=events) as running:
        await running.entered("question")
        loaded = times_loaded(service)
        changing.write_text(good.replace("옛 인사입니다.", "새 인사입니다.").replace("the_old_way", "the_new_way"))
        try:
            await asyncio.to_thread(service.reload)
            await until(lambda: times_loaded(service) > loaded)
            async with talk(service, "6000", events=events) as next_call:
                for call, outcome in ((next_call, "the_new_way"), (running, "the_old_way")):
                    await call.press("1")
                    await call.call.ended()
                    ended = await call.over()
                    assert ended["outcome"] == outcome
        finally:
            changing.write_text(good)
            await asyncio.to_thread(service.reload)


async def test_a_recording_that_is_none_is_said_instead_and_named_in_the_log(service):
    async with talk(service, "2000") as call:
        await call.press("1234567#40991")
        pressed = now_ns()
        await call.entered("goodbye")
        await call.spoken_to(pressed)
        await call.call.ended()
    assert re.search(r"recording_unusable|goodbye\.wav: not a WAV file", service.log.read_text())


async def test_nobody_is_sent_to_a_target_that_is_not_allowed(service):
    async with talk(service, "4000") as call:
        await call.press("9")
        await call.call.ended()
        ended = await call.over()
        assert ended["outcome"] == "could_not_transfer"
        assert [data["result"] for data in call.of("call.transferred")] == ["refused"]
        assert "REFER" not in {request.method for request in call.call.requests}


async def test_a_caller_is_sent_on_to_a_target_that_is_allowed(service):
    async with talk(service, "4000") as call:
        call.rtp.press("7")
        refer = await call.call.asked_for("REFER")
        assert "sip:agents@127.0.0.1" in refer["refer-to"]
        await call.call.ended()
        ended = await call.over()
        assert ended["cause"] == "transfer"
        assert [data["result"] for data in call.of("call.transferred")] == ["done"]


@pytest.fixture(scope="module")
def poor(light, tmp_path_factory):
    """A service without models, and with the wrong password for its broker."""
    directory = tmp_path_factory.mktemp("poor")
    passwords, password = directory / "passwords", directory / "password"
    password.write_text(WRONG)
    try:
        subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "edge", RIGHT], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("mosquitto is not installed")
    broker = Mosquitto(directory, f"allow_anonymous false\npassword_file {passwords}")
    broker.start()
    mqtt = {"url": broker.url, "username": "edge", "password_file": str(password)}
    try:
        with light(directory, mqtt=mqtt) as running:
            yield running
    finally:
        broker.kill()


async def test_a_wrong_mqtt_password_keeps_no_caller_from_being_served(poor):
    """Nor do missing models: keys work."""
    async with Peer() as peer:
        call = await peer.invite(poor.uri("4000"))
        assert (await call.final()).status == 200
        await until(call.rtp.sound_ns)
        await call.press("9")
        await call.ended()
    log = await until(lambda: "mqtt.password_file" in poor.log.read_text() and poor.log.read_text())
    assert "callers use keys" in log
    assert WRONG not in log


async def test_doctor_names_the_setting_of_a_wrong_password_and_never_the_secret(poor):
    async with asyncio.timeout(120), voiceedge("doctor", "--config", poor.config) as doctor:
        told, _ = await doctor.communicate()
    text = re.sub(r"\s+", " ", told.decode())
    assert doctor.returncode == 1
    assert "mqtt.password_file" in text
    assert "callers use keys" in text
    assert WRONG not in text


async def test_what_waited_for_the_right_password_is_published_then(poor):
    (poor.directory / "password").write_text(RIGHT)
    async with poor.events(username="edge", password=RIGHT) as events:
        ended = await events.until("call.ended")
        assert ended["outcome"] == "could_not_transfer"
        assert [int(event["sequence"]) for event in events.all] == list(range(1, len(events.all) + 1))


async def test_a_full_disk_stops_no_call_and_loses_no_event(light, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    with small_disk(data, megabytes=4) as full, light(tmp_path) as service:
        async with talk(service, "4000") as before:
            await before.entered("pick")
        async with talk(service, "4000") as call:
            await call.entered("pick")
            with full():
                await call.press("9")
                await call.call.ended()
                await until(lambda: "events_waiting" in service.log.read_text())
                assert not call.of("call.ended")
            ended = await call.over()
            assert ended["outcome"] == "could_not_transfer"
