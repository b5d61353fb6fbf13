"""The connectors file: how other systems are asked, explained in docs/connectors.md."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from voiceedge.config import DatabaseUrl
from voiceedge.connectors import statement
from voiceedge.connectors.paths import JsonPath
from voiceedge.context.privacy.pii import PersonalDataClass
from voiceedge.toml_file import FilePath, Section

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_PARAMETER = r"^[A-Za-z_][A-Za-z0-9_]{0,39}$"
_OURS = frozenset({"host", "content-length", "content-type", "transfer-encoding", "connection", "accept-encoding"})

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,39}$")]
Parameter = Annotated[str, Field(pattern=_PARAMETER)]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")]


def _url(url: str) -> str:
    head, separator, _ = url.partition("{")
    try:
        parts = urlsplit(head)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("give https://host/path; values such as {phone} stand behind the host")
    if parts.username or parts.password:
        raise ValueError("takes no login; use username and password_file")
    if separator and not (parts.path or parts.query):
        raise ValueError("the host holds no values; put them behind its first /")
    if "#" in url:
        raise ValueError("what follows # is never sent; write %23 where it is meant")
    return url


def _header_value(text: str) -> str:
    if not text.isascii() or not text.isprintable():
        raise ValueError("a header holds printable ASCII only")
    return text


def _short_form(value: object) -> object:
    return {"from": value} if isinstance(value, str) else value


class Mapped(Section):
    """One value that leaves a connector: from where in the answer, and how careful to be with it."""

    source: str = Field(alias="from", min_length=1)
    class_: PersonalDataClass = Field(PersonalDataClass.PERSONAL, alias="class")


class Breaker(Section):
    """After `failures` within `within_s` nothing is asked for `rest_s`, and then one question first."""

    failures: int = Field(5, ge=1)
    within_s: float = Field(30.0, gt=0)
    rest_s: float = Field(30.0, gt=0)


class _Profile(Section):
    means: str = ""
    found: dict[Parameter, Annotated[Mapped, BeforeValidator(_short_form)]] = Field(min_length=1)
    numbers: tuple[Parameter, ...] = ()  # parameters that are telephone numbers: asked for by their national digits
    timeout_s: float = Field(2.0, gt=0, le=10)

    @property
    def parameters(self) -> frozenset[str]:
        raise NotImplementedError

    @property
    def classes(self) -> Mapping[str, PersonalDataClass]:
        return {name: value.class_ for name, value in self.found.items()}

    @property
    def columns(self) -> Mapping[str, str]:
        """Where in the answer each value stands, by its name."""
        return {name: value.source for name, value in self.found.items()}

    def files(self) -> Iterator[tuple[str, Path]]:
        """What must be there before it can ask, by its key."""
        yield from ()

    def read_once(self) -> Iterator[Path]:
        """Of these files those that are read at the start only …"""
        yield from (file for key, file in self.files() if key == "ca_file")

    def secrets(self) -> Iterator[Path]:
        """… and those that nobody else may read, which are read for each question."""
        yield from (file for key, file in self.files() if key != "ca_file")

    @model_validator(mode="after")
    def _parameters_exist(self) -> Self:
        if not self.parameters:
            raise ValueError("found: it asks the same whoever calls; let the question hold a value such as phone")
        if unknown := [name for name in self.numbers if name not in self.parameters]:
            raise ValueError(f"numbers: {unknown[0]} is no parameter; there are {', '.join(sorted(self.parameters))}")
        return self


class _Remote(_Profile):
    """A system that may be slow or away."""

    cache_s: float = Field(0.0, ge=0, le=86_400)
    at_once: int = Field(8, ge=1, le=100)
    breaker: Breaker = Breaker()


class HttpProfile(_Remote):
    kind: Literal["http"]
    url: Annotated[str, AfterValidator(_url)]
    body: dict[str, Any] | None = None  # sent as JSON with POST; unset: GET
    headers: dict[HeaderName, Annotated[str, AfterValidator(_header_value)]] = Field(default_factory=dict)
    secret_headers: dict[HeaderName, FilePath] = Field(default_factory=dict)
    bearer_file: FilePath | None = None
    username: str | None = Field(None, pattern=r"^[^:\s]{1,128}$")
    password_file: FilePath | None = None
    ca_file: FilePath | None = None
    not_found: tuple[Annotated[int, Field(ge=200, le=499)], ...] = (404,)

    @property
    def parameters(self) -> frozenset[str]:
        return frozenset(name for text in (self.url, *_texts(self.body)) for name in PLACEHOLDER.findall(text))

    def files(self) -> Iterator[tuple[str, Path]]:
        for key in ("bearer_file", "password_file", "ca_file"):
            if file := getattr(self, key):
                yield key, file
        yield from ((f"secret_headers.{name}", file) for name, file in self.secret_headers.items())

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        for name in self.parameters:
            if not re.match(_PARAMETER, name):
                raise ValueError(f'url: "{{{name}}}" is no parameter; write {{name}}, with letters, digits and _')
        if bool(self.username) != bool(self.password_file):
            raise ValueError("password_file: belongs to a username; give both or neither")
        if self.username and self.bearer_file:
            raise ValueError("bearer_file: a system knows us by one login; give this or username, not both")
        if self.ca_file and not self.url.startswith("https:"):
            raise ValueError("ca_file: is for an https:// url; give one or leave it out")
        return self

    @model_validator(mode="after")
    def _headers_are_ours(self) -> Self:
        for key in ("headers", "secret_headers"):
            for name in getattr(self, key):
                if name.lower() in _OURS:
                    raise ValueError(f"{key}: {name} is written by HTTP itself; leave it out")
        if any(name.lower() == "authorization" for name in self.headers):
            raise ValueError("headers: a secret is not written here; use bearer_file, password_file or secret_headers")
        return self

    @model_validator(mode="after")
    def _places_can_be_read(self) -> Self:
        for place in self.columns.values():
            try:
                JsonPath.parse(place)
            except ValueError as error:
                raise ValueError(f"found: {error}") from None
        return self


class SqlProfile(_Remote):
    kind: Literal["sql"]
    url: DatabaseUrl | None = None
    password_file: FilePath | None = None
    file: FilePath | None = None  # SQLite
    query: Annotated[str, AfterValidator(statement.check)]

    @property
    def parameters(self) -> frozenset[str]:
        return statement.parameters(self.query)

    def files(self) -> Iterator[tuple[str, Path]]:
        if self.password_file:
            yield "password_file", self.password_file

    @model_validator(mode="after")
    def _one_database(self) -> Self:
        if (self.url is None) == (self.file is None):
            raise ValueError("url: give the url of a PostgreSQL database, or the file of an SQLite one")
        if self.password_file and self.url is None:
            raise ValueError("password_file: is for a PostgreSQL url; give one or leave it out")
        return self


class CsvProfile(_Profile):
    kind: Literal["csv"]
    file: FilePath
    key: dict[Parameter, str] = Field(min_length=1)  # parameter to the column that it is looked for in
    delimiter: Literal[",", ";", "\t"] = ","

    cache_s: ClassVar[float] = 0.0  # it is all in memory
    at_once: ClassVar[int] = 1
    breaker: ClassVar[Breaker] = Breaker()

    @property
    def parameters(self) -> frozenset[str]:
        return frozenset(self.key)


Profile = HttpProfile | SqlProfile | CsvProfile


class ConnectorsFile(Section):
    connectors: dict[Name, Annotated[Profile, Field(discriminator="kind")]] = Field(default_factory=dict)


def _texts(body: Any) -> Iterator[str]:
    if isinstance(body, str):
        yield body
    elif isinstance(body, dict):
        for value in body.values():
            yield from _texts(value)
    elif isinstance(body, list):
        for value in body:
            yield from _texts(value)
