"""Holds a message against the AsyncAPI document alone, as a stranger would."""

import json
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from ruamel.yaml import YAML

from voiceedge.context.publishing.describe import ASYNCAPI

DOCUMENT: dict[str, Any] = YAML(typ="safe").load(ASYNCAPI)


def validate_as_published(topic: str, payload: bytes) -> dict[str, Any]:
    """Return the message; raises ValidationError."""
    body: dict[str, Any] = json.loads(payload)
    channel = "events" if "/events/" in topic else "status"
    messages = [DOCUMENT["components"]["messages"][name] for name in DOCUMENT["channels"][channel]["messages"]]
    (message,) = [message for message in messages if message["name"] == body.get("type", "Status")]
    schema = {**message["payload"], "components": DOCUMENT["components"]}
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(body)
    return body
