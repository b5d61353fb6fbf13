"""Orders from a CSV file, as office programs write it."""

import csv
from pathlib import Path
from typing import Any

from voiceedge.errors import ConfigError

OF_AN_ORDER = frozenset(
    {"id", "number", "flow", "caller_id", "not_before", "until", "priority", "attempts"} | {"conversation"}
)
MOST = 100_000  # lines


def read_csv(path: Path, campaign: str) -> list[tuple[int, dict[str, Any]]]:
    """Each order with its line. Columns that are none of an order's own are slots of the flow; empty cells are unset.

    Raises ConfigError where the file cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if "number" not in (reader.fieldnames or ()):
                raise ConfigError(f'{path}: its first line must name the columns, of which one is "number".')
            orders: list[tuple[int, dict[str, Any]]] = []
            for row in reader:
                if len(orders) == MOST:
                    raise ConfigError(f"{path}: has more than {MOST} lines; give it in parts.")
                orders.append((reader.line_num, _order(row, campaign)))
            return orders
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: is no CSV in UTF-8: {error}.") from error


def _order(row: dict[Any, Any], campaign: str) -> dict[str, Any]:
    """Cells beyond the head, under None, are refused with the order."""
    given = {key or "too_many_columns": value for key, value in row.items() if value}
    order = {key: value for key, value in given.items() if key in OF_AN_ORDER}
    values = {key: value for key, value in given.items() if key not in OF_AN_ORDER}
    return {"campaign": campaign, **order, "values": values}
