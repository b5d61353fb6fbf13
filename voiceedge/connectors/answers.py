"""What comes of a look-up: values, nobody, or a failure that names no value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from voiceedge.context.privacy.pii import PersonalDataClass
from voiceedge.errors import VoiceEdgeError


@dataclass(frozen=True, slots=True)
class Found:
    values: Mapping[str, Any]
    classes: Mapping[str, PersonalDataClass] = field(default_factory=dict)  # of the values, where they are known


@dataclass(frozen=True, slots=True)
class NotFound:
    many: bool = False  # several fit, and it could be any of them


@dataclass(frozen=True, slots=True)
class Failed:
    reason: str  # for the log: without values and without the address


Answer = Found | NotFound | Failed


class NotThereError(VoiceEdgeError):
    """The other system knows nobody, or nothing, of these values."""

    def __init__(self, *, many: bool = False) -> None:
        super().__init__("several fit" if many else "nothing is found")
        self.many = many


class SystemFailedError(VoiceEdgeError):
    """The other system gave no answer that can be used; the message names no value.

    `rest_helps` is False where leaving it alone for a while would not: it refused these values, or is a file.
    """

    can_retry = True

    def __init__(self, reason: str, *, rest_helps: bool = True) -> None:
        super().__init__(reason)
        self.rest_helps = rest_helps
