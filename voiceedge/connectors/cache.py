"""Answers kept for a while, found again by a keyed hash of the question: what was asked is nowhere in it."""

import hashlib
import json
import secrets
from collections import OrderedDict
from collections.abc import Mapping

from voiceedge.clock import Clock
from voiceedge.connectors.answers import Answer, Failed

MOST_KEPT = 1000  # answers of one connector

Key = bytes


class Cache:
    """The least recently used go first. Failures are not kept."""

    def __init__(self, keep_s: float, clock: Clock) -> None:
        self._keep_s, self._clock = keep_s, clock
        self._secret = secrets.token_bytes(16)
        self._kept: OrderedDict[Key, tuple[float, Answer]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def key(self, values: Mapping[str, str]) -> Key:
        question = json.dumps(sorted(values.items())).encode()
        return hashlib.blake2b(question, key=self._secret, digest_size=16).digest()

    def get(self, key: Key) -> Answer | None:
        until, answer = self._kept.get(key, (0.0, None))
        if answer is None:
            return None
        if until <= self._clock.monotonic():
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return answer

    def put(self, key: Key, answer: Answer) -> None:
        if not self._keep_s or isinstance(answer, Failed):
            return
        self._kept[key] = (self._clock.monotonic() + self._keep_s, answer)
        self._kept.move_to_end(key)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
