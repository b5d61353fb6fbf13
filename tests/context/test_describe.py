import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError
from making import one_of_each, stamped, until
from mosquitto import Mosquitto
from published import DOCUMENT, validate_as_published

from voiceedge.clock import RealClock
from voiceedge.config import Config, Mqtt, Site
from voiceedge.context.cloudevents import publish_form
from voiceedge.context.events.catalogue import EVENTS
from voiceedge.context.publishing.describe import ASYNCAPI, SCHEMAS, documents
from voiceedge.context.service import ContextService


def test_the_written_documents_are_in_step_with_the_models() -> None:
    for path, text in documents().items():
        assert path.read_text(encoding="utf-8") == text, "run: python -m voiceedge.context.publishing.describe"
    assert set(SCHEMAS.iterdir()) == set(documents()) - {ASYNCAPI}


# The fields that AsyncAPI 3.0.0 gives the objects we use: those that must be there, and the others that may.
FIELDS = {
    "document": ("asyncapi info", "id servers defaultContentType channels operations components"),
    "info": ("title version", "description termsOfService contact license tags externalDocs"),
    "server": (
        "host protocol",
        "protocolVersion pathname description title summary variables security tags externalDocs bindings",
    ),
    "channel": ("", "address messages title summary description servers parameters tags externalDocs bindings"),
    "parameter": ("", "enum default description examples location"),
    "operation": (
        "action channel",
        "title summary description security tags externalDocs bindings traits messages reply",
    ),
    "message": (
        "",
        (
            "headers payload correlationId contentType name title summary description tags externalDocs bindings "
            "examples traits"
        ),
    ),
}


def test_the_asyncapi_document_is_one_by_the_standard() -> None:
    def hold(kind: str, node: dict[str, Any]) -> None:
        required, optional = (set(fields.split()) for fields in FIELDS[kind])
        assert required <= set(node) <= required | optional, kind

    assert DOCUMENT["asyncapi"] == "3.0.0"
    hold("document", DOCUMENT)
    hold("info", DOCUMENT["info"])
    for server in DOCUMENT["servers"].values():
        hold("server", server)
    for channel in DOCUMENT["channels"].values():
        hold("channel", channel)
        assert set(re.findall(r"{(\w+)}", channel["address"])) == set(channel["parameters"])
        for parameter in channel["parameters"].values():
            hold("parameter", parameter)
    for operation in DOCUMENT["operations"].values():
        hold("operation", operation)
        assert operation["action"] in {"send", "receive"}
    for message in DOCUMENT["components"]["messages"].values():
        hold("message", message)
        Draft202012Validator.check_schema(message["payload"])


def test_each_reference_leads_somewhere() -> None:
    def references(node: object) -> list[str]:
        if isinstance(node, dict):
            return [node["$ref"]] if "$ref" in node else [ref for value in node.values() for ref in references(value)]
        return [ref for value in node for ref in references(value)] if isinstance(node, list) else []

    for reference in references(DOCUMENT):
        target: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]


@pytest.mark.parametrize("event", EVENTS)
def test_each_event_has_a_schema_of_its_own(event: type) -> None:
    schema = json.loads((SCHEMAS / f"{event.type}.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("data", one_of_each())
def test_each_event_is_valid_and_its_data_by_its_dataschema(data: Any) -> None:
    event = publish_form(stamped(data), "seoul", 7)
    validate_as_published("voiceedge/seoul/v1/events/c", event.model_dump_json().encode())
    schema = json.loads((SCHEMAS / f"{event.type}.json").read_text(encoding="utf-8"))
    assert schema["$id"] == event.dataschema
    Draft202012Validator(schema).validate(event.data)


@pytest.mark.parametrize(
    "wrong", [{"id": ""}, {"specversion": "0.3"}, {"sequence": 7}, {"subject": "a/b"}, {"data": {}}, {"type": "x"}]
)
def test_a_wrong_event_is_found_by_the_document(wrong: dict[str, Any]) -> None:
    event = json.loads(publish_form(stamped(one_of_each()[0]), "seoul", 7).model_dump_json())
    with pytest.raises((ValidationError, ValueError)):
        validate_as_published("voiceedge/seoul/v1/events/c", json.dumps({**event, **wrong}).encode())


@pytest.mark.timeout(400)
async def test_mosquitto_sub_sees_valid_events_without_personal_data(mosquitto: Mosquitto, tmp_path: Path) -> None:
    config = Config(
        site=Site(name="seoul", data_dir=tmp_path / "data", run_dir=tmp_path / "run"), mqtt=Mqtt(url=mosquitto.url)
    )
    expected = 2 + len(one_of_each())  # online, the events, offline
    subscriber = await asyncio.create_subprocess_exec(
        "mosquitto_sub", "-p", str(mosquitto.port), "-q", "1", "-t", "voiceedge/seoul/v1/#", "-t", "ready",
        "-F", "%r %t %p", "-C", str(expected + 1), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert subscriber.stdout
    ready = await asyncio.create_subprocess_exec(
        "mosquitto_pub", "-p", str(mosquitto.port), "-t", "ready", "-m", "now", "-r"
    )
    await ready.wait()
    async with asyncio.timeout(180):
        await subscriber.stdout.readline()  # the retained message: it is subscribed
        async with ContextService(config, RealClock()) as service:
            await until(lambda: service.outbox.connected, within_s=120)
            await service.ingest([stamped(data, "conversation-1") for data in one_of_each()])
            lines = [await subscriber.stdout.readline() for _ in range(expected - 1)]  # its stop does not wait long
        lines.append(await subscriber.stdout.readline())
        await subscriber.wait()
    types = []
    for line in lines:
        retained, topic, payload = line.split(b" ", 2)
        validate_as_published(topic.decode(), payload)
        assert b"01012345678" not in payload
        assert b"010-1234-5678" not in payload
        assert "공일공 일이삼사".encode() not in payload
        types.append(json.loads(payload).get("type", "status"))
        assert retained == b"0"  # seen live; whoever comes later is told the status only
    assert types == ["status", *(data.type for data in one_of_each()), "status"]
    late = await asyncio.create_subprocess_exec(
        "mosquitto_sub", "-p", str(mosquitto.port), "-t", "voiceedge/#", "-t", "ready", "-C", "2", "-W", "120",
        "-F", "%t %p", stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    told, _ = await late.communicate()
    assert told == b'voiceedge/seoul/v1/status {"state": "offline"}\nready now\n'  # all that is retained, in this order
