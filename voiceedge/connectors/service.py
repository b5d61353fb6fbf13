"""All connectors of a site: asked by name, each within its time, and never failing but by an answer that says so."""

import asyncio
import math
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog

from voiceedge.clock import Clock, timeout
from voiceedge.connectors.answers import Answer, Failed, Found, NotFound, NotThereError, SystemFailedError
from voiceedge.connectors.breaker import Breaker, State
from voiceedge.connectors.cache import Cache, Key
from voiceedge.connectors.csv_file import CsvSource
from voiceedge.connectors.http import HttpSource
from voiceedge.connectors.postgres import PostgresSource
from voiceedge.connectors.profile import ConnectorsFile, CsvProfile, HttpProfile, Profile, SqlProfile
from voiceedge.connectors.source import Source
from voiceedge.connectors.sqlite import SqliteSource
from voiceedge.connectors.trying import TryOut
from voiceedge.connectors.values import QuestionError, as_texts, plain_values
from voiceedge.errors import ConfigError
from voiceedge.toml_file import read_toml

LATEST = 200  # times that the percentile is taken of

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ConnectorState:
    """How a connector does in this process, since it began. `asked` the other system; `kept` answers came from here."""

    name: str
    kind: str
    breaker: State
    rests_s: float  # how long still
    asked: int
    kept: int
    found: int
    not_found: int
    failed: int
    seconds: float  # of all questions to the other system together
    p95_ms: float | None  # of the latest ones
    problem: str  # the last failure, until it answers again


class Connectors:
    """`async with Connectors.load(file, clock) as connectors`: at the end all connections are closed."""

    def __init__(self, profiles: Mapping[str, Profile], clock: Clock) -> None:
        """Raises OSError where a ca_file holds no certificates."""
        self.profiles = profiles
        self._clock = clock
        self._connectors = {name: Connector(name, profile, clock) for name, profile in profiles.items()}

    @classmethod
    def load(cls, file: Path | None, clock: Clock) -> Self:
        """Raises ConfigError naming file, line and key. None: there are no connectors."""
        profiles = load_profiles(file)
        try:
            return cls(profiles, clock)
        except OSError as error:
            raise ConfigError(f"{file}: a ca_file holds no certificates (PEM): {error.strerror or error}.") from error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connector in self._connectors.values():
            await connector.close()

    async def look_up(self, name: str, values: Mapping[str, Any]) -> Answer:
        """Raises nothing: whatever goes wrong is a Failed, within the profile's time."""
        connector = self._connectors.get(name)
        if connector is None:
            return Failed(self._unknown(name))
        answer, _ = await connector.look_up(values)
        return answer

    async def try_out(self, name: str, values: Mapping[str, Any]) -> TryOut:
        """The same, with all that whoever tries it wants to know."""
        began = self._clock.monotonic()
        connector = self._connectors.get(name)
        answer, kept = await connector.look_up(values) if connector else (Failed(self._unknown(name)), False)
        return TryOut(name, answer, (self._clock.monotonic() - began) * 1000, kept)

    def state(self) -> list[ConnectorState]:
        return [connector.state() for connector in self._connectors.values()]

    def _unknown(self, name: str) -> str:
        known = f"there are {', '.join(sorted(self.profiles))}" if self.profiles else "connectors.file names none"
        return f'there is no connector "{name}"; {known}'


class Connector:
    """One of them: equal questions at the same moment are asked once, and no more of them than `at_once`."""

    def __init__(self, name: str, profile: Profile, clock: Clock) -> None:
        self._name, self._profile, self._clock = name, profile, clock
        self._source = _source(profile, clock)
        self._breaker = Breaker(profile.breaker, clock)
        self._cache = Cache(profile.cache_s, clock)
        self._places = asyncio.Semaphore(profile.at_once)
        self._asking: dict[Key, asyncio.Task[Answer]] = {}
        self._figures = Figures()

    async def look_up(self, values: Mapping[str, Any]) -> tuple[Answer, bool]:
        """The answer, and whether it was kept from before."""
        try:
            texts = as_texts(self._profile, values)
        except QuestionError as error:
            return Failed(str(error)), False
        if texts is None:
            return NotFound(), False
        key = self._cache.key(texts)
        if kept := self._cache.get(key):
            self._figures.kept += 1
            return kept, True
        if (asking := self._asking.get(key)) is None:
            asking = self._asking[key] = asyncio.create_task(self._ask(texts, key))
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(asking), False  # others may be waiting for the same

    async def close(self) -> None:
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        await self._source.close()

    def state(self) -> ConnectorState:
        figures = self._figures
        return ConnectorState(
            name=self._name,
            kind=self._profile.kind,
            breaker=self._breaker.state,
            rests_s=self._breaker.rests_s,
            asked=figures.asked,
            kept=figures.kept,
            found=figures.ended[Found],
            not_found=figures.ended[NotFound],
            failed=figures.ended[Failed],
            seconds=figures.seconds,
            p95_ms=figures.p95_ms,
            problem=figures.problem,
        )

    async def _ask(self, texts: Mapping[str, str], key: Key) -> Answer:
        if not self._breaker.admit():
            self._figures.ended[Failed] += 1
            return Failed(f"it has failed too often, and is left alone for {math.ceil(self._breaker.rests_s)} s")
        began = self._clock.monotonic()
        answer = await self._answer(texts)
        self._figures.note(answer, self._clock.monotonic() - began)
        self._cache.put(key, answer)
        return answer

    async def _answer(self, texts: Mapping[str, str]) -> Answer:
        rest_helps = True
        try:
            async with timeout(self._clock, self._profile.timeout_s), self._places:
                raw = await self._source.ask(texts)
            answer: Answer = Found(plain_values(raw), self._profile.classes)
        except NotThereError as error:
            answer = NotFound(error.many)
        except SystemFailedError as error:
            answer, rest_helps = Failed(str(error)), error.rest_helps
        except TimeoutError:
            answer = Failed(f"no answer within {self._profile.timeout_s:g} s")
        except Exception as error:  # noqa: BLE001 - a fault of ours ends no call; the error's text may hold values
            answer = Failed(f"our own fault: {type(error).__name__}")
            log.error("connector_broken", connector=self._name, error=type(error).__name__)  # noqa: TRY400
        self._judge(answer, rest_helps=rest_helps)
        return answer

    def _judge(self, answer: Answer, *, rest_helps: bool) -> None:
        before = self._breaker.state
        if isinstance(answer, Failed) and rest_helps:
            self._breaker.failed()
            if before != "open" == self._breaker.state:
                log.warning("connector_rests", connector=self._name, reason=answer.reason)
        else:
            self._breaker.answered()
            if before != "closed":
                log.info("connector_back", connector=self._name)


@dataclass
class Figures:
    """What a connector counts; `seconds` and `latest` are of questions that reached the other system."""

    kept: int = 0
    asked: int = 0
    ended: Counter[type[Answer]] = field(default_factory=Counter)
    seconds: float = 0.0
    latest: deque[float] = field(default_factory=lambda: deque(maxlen=LATEST))
    problem: str = ""

    def note(self, answer: Answer, took_s: float) -> None:
        self.asked += 1
        self.ended[type(answer)] += 1
        self.seconds += took_s
        self.latest.append(took_s)
        self.problem = answer.reason if isinstance(answer, Failed) else ""

    @property
    def p95_ms(self) -> float | None:
        ordered = sorted(self.latest)
        return ordered[math.ceil(0.95 * len(ordered)) - 1] * 1000 if ordered else None


def load_profiles(file: Path | None) -> Mapping[str, Profile]:
    """Raises ConfigError naming file, line and key, for secrets that cannot be read too. None: there are none."""
    if file is None:
        return {}
    profiles = read_toml(ConnectorsFile, file).connectors
    for name, profile in profiles.items():
        for key, needed in profile.files():
            try:
                needed.open("rb").close()
            except OSError as error:
                where = f"{file}: connectors.{name}.{key}"
                raise ConfigError(f"{where}: {needed} cannot be read: {error.strerror}.") from error
    return profiles


def _source(profile: Profile, clock: Clock) -> Source:
    match profile:
        case HttpProfile():
            return HttpSource(profile)
        case CsvProfile():
            return CsvSource(profile)
        case SqlProfile(file=Path() as file):
            return SqliteSource(profile, file)
        case SqlProfile(url=str() as url):
            return PostgresSource(profile, url, clock)
    raise AssertionError(profile.kind)
