"""The API over MQTT: the same commands, done once by their id, answered to whoever asked."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import api_site
import pytest
import structlog
from mosquitto import Mosquitto

from voiceedge.web import commanding

OPEN = {"channel": "kakao", "reference": "room-1", "slots": {"order": {"value": "A-1", "personal_data": "none"}}}


class Channel:
    """One that knows only MQTT. `place` is what stands in its topics before `commands` and `answers`."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client

    async def ask(self, name: str, command: str, wish: Any, place: str = "") -> dict[str, Any]:
        payload = wish if isinstance(wish, bytes) else json.dumps(wish).encode()
        while True:
            await self._client.publish(f"voiceedge/test/v1/{place}commands/{name}/{command}", payload, qos=1)
            try:
                async with asyncio.timeout(2):  # it may not have subscribed yet
                    async for message in self._client.messages:
                        assert not message.topic.matches("voiceedge/+/v1/#")  # who follows events gets none
                        if str(message.topic) == f"voiceedge/test/api/v1/{place}answers/{command}":
                            return dict(json.loads(bytes(message.payload)))
            except TimeoutError:
                continue


@asynccontextmanager
async def channel(directory: Path, mosquitto: Mosquitto, **tables: Any) -> AsyncIterator[Channel]:
    async with (
        api_site.opened(directory, mqtt={"url": mosquitto.url}, **tables) as site,
        asyncio.TaskGroup() as tasks,
        asyncio.timeout(150),
    ):
        obeying = tasks.create_task(commanding.obey(site.services, lambda: mosquitto.url))
        async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
            await client.subscribe("voiceedge/test/api/v1/#", qos=1)
            yield Channel(client)
        obeying.cancel()


@pytest.mark.slow
async def test_a_channel_that_knows_only_mqtt_does_all_of_it(tmp_path: Path, mosquitto: Mosquitto) -> None:
    async with channel(tmp_path, mosquitto) as one:
        made = await one.ask("conversations/open", "c1", OPEN)
        assert made["status"] == 201
        again = await one.ask("conversations/open", "c1", OPEN)
        assert again == made
        name = made["body"]["id"]
        said = {"conversation_id": name, "by": "customer", "text": "여보세요"}
        assert (await one.ask("conversations/turn", "c2", said))["status"] == 200
        read = await one.ask("conversations/read", "c3", {"conversation_id": name})
        assert [turn["text"] for turn in read["body"]["turns"]] == ["여보세요"]
        call = {"campaign": "remind", "number": "010-1234-5678", "conversation_id": name}
        assert (await one.ask("calls/add", "c4", call))["status"] == 202
        for number, wrong in enumerate(({}, b"[]", b"\xff", {"conversation_id": "../x"}, b"[" * 70_000)):
            answer = await one.ask("conversations/read", f"w{number}", wrong)
            assert answer["status"] in {400, 422}, wrong
        missing = await one.ask("conversations/read", "c5", {"conversation_id": "nobody"})
        assert (missing["status"], missing["body"]["code"]) == (404, "no_such_conversation")


@pytest.mark.slow
async def test_a_tenants_topics_lead_to_its_own_conversations_alone(tmp_path: Path, mosquitto: Mosquitto) -> None:
    tenants = {"mqtt_tenants": ["main", "shop"]}
    async with channel(tmp_path, mosquitto, context=tenants) as one:
        ours = await one.ask("conversations/open", "c1", OPEN, "tenants/shop/")
        theirs = await one.ask("conversations/open", "c1", OPEN)  # the same id, and reference, of another tenant
        assert (ours["status"], theirs["status"]) == (201, 201)
        assert ours["body"]["id"] != theirs["body"]["id"]
        for place, own, foreign in (
            ("tenants/shop/", ours, theirs),
            ("", theirs, ours),
            ("tenants/main/", theirs, ours),
        ):
            read = {"conversation_id": own["body"]["id"]}
            assert (await one.ask("conversations/read", "r1", read, place))["status"] == 200
            read = {"conversation_id": foreign["body"]["id"]}
            assert (await one.ask("conversations/read", "r2", read, place))["status"] == 404


@pytest.mark.slow
async def test_a_tenant_that_is_not_named_is_refused_and_told(tmp_path: Path, mosquitto: Mosquitto) -> None:
    with structlog.testing.capture_logs() as logs:
        async with channel(tmp_path, mosquitto, context={"mqtt_tenants": ["shop"]}) as one:
            for place in ("tenants/elsewhere/", ""):
                told = await one.ask("conversations/open", "c1", OPEN, place)
                assert (told["status"], told["body"]["code"]) == (403, "unknown_tenant")
    refused = [line["tenant"] for line in logs if line["event"] == "command_refused"]
    assert {"elsewhere", "main"} == set(refused)
