"""Where in a JSON answer a value stands: `customer.name`, `orders[0].status`, `[0].grade`."""

import re
from dataclasses import dataclass
from typing import Any

_STEP = re.compile(r"(?P<dot>\.)?(?P<name>[^.\[\]]+)|\[(?P<index>\d{1,4})\]")


@dataclass(frozen=True, slots=True)
class JsonPath:
    source: str
    steps: tuple[str | int, ...]

    @staticmethod
    def parse(source: str) -> "JsonPath":
        """Raises ValueError with a message for the engineer."""
        steps: list[str | int] = []
        position = 0
        while match := _STEP.match(source, position):
            if match["name"] and bool(match["dot"]) != bool(steps):
                break
            steps.append(int(match["index"]) if match["index"] else match["name"])
            position = match.end()
        if position < len(source) or not steps:
            raise ValueError(
                f'"{source}" is no place in an answer; write one such as customer.name or orders[0].status'
            )
        return JsonPath(source, tuple(steps))

    def find(self, value: Any) -> Any:
        """None where there is nothing at this place."""
        for step in self.steps:
            if isinstance(step, str):
                value = value.get(step) if isinstance(value, dict) else None
            else:
                value = value[step] if isinstance(value, list) and step < len(value) else None
        return value
