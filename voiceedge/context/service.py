"""What the control process runs for conversations: the store, the outbox with its broker, and the resume tokens."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import structlog

from voiceedge.bus.broker import EmbeddedBroker
from voiceedge.bus.client import Broker, Connection, connect
from voiceedge.clock import Clock
from voiceedge.config import Config, Mqtt
from voiceedge.context.cloudevents import StampedEvent, new_id
from voiceedge.context.events.call import CallStarted, EventData
from voiceedge.context.people.access import AccessLog
from voiceedge.context.people.archive import Archive
from voiceedge.context.people.customers import Claim, Customers
from voiceedge.context.people.retention import Retention
from voiceedge.context.privacy.keys import KeyRing, fingerprint, keys_fingerprint, load_key
from voiceedge.context.privacy.pii import pseudonym_key
from voiceedge.context.publishing.hub import Hub
from voiceedge.context.publishing.outbox import Outbox, OutboxState, status_message
from voiceedge.context.record import Changes, Conversation
from voiceedge.context.resuming.continuing import Continuing
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.gathering import Gathering
from voiceedge.context.storage.lease import Lease
from voiceedge.context.storage.store import Commit, Store
from voiceedge.errors import BusError, CustomerError, StoreError

FLUSH_S = 5.0
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ContextHealth:
    """`problem` says why events wait and what to do, or is None; `pending` is None while the store fails."""

    broker_url: str | None
    broker_connected: bool
    published: int
    pending: int | None
    problem: str | None


class ContextService:
    """`async with ContextService(config, clock) as service:`, or `start` and `stop` by the same task."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._config, self._clock = config, clock
        self.database = Database.of(config)
        self._store = Store(self.database, config.site.name, config.context.tenants)
        self._lease = self._new_lease() if self.database.shared else None
        self._outbox = Outbox(
            self._store,
            self._connect,
            clock,
            site=config.site.name,
            keep=config.context.outbox_limit,
            lease=self._lease,
        )
        self._gathering, self._noting = Gathering(self._keep, clock), Gathering(self._keep, clock, gather_s=0)
        self.hub = Hub(self.database, clock)
        self._embedded: EmbeddedBroker | None = None
        self._given: Broker | None = None
        if config.mqtt.url:
            self._given = Broker.from_url(config.mqtt.url, config.mqtt)
        else:
            self._embedded = EmbeddedBroker(config.mqtt.embedded_host, config.mqtt.embedded_port)
        self._running = AsyncExitStack()
        self.listeners: list[Callable[[], None]] = []  # told when there is something for webhooks
        self._store.listeners.append(self._added)

    async def start(self) -> None:
        """Raises StoreError where this machine's database cannot be used; an absent server makes events wait."""
        async with AsyncExitStack() as stack:
            directory = self._config.site.data_dir
            self._key_id = KeyRing(directory, "token", self._clock).signing().id
            self.continuing = Continuing(self._store, self.database, self._config, self._clock, self.ingest)
            key = pseudonym_key(directory)
            self.archive = Archive(self.database, self._store, key)
            self.customers = Customers(self.database, self._store, key, self._clock, self.note)
            self.access = AccessLog(self.database, key, self._clock, directory)
            self.retention = Retention(
                self.database, self._keep, self.access, self._config.retention, key, directory, self._clock
            )
            stack.push_async_callback(self.database.close)
            await self._open()
            if self._embedded:
                stack.push_async_callback(self._embedded.stop)
                stack.callback(broker_url_file(self._config).unlink, missing_ok=True)
                with suppress(BusError):  # the outbox says why, and tries again
                    await self._broker()
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            publishing = tasks.create_task(self._outbox.run(), name="outbox")
            stack.callback(publishing.cancel)
            handing_on = tasks.create_task(self.hub.run(), name="hub")
            stack.callback(handing_on.cancel)
            if self._lease:
                keeping = tasks.create_task(self._lease.keep(self._outbox.wake), name="lease")
                stack.callback(keeping.cancel)
            self._running = stack.pop_all()

    async def stop(self) -> None:
        """Let the last events out, if that is quick; the others stay in the store for the next start."""
        if self._outbox.state.connected:
            await self._outbox.flushed(FLUSH_S)
        if self._embedded:
            await self._embedded.delivered()
        await self._running.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def ingest(self, batch: Sequence[StampedEvent]) -> None:
        """Return when the events are on the disk, or raise StoreError. An event that comes twice is kept once.

        Callers whose number the network has vouched for are then known as customers.
        """
        await self._gathering.ingest(batch)
        for event in batch:
            if isinstance(event.data, CallStarted) and event.changes.number:
                claim = Claim("phone", event.changes.number, verified=True, source="network")
                with suppress(CustomerError):  # a number of some private kind
                    await self.customers.identify(event.conversation, claim, who="network")

    async def ingest_now(self, batch: Sequence[StampedEvent]) -> None:
        """As `ingest`, for few events of which somebody waits: without waiting for others to come."""
        await self._noting.ingest(batch)

    async def note(self, conversation: str, event: EventData, changes: Changes | None = None) -> None:
        """Keep what just happened, at once; `ingest` otherwise."""
        stamped = StampedEvent(
            id=new_id(self._clock),
            time=self._clock.now(),
            conversation=conversation,
            type=event.type,
            data=event,
            changes=changes or Changes(),
        )
        await self.ingest_now([stamped])

    def check_node(self) -> None:
        """Raises StoreError where this node may not speak for its name: it was away, or another has the same."""
        if self._lease:
            self._lease.check()

    async def silent_nodes(self, for_s: float) -> list[str]:
        """Others that have not been at work for so long, by their names. Raises StoreError."""
        return await self._lease.silent(for_s) if self._lease else []

    async def join(self, *, visit: str, into: str) -> str:
        """As `Store.join`."""
        return await self._store.join(visit=visit, into=into)

    async def _keep(self, batch: Sequence[StampedEvent]) -> None:
        try:
            await self._store.ingest(batch)
        except BaseException:  # it may have been kept all the same, and nobody told
            self._outbox.wake()
            self.hub.wake()
            raise

    def _added(self, commit: Commit) -> None:
        self._outbox.offer(commit.events)
        self.hub.offer(commit.events)
        if commit.sends:
            for tell in self.listeners:
                tell()

    async def conversation(self, conversation_id: str) -> Conversation | None:
        return await self._store.conversation(conversation_id)

    async def redeem_token(self, token: str, channel: str) -> Conversation:
        """Burn the token; raises TokenRefusedError with the reason."""
        return (await self.continuing.redeem(channel, "link", token)).conversation

    @property
    def broker_url(self) -> str | None:
        """Where subscribers connect to; None until the embedded broker runs."""
        return self._embedded.url if self._embedded else self._config.mqtt.url

    @property
    def outbox(self) -> OutboxState:
        """How publishing goes, without asking the database."""
        return self._outbox.state

    async def health(self) -> ContextHealth:
        state, pending, problem = self._outbox.state, None, self._outbox.state.problem
        try:
            pending = await self._store.count_pending()
        except StoreError as error:
            problem = str(error)
        return ContextHealth(self.broker_url, state.connected, state.published, pending, problem)

    def _new_lease(self) -> Lease:
        directory = self._config.site.data_dir
        machine = fingerprint(load_key(directory, "node"))
        return Lease(self.database, self._clock, machine=machine, keys=lambda: keys_fingerprint(directory))

    async def _open(self) -> None:
        try:
            await self.database.open()
            if self._lease:
                await self._lease.renew()
        except StoreError as error:
            if not self.database.shared:
                raise
            log.warning("store_away", problem=str(error), effect="calls go on, events wait until it is back")

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[Connection]:
        site, node = self._config.site.name, self.database.node
        broker, will = await self._broker(), status_message(site, node, online=False)
        # The embedded broker drops what it has not delivered when its publisher leaves: its memory is no promise.
        client_id = None if self._embedded else f"voiceedge-{site}-{self._key_id}{node and '-'}{node}"
        async with connect(broker, client_id=client_id, will=will) as connection:
            yield connection

    async def _broker(self) -> Broker:
        if self._given:
            return self._given
        assert self._embedded  # noqa: S101 - one of both is there
        if self._embedded.url is None:
            await self._embedded.start()
            file = broker_url_file(self._config)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(str(self._embedded.url), encoding="utf-8")
        return Broker.from_url(str(self._embedded.url), Mqtt())


def broker_url_file(config: Config) -> Path:
    """Tells other programs of this machine where the embedded broker listens, for as long as it does."""
    return config.site.run_dir / "mqtt.url"
