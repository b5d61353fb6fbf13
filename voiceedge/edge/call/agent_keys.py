"""The keys by which somebody who was called passes the caller on (docs/bridges.md): * and a digit, a number, and #."""

from dataclasses import dataclass

PATIENCE_S = 5.0  # between two keys
LONGEST_NUMBER = 20


@dataclass(frozen=True, slots=True)
class SendOn:
    """`*1 NUMBER #`: the caller goes there at once."""

    number: str


@dataclass(frozen=True, slots=True)
class Consult:
    """`*2 NUMBER #`: ask there first, while the caller hears music."""

    number: str


@dataclass(frozen=True, slots=True)
class TalkAll:
    """`*3`: all three hear each other."""


@dataclass(frozen=True, slots=True)
class BackToCaller:
    """`*4`: whoever was asked is let go."""


Command = SendOn | Consult | TalkAll | BackToCaller


class AgentKeys:
    """`pending` while a command is being keyed: its keys are nobody else's."""

    def __init__(self) -> None:
        self._keys = ""

    @property
    def pending(self) -> bool:
        return bool(self._keys)

    def forget(self) -> None:
        self._keys = ""

    def press(self, key: str) -> Command | None:
        """The command that `key` completes. A second * begins anew; what makes no sense is forgotten."""
        if not self._keys and key != "*":
            return None
        keys, self._keys = self._keys + key, ""
        match keys[:2], keys[2:]:
            case "**", _:
                self._keys = "*"
            case "*3", _:
                return TalkAll()
            case "*4", _:
                return BackToCaller()
            case "*1", number if number.endswith("#") and len(number) > 1:
                return SendOn(number[:-1])
            case "*2", number if number.endswith("#") and len(number) > 1:
                return Consult(number[:-1])
            case (("*" | "*1" | "*2"), number) if not number or (number.isdigit() and len(number) <= LONGEST_NUMBER):
                self._keys = keys
            case (("*1" | "*2"), number) if number.endswith("*"):
                self._keys = "*"
        return None
