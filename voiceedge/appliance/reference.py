"""The configuration on paper, made from its models: docs/configuration.md and the service's systemd/voiceedge.toml."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from voiceedge.config import DEFAULT_PATH, Config

# Where the service installed by systemd/ keeps things.
SERVICE: Mapping[str, str] = {
    "site.data_dir": "/var/lib/voiceedge",
    "site.run_dir": "/run/voiceedge",
    "flows.dir": "/etc/voiceedge/ivr_flows",
}

Schema = dict[str, Any]


def handbook() -> str:
    """docs/configuration.md."""
    lines = [
        "# Configuration",
        "",
        "<!-- Made from voiceedge/config.py by scripts/docs; edit the descriptions there. -->",
        "",
        f"One TOML file: `--config FILE`, else `{DEFAULT_PATH}` where it exists, else the defaults below. Relative",
        "paths are meant from the file's own folder. An unknown key or a value that is not allowed stops the start,",
        "with its line and the nearest known name. `systemd/voiceedge.toml` is this page as a file to start from, and",
        "`voiceedge doctor` tells whether the machine can do what is configured.",
    ]
    for section, keys in _sections():
        lines += ["", f"## [{section}]", "", "| key | values | default | meaning |", "|---|---|---|---|"]
        lines += [
            f"| `{key}` | {_values(schema)} | {_default(schema)} | {schema['description']} |"
            for key, schema in keys.items()
        ]
    return "\n".join(lines) + "\n"


def sample() -> str:
    """systemd/voiceedge.toml."""
    lines = [
        f"# VoiceEdge as a service: install as {DEFAULT_PATH}. Made from voiceedge/config.py by scripts/docs.",
        "# A key that is commented out shows its default, or an example where it has none.",
    ]
    for section, keys in _sections():
        lines += ["", f"[{section}]"]
        tables = {key: schema for key, schema in keys.items() if schema.get("type") == "object"}
        for key, schema in keys.items():
            if key not in tables:
                ours = SERVICE.get(f"{section}.{key}")
                value = ours or schema.get("default") or schema.get("examples", [schema.get("default")])[0]
                lines += ["", f"# {schema['description']}", f"{'' if ours else '# '}{key} = {_toml(value)}"]
        for key, schema in tables.items():
            lines += ["", f"# {schema['description']}", f"[{section}.{key}]"]
            lines += [f"# {_toml(name)} = {_toml(value)}" for name, value in schema["examples"][0].items()]
    return "\n".join(lines) + "\n"


def write(root: Path) -> None:
    (root / "docs" / "configuration.md").write_text(handbook(), encoding="utf-8")
    (root / "systemd" / "voiceedge.toml").write_text(sample(), encoding="utf-8")


def _sections() -> Iterator[tuple[str, dict[str, Schema]]]:
    for name, field in Config.model_fields.items():
        schema = type(field.default).model_json_schema()
        yield name, schema["properties"]


def _default(schema: Schema) -> str:
    default = schema.get("default")
    return "none" if default in (None, [], {}) else f"`{_toml(default)}`"


def _toml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _values(schema: Schema) -> str:
    """The values a key takes, in words, from its JSON Schema."""
    match schema:
        case {"anyOf": [inner, {"type": "null"}]}:
            words = _values(inner)
        case {"enum": choices}:
            words = " or ".join(f"`{_toml(choice)}`" for choice in choices)
        case {"prefixItems": [*items]}:
            words = f"[{', '.join(_values(item) for item in items)}]"
        case {"items": item}:
            words = f"list of {_values(item)}"
        case {"format": "path"}:
            words = "path"
        case {"pattern": pattern}:
            words = f"text like `{pattern}`"
        case {"type": kind}:
            words = {"string": "text", "object": "table", "boolean": "`true` or `false`"}.get(kind, "number")
            words = "whole number" if kind == "integer" else words
    limits = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    return " ".join([words, *(f"{word} {schema[limit]:g}" for limit, word in limits.items() if limit in schema)])


if __name__ == "__main__":
    write(Path.cwd())
