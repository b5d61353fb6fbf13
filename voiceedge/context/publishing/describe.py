"""Writes down what is published: a JSON Schema for each event and the AsyncAPI 3.0 document, both made from the models.

`python -m voiceedge.context.publishing.describe` writes them into the context; a test fails when they are not in step.
"""

import inspect
import io
import json
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from voiceedge.context.cloudevents import CONTENT_TYPE, CONVERSATION_ID, CloudEvent, schema_id
from voiceedge.context.events.call import EventData
from voiceedge.context.events.catalogue import EVENTS

HERE = Path(__file__).parents[1]
SCHEMAS = HERE / "schemas"
ASYNCAPI = HERE / "asyncapi.yaml"
DRAFT = "https://json-schema.org/draft/2020-12/schema"

Json = dict[str, Any]


def documents() -> dict[Path, str]:
    """Each generated file and what it should hold."""
    files = {ASYNCAPI: _yaml(asyncapi())}
    for event in EVENTS:
        schema = {"$schema": DRAFT, "$id": schema_id(event.type), **event.model_json_schema(mode="serialization")}
        files[SCHEMAS / f"{event.type}.json"] = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    return files


def asyncapi() -> Json:
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "VoiceEdge events",
            "version": "1.0.0",
            "description": (
                "What happens in conversations, as CloudEvents 1.0 in structured JSON over MQTT 3.1.1, QoS 1.\n"
                "An event may come more than once: `source` with `id` tells. A conversation's events come in order,\n"
                "and `sequence` counts them. No event carries personal data in the clear, and none is retained."
            ),
            "license": {"name": "GPL-3.0-or-later"},
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {
            "site": {
                "host": "{host}",
                "protocol": "mqtt",
                "protocolVersion": "3.1.1",
                "description": "The site's broker, or the embedded one of a site without.",
                "variables": {"host": {"default": "127.0.0.1:1883", "description": "Host and port, as in mqtt.url."}},
            }
        },
        "channels": {
            "events": {
                "address": "voiceedge/{site}/v1/events/{conversation}",
                "description": "What happens in one conversation; subscribe to voiceedge/{site}/v1/events/+.",
                "parameters": {
                    "site": {"description": "site.name of the configuration."},
                    "conversation": {"description": f"The conversation's id, {CONVERSATION_ID}."},
                },
                "messages": {event.__name__: _ref("messages", event.__name__) for event in EVENTS},
            },
            **_commands("", {}),
            **_commands("tenants/{tenant}/", {"tenant": {"description": "One of context.mqtt_tenants."}}),
            "outboundOrders": {
                "address": "voiceedge/{site}/v1/commands/outbound/add",
                "description": "Orders for calls, where outbound.mqtt_commands is on, answered by events.",
                "parameters": {"site": {"description": "site.name of the configuration."}},
                "messages": {"OutboundOrder": _ref("messages", "OutboundOrder")},
            },
            "status": {
                "address": "voiceedge/{site}/v1/status",
                "description": "Whether the site is connected; retained, and the site's last will.",
                "parameters": {"site": {"description": "site.name of the configuration."}},
                "messages": {"Status": _ref("messages", "Status")},
            },
            "nodeStatus": {
                "address": "voiceedge/{site}/v1/status/{node}",
                "description": "The same of each node, in its place where several nodes share a PostgreSQL.",
                "parameters": {
                    "site": {"description": "site.name of the configuration."},
                    "node": {"description": "switch.node of the configuration."},
                },
                "messages": {"Status": _ref("messages", "Status")},
            },
        },
        "operations": {
            "publishEvents": _operation("events", retain=False),
            "publishAnswers": _operation("answers", retain=False),
            "publishTenantAnswers": _operation("tenantAnswers", retain=False),
            "takeCommands": _operation("commands", retain=False, action="receive"),
            "takeTenantCommands": _operation("tenantCommands", retain=False, action="receive"),
            "takeOutboundOrders": _operation("outboundOrders", retain=False, action="receive"),
            "publishStatus": _operation("status", retain=True),
            "publishNodeStatus": _operation("nodeStatus", retain=True),
        },
        "components": {
            "messages": {
                **{event.__name__: _message(event) for event in EVENTS},
                **{name: _plain(name) for name in ("Command", "Answer", "OutboundOrder")},
                "Status": {
                    "name": "Status",
                    "contentType": "application/json",
                    "payload": _ref("schemas", "Status"),
                },
            },
            "schemas": {
                "CloudEvent": CloudEvent.model_json_schema(mode="serialization"),
                **{event.__name__: event.model_json_schema(mode="serialization") for event in EVENTS},
                "Command": {"type": "object"},
                "Answer": {
                    "type": "object",
                    "properties": {"status": {"type": "integer"}, "body": {}},
                    "required": ["status", "body"],
                },
                "OutboundOrder": {
                    "type": "object",
                    "properties": {"number": {"type": "string"}, "campaign": {"type": "string"}},
                    "required": ["number", "campaign"],
                },
                "Status": {
                    "type": "object",
                    "properties": {"state": {"enum": ["online", "offline"]}},
                    "required": ["state"],
                    "additionalProperties": False,
                },
            },
        },
    }


def _message(event: type[EventData]) -> Json:
    return {
        "name": event.type,
        "summary": str(inspect.getdoc(event)).split("\n")[0],
        "contentType": CONTENT_TYPE,
        "payload": {
            "allOf": [
                _ref("schemas", "CloudEvent"),
                {
                    "type": "object",
                    "properties": {
                        "type": {"const": event.type},
                        "dataschema": {"const": schema_id(event.type)},
                        "data": _ref("schemas", event.__name__),
                    },
                },
            ]
        },
    }


def _commands(place: str, parameters: Json) -> Json:
    """What is asked for, and its answers: of the tenant main, or of the tenant whose `place` it is."""
    of_site = {"site": {"description": "site.name of the configuration."}, **parameters}
    commands, answers = ("tenantCommands", "tenantAnswers") if place else ("commands", "answers")
    return {
        commands: {
            "address": f"voiceedge/{{site}}/v1/{place}commands/{{subject}}/{{verb}}/{{command}}",
            "description": (
                "A request of the HTTP API, where context.mqtt_commands is on: its body, with conversation_id or "
                "call_id where its path has one (docs/api.md)."
            ),
            "parameters": {
                **of_site,
                "subject": {"enum": ["conversations", "tokens", "calls"]},
                "verb": {"enum": ["open", "read", "change", "turn", "close", "token", "call-back", "resolve", "add"]},
                "command": {"description": f"Chosen by whoever asks, {CONVERSATION_ID}: done once, answered there."},
            },
            "messages": {"Command": _ref("messages", "Command")},
        },
        answers: {
            "address": f"voiceedge/{{site}}/api/v1/{place}answers/{{command}}",
            "description": "What the HTTP API would have answered.",
            "parameters": {**of_site, "command": {"description": "As the command named itself."}},
            "messages": {"Answer": _ref("messages", "Answer")},
        },
    }


def _plain(name: str) -> Json:
    return {"name": name, "contentType": "application/json", "payload": _ref("schemas", name)}


def _operation(channel: str, *, retain: bool, action: str = "send") -> Json:
    """As seen from us, as AsyncAPI 3 has it."""
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "bindings": {"mqtt": {"qos": 1, "retain": retain, "bindingVersion": "0.2.0"}},
    }


def _ref(kind: str, name: str) -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}


def _yaml(document: Json) -> str:
    yaml = YAML(typ="rt")
    yaml.width = 4096
    yaml.representer.ignore_aliases = lambda _data: True
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()


def main() -> None:
    SCHEMAS.mkdir(exist_ok=True)
    wanted = documents()
    for stale in set(SCHEMAS.glob("*.json")) - set(wanted):
        stale.unlink()
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
