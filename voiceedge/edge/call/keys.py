"""Collects keys into an answer: a menu key at once, digits until the end key, the last one or a pause."""

from voiceedge.flow.call import KeyRule


class KeyCollector:
    def __init__(self, rule: KeyRule) -> None:
        self._rule = rule
        self.keys = ""

    def add(self, key: str) -> str | None:
        """Return the answer when `key` completes it. Where it may begin a number, only the pause after it tells."""
        if self._rule.longest and self.keys and key == self._rule.end:
            return self.keys
        self.keys += key
        collecting = key.isdigit() and self._rule.longest > 0
        return None if collecting and len(self.keys) < self._rule.longest else self.keys
