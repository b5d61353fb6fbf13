import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from string import Formatter

import pytest
from mosquitto import Mosquitto
from rich.cells import cell_len

from voiceedge.bus.client import Broker, Message, connect
from voiceedge.cli.events import KINDS, line
from voiceedge.config import Mqtt
from voiceedge.context.cloudevents import CloudEvent
from voiceedge.context.events.catalogue import EVENTS

COMMAND = [sys.executable, "-c", "from voiceedge.cli import events, app; app(['events', *__import__('sys').argv[1:]])"]


def event(event_type: str, number: int = 1, **data: object) -> CloudEvent:
    return CloudEvent(
        id=f"id-{number}", source="/voiceedge/seoul", type=event_type, subject="conversation-abcdef",
        time=datetime(2026, 11, 22, tzinfo=UTC), dataschema="urn:x", sequence=str(number), data=data,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "data", "told"),
    [
        ("call.started", {"caller": "***5678", "called": "1588", "flow": "retail"}, "***5678 → 1588 (retail)"),
        ("step.entered", {"step": "menu", "says": "무엇을 도와드릴까요?"}, "menu 무엇을 도와드릴까요?"),
        ("step.entered", {"step": "keep", "says": None}, "keep"),
        (
            "turn.heard",
            {"transcript": "배송 조회", "by": "speech", "decision": "accept", "value": "delivery", "confidence": 0.934},
            "배송 조회 [speech accept delivery 0.93]",
        ),
        (
            "conversation.handed_over",
            {"channel": "web-chat", "reason": "agent", "token": "k.t.s"},
            "to web-chat: agent",
        ),
        ("call.ended", {"cause": "caller", "duration_ms": 9, "sip_code": 200}, "caller (9 ms, 200)"),
        ("recording.ended", {"seconds": 8.0, "error": None}, "8.00 s"),
        ("call.transferred", {"target": "sip:x\x1b[2J\n@y", "result": "done"}, "to sip:x [2J @y: done"),
        ("something.new", {"a": 1}, ""),
    ],
)
def test_an_event_is_one_line_with_its_parts_in_columns(kind: str, data: dict[str, object], told: str) -> None:
    text = line(event(f"voiceedge.{kind}", **data)).plain
    assert text.split("  ")[1] == "abcdef"
    assert text.endswith(told)
    assert "\n" not in text
    assert "\x1b" not in text
    assert "k.t.s" not in text
    if kind != "something.new":
        assert cell_len(text[: len(text) - len(told)]) == len("00:00:00  abcdef  transferred  ")


@pytest.mark.slow
async def test_events_are_followed_once_each_over_a_broker_restart_until_ctrl_c(mosquitto: Mosquitto) -> None:
    follower = await asyncio.create_subprocess_exec(
        *COMMAND, "--url", mosquitto.url, "--json", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert follower.stdout
    assert follower.stderr
    seen = []
    async with asyncio.timeout(150):
        for first in (1, 3):
            while b"connected to" not in await follower.stderr.readline():
                pass
            async with connect(Broker.from_url(mosquitto.url, Mqtt())) as connection:
                for number in (first, first, first + 1):
                    body = event("voiceedge.call.answered", number, set_up_ms=1).model_dump_json().encode()
                    message = Message("voiceedge/seoul/v1/events/c", body)
                    await connection.publish([message, Message(message.topic, b"{")], lambda _: None)
            seen += [json.loads(await follower.stdout.readline())["id"] for _ in range(2)]
            if first == 1:
                mosquitto.kill()
                mosquitto.start()
        follower.send_signal(signal.SIGINT)
        _, notes = await follower.communicate()
    assert seen == ["id-1", "id-2", "id-3", "id-4"]
    assert follower.returncode == 0
    assert b"no VoiceEdge event" in notes
    assert b"Traceback" not in notes


@pytest.mark.slow
def test_a_wrong_password_is_explained(new_mosquitto: Callable[..., Mosquitto], tmp_path: Path) -> None:
    (tmp_path / "passwords").write_text("")
    mosquitto = new_mosquitto(f"allow_anonymous false\npassword_file {tmp_path}/passwords")
    (tmp_path / "password").write_text("wrong-battery")
    settings = tmp_path / "voiceedge.toml"
    settings.write_text(f'[mqtt]\nurl = "{mosquitto.url}"\nusername = "edge"\npassword_file = "{tmp_path}/password"\n')
    told = subprocess.run([*COMMAND, "--config", settings], check=False, capture_output=True, text=True, timeout=150)
    assert told.returncode == 1
    assert "mqtt.password_file" in told.stderr
    assert "wrong-battery" not in told.stdout + told.stderr
    assert "Traceback" not in told.stderr


def test_every_event_has_a_line_of_its_own_and_a_place_in_the_docs():
    types = {event.type for event in EVENTS}
    assert set(KINDS) == types
    page = (Path(__file__).parents[2] / "docs" / "events.md").read_text(encoding="utf-8")
    assert not {name for name in types if f"`{name}`" not in page}
    for event in EVENTS:  # a field that is not there would be shown as a question
        fields = {name for _, name, _, _ in Formatter().parse(KINDS[event.type][2]) if name}
        assert fields <= set(event.model_fields), event.type
