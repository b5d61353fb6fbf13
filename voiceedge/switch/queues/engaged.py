"""Which phones each worker of this node has said to be on a call."""

from collections.abc import Mapping
from dataclasses import dataclass

from voiceedge.switch.queues.messages import RENEW_S, PhonesBusy

LEASE_MS = round(3 * RENEW_S * 1000)  # a worker that died says nothing any more


@dataclass(frozen=True, slots=True)
class _Said:
    phones: frozenset[str]
    until_ms: int


class Engaged:
    def __init__(self) -> None:
        self._said: dict[str, _Said] = {}  # by worker

    def heard(self, news: PhonesBusy, now_ms: int) -> Mapping[str, int]:
        """Of every phone that this is about, until when it is on a call; 0: it no longer is."""
        before = self._said.get(news.worker)
        phones, until = frozenset(news.phones), now_ms + LEASE_MS
        self._said[news.worker] = _Said(phones, until)
        others = [said for worker, said in self._said.items() if worker != news.worker]
        freed = {
            phone: max((said.until_ms for said in others if phone in said.phones), default=0)
            for phone in (before.phones if before else frozenset()) - phones
        }
        return {**freed, **dict.fromkeys(phones, until)}
