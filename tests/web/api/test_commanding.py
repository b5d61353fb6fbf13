"""The API over MQTT: the same commands, done once by their id, answered to whoever asked."""

import asyncio
import json
from typing import Any

import aiomqtt
import api_site
import pytest
from mosquitto import Mosquitto

from voiceedge.web import commanding

OPEN = {"channel": "kakao", "reference": "room-1", "slots": {"order": {"value": "A-1", "personal_data": "none"}}}


@pytest.mark.slow
async def test_a_channel_that_knows_only_mqtt_does_all_of_it(tmp_path, mosquitto: Mosquitto):
    async with api_site.opened(tmp_path, mqtt={"url": mosquitto.url}) as site, asyncio.TaskGroup() as tasks:
        following = tasks.create_task(commanding.follow(site.services, lambda: mosquitto.url))
        async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
            await client.subscribe("voiceedge/test/api/v1/answers/+", qos=1)

            async def ask(name: str, command: str, wish: Any) -> dict[str, Any]:
                payload = wish if isinstance(wish, bytes) else json.dumps(wish).encode()
                while True:
                    await client.publish(f"voiceedge/test/v1/commands/{name}/{command}", payload, qos=1)
                    try:
                        async with asyncio.timeout(2):  # it may not have subscribed yet
                            async for message in client.messages:
                                assert not message.topic.matches("voiceedge/+/v1/#")  # who follows events gets none
                                if str(message.topic).endswith(f"/answers/{command}"):
                                    return json.loads(bytes(message.payload))
                    except TimeoutError:
                        continue

            async with asyncio.timeout(60):
                made = await ask("conversations/open", "c1", OPEN)
                assert made["status"] == 201
                again = await ask("conversations/open", "c1", OPEN)
                assert again == made
                name = made["body"]["id"]
                said = {"conversation_id": name, "by": "customer", "text": "여보세요"}
                assert (await ask("conversations/turn", "c2", said))["status"] == 200
                read = await ask("conversations/read", "c3", {"conversation_id": name})
                assert [turn["text"] for turn in read["body"]["turns"]] == ["여보세요"]
                call = {"campaign": "remind", "number": "010-1234-5678", "conversation_id": name}
                assert (await ask("calls/add", "c4", call))["status"] == 202
                for number, wrong in enumerate(({}, b"[]", b"\xff", {"conversation_id": "../x"}, b"[" * 70_000)):
                    answer = await ask("conversations/read", f"w{number}", wrong)
                    assert answer["status"] in {400, 422}, wrong
                missing = await ask("conversations/read", "c5", {"conversation_id": "nobody"})
                assert (missing["status"], missing["body"]["code"]) == (404, "no_such_conversation")
        following.cancel()
