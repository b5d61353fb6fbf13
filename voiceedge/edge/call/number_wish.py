"""Asks somebody who waits by which number to call them back: the one they call from, or another that they key."""

import re
from collections.abc import Callable, Sequence
from enum import StrEnum

from voiceedge.edge.call import announcing
from voiceedge.edge.call.announcing import CALL_BACK_KEY, LEAVE_KEY, YES_KEY
from voiceedge.flow.call import Utterance

LONGEST = 20
PAUSE_S = 3.0  # after a key, until it is the whole answer
SILENCE_S = 15.0  # after the question, which takes a while to say
_NUMBER = re.compile(r"\+?\d{7,20}")


class Wish(StrEnum):
    OPEN = "open"  # more keys may come
    CONFIRMED = "confirmed"
    WITHDRAWN = "withdrawn"


class NumberWish:
    """`question` is what the caller is asked now, `reachable` says whether a number may be called."""

    def __init__(self, caller: str, language: str, reachable: Callable[[str], bool]) -> None:
        self._language, self._reachable = language, reachable
        self._keys = ""
        self.question: Sequence[Utterance] = ()
        self.number = ""
        self._propose(caller)

    @property
    def patience_s(self) -> float:
        return PAUSE_S if self._keys else SILENCE_S

    def key(self, key: str) -> Wish:
        self.question = ()  # it has been heard
        match key:
            case _ if key == LEAVE_KEY:
                return Wish.WITHDRAWN
            case _ if key == CALL_BACK_KEY:
                return self._answered()
            case _ if len(self._keys) < LONGEST:
                self._keys += key
        return Wish.OPEN

    def paused(self) -> Wish:
        """No key came for `patience_s`."""
        return self._answered() if self._keys else Wish.WITHDRAWN

    def _answered(self) -> Wish:
        keys, self._keys = self._keys, ""
        if self.number and keys in {"", YES_KEY}:
            return Wish.CONFIRMED
        self._propose(keys)
        return Wish.OPEN

    def _propose(self, number: str) -> None:
        self.number = number if _NUMBER.fullmatch(number) and self._reachable(number) else ""
        confirm, ask = announcing.confirm, announcing.ask_number
        self.question = confirm(self.number, self._language) if self.number else ask(self._language)
