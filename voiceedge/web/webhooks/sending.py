"""Webhooks sent: in order of each conversation, again with growing pauses for a day, by one node at a time.

```
 waiting ──► POST ──► 2xx: delivered
    ▲         │
    └─ pause ─┴─ else, TRIES times: failed; a webhook to which nothing got through meanwhile is disabled
```
A redirect is a failure, for it would lead past `web.webhook_targets`; 410 Gone disables at once.
"""

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import NoReturn

import httpx
import structlog

import voiceedge
from voiceedge.channels.senders.signing import signed
from voiceedge.clock import Clock, sleep, timeout
from voiceedge.config_digital import origin
from voiceedge.context.cloudevents import CONTENT_TYPE
from voiceedge.context.storage.database import Database
from voiceedge.errors import StoreError
from voiceedge.web.webhooks import store
from voiceedge.web.webhooks.signing import secret_of
from voiceedge.web.webhooks.store import Delivery, Webhook

ANSWER_S = 10.0
LEASE_S = 60.0  # much longer than sending takes: no other node has the same in hand
AT_ONCE = 4  # of one webhook: a receiver that hangs takes nothing from the others
KEPT_OPEN = 100  # connections; of those in use there may be AT_ONCE for each webhook, so that none waits for another's
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 3600.0
TRIES = 34  # with these pauses, a day
GATHER_S = 0.05  # between two looks, however many events come
IDLE_S = 30.0  # until what a dead node had in hand is found
KEPT_S = 3 * 86_400

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of one POST: `status` is None where none came."""

    status: int | None
    problem: str = ""

    @property
    def taken(self) -> bool:
        return self.status is not None and HTTPStatus(200) <= self.status < HTTPStatus(300)


class Sender:
    """Posts to targets of the list only."""

    def __init__(self, targets: tuple[str, ...], key: bytes, clock: Clock) -> None:
        self._targets, self._key, self._clock = targets, key, clock
        self._client = httpx.AsyncClient(
            trust_env=False, follow_redirects=False, timeout=ANSWER_S, verify=ssl.create_default_context(),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=KEPT_OPEN),
            headers={"User-Agent": f"VoiceEdge/{voiceedge.__version__}", "Content-Type": CONTENT_TYPE},
        )  # fmt: skip

    async def close(self) -> None:
        await self._client.aclose()

    def allows(self, url: str) -> bool:
        try:
            return origin(url) in self._targets
        except ValueError:
            return False

    def secret_of(self, webhook_id: str) -> str:
        return secret_of(webhook_id, self._key)

    async def send(self, webhook: Webhook, event_id: str, body: str) -> Answered:
        """Of the answer only its status is read."""
        if not self.allows(webhook.url):
            return Answered(None, "web.webhook_targets does not list its host any more")
        content = body.encode()
        headers = signed(self.secret_of(webhook.id), event_id, int(self._clock.now().timestamp()), content)
        try:
            async with (
                timeout(self._clock, ANSWER_S),
                self._client.stream("POST", webhook.url, content=content, headers=dict(headers)) as answer,
            ):
                status = answer.status_code
        except TimeoutError:
            return Answered(None, f"no answer within {ANSWER_S:.0f} s")
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            return Answered(None, f"not reached ({type(error).__name__})")
        answered = Answered(status)
        return answered if answered.taken else Answered(status, f"answered {status}")


class Deliveries:
    """`run` sends for ever; `wake` says that there may be more to send."""

    def __init__(self, database: Database, sender: Sender, clock: Clock) -> None:
        self._database, self._sender, self._clock = database, sender, clock
        self._wake = asyncio.Event()
        self._in_hand: Counter[str] = Counter()
        self._prune_due = clock.monotonic()
        self._problem: str | None = None

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> NoReturn:
        async with asyncio.TaskGroup() as sending:
            while True:
                self._wake.clear()
                wait_s = IDLE_S
                try:
                    for webhook, delivery in await self._claimed():
                        self._in_hand[webhook.id] += 1
                        sending.create_task(self._deliver(webhook, delivery))
                    wait_s = await self._pause_s()
                    self._note(None)
                except StoreError as error:
                    self._note(str(error))
                with suppress(TimeoutError):
                    async with timeout(self._clock, wait_s):
                        await self._wake.wait()
                await sleep(self._clock, GATHER_S)

    async def _claimed(self) -> list[tuple[Webhook, Delivery]]:
        if self._clock.monotonic() >= self._prune_due:
            self._prune_due = self._clock.monotonic() + 3600
            async with self._database.begin() as connection:
                await store.prune(connection, self._now_ms() - KEPT_S * 1000)
        claimed = []
        async with self._database.begin() as connection:
            wanting = await store.enabled(connection)
        for webhook in wanting:
            if (room := AT_ONCE - self._in_hand[webhook.id]) > 0:
                now_ms = self._now_ms()
                until_ms = now_ms + int(LEASE_S * 1000)
                async with self._database.begin() as connection:
                    found = await store.claim(connection, webhook.id, now_ms, until_ms, room)
                claimed += [(webhook, delivery) for delivery in found]
        return claimed

    async def _deliver(self, webhook: Webhook, delivery: Delivery) -> None:
        try:
            answered = await self._sender.send(webhook, delivery.event_id, delivery.body)
            with suppress(StoreError):  # then the lease ends by itself, and it is sent again
                await self._said(webhook, delivery, answered)
        except Exception:
            log.exception("webhook_failed", webhook=webhook.id)  # one that is broken stops no other
        finally:
            self._in_hand[webhook.id] -= 1
            self._wake.set()

    async def _said(self, webhook: Webhook, delivery: Delivery, answered: Answered) -> None:
        now_ms, tries = self._now_ms(), delivery.tries + 1
        why = ""
        async with self._database.begin() as connection:
            if answered.taken:
                await store.over(connection, delivery.position, store.DELIVERED, now_ms, answered.status)
                return
            if answered.status == HTTPStatus.GONE:
                why = "it answered 410 Gone"
            elif tries >= TRIES:
                await store.over(connection, delivery.position, store.FAILED, now_ms, answered.status)
                since_ms = now_ms - 86_400_000
                if not await store.succeeded_since(connection, webhook.id, since_ms):
                    why = f"nothing got through for a day: {answered.problem}"
            else:
                due_ms = now_ms + int(pause_s(tries) * 1000)
                await store.again(connection, delivery.position, due_ms, answered.status, answered.problem)
            if why:
                await store.disable(connection, webhook.id, now_ms, why)
        level = log.error if why else log.warning
        effect = "disabled: subscribe anew when its receiver is well" if why else "tried again later"
        level("webhook_failed", webhook=webhook.id, tries=tries, problem=answered.problem, why=why, effect=effect)

    async def _pause_s(self) -> float:
        async with self._database.begin() as connection:
            due_ms = await store.next_due_ms(connection, now_ms := self._now_ms())
        return IDLE_S if due_ms is None else min(IDLE_S, (due_ms - now_ms) / 1000)

    def _note(self, problem: str | None) -> None:
        if problem and problem != self._problem:
            log.warning("webhooks_wait", problem=problem, effect="sent when the store is back")
        self._problem = problem

    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


def pause_s(tries: int) -> float:
    """After so many tries: 5 s, 10 s, 20 s … an hour."""
    return float(min(FIRST_PAUSE_S * 2 ** (tries - 1), LONGEST_PAUSE_S))


@asynccontextmanager
async def sending(database: Database, sender: Sender, clock: Clock) -> AsyncIterator[Callable[[], None]]:
    """Webhooks are sent for as long as the block lasts; what it gives is called when there are new events."""
    deliveries = Deliveries(database, sender, clock)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(deliveries.run())
        yield deliveries.wake
        running.cancel()
