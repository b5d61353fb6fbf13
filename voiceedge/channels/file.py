"""The channels file: chats, and over what links and codes go out, explained in docs/channels.md."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from voiceedge.channels.web_chat import Language, Name, WebChat
from voiceedge.errors import ConfigError
from voiceedge.toml_file import FilePath, Section, read_toml

WEB_CHAT = "web-chat"
PLACEHOLDERS = frozenset({"site", "link", "token", "pin", "minutes"})
ENVELOPE = PLACEHOLDERS | {"text", "address", "id", "conversation", "language"}
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_TEXTS: Mapping[Language, str] = {
    "ko": "[{site}] 상담을 이어 가시려면 {minutes}분 안에 눌러 주세요. {link}",
    "en": "[{site}] Go on with your enquiry within {minutes} minutes: {link}",
}
_SUBJECTS: Mapping[Language, str] = {"ko": "[{site}] 상담 이어 가기", "en": "[{site}] Go on with your enquiry"}


def _http(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or "{" in url:
        raise ValueError("give https://host/path, without a login and without values")
    return url


def _known(text: str, known: frozenset[str] = PLACEHOLDERS) -> str:
    if unknown := sorted(set(_PLACEHOLDER.findall(text)) - known):
        raise ValueError(
            f'there is no "{{{unknown[0]}}}"; there are {", ".join(f"{{{name}}}" for name in sorted(known))}'
        )
    return text


def _header(text: str) -> str:
    if not text.isascii() or not text.isprintable():
        raise ValueError("a header holds printable ASCII only")
    return text


def _body(body: dict[str, Any]) -> dict[str, Any]:
    for text in texts_in(body):
        _known(text, ENVELOPE)
    return body


Url = Annotated[str, AfterValidator(_http)]
Text = Annotated[str, AfterValidator(_known)]
Texts = dict[Language, Text]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")]
Body = Annotated[dict[str, Any], AfterValidator(_body)]


class Messenger(Section):
    """Over which a link goes out, `hourly` times an hour to one address at most.

    `link` is the channel's own, with tokens for this channel alone; unset: the link leads to the web chat `opens`.
    """

    text: Texts = Field(default_factory=dict)
    link: Text | None = None
    opens: Name = WEB_CHAT
    hourly: int = Field(5, ge=1, le=1000)
    timeout_s: float = Field(10.0, gt=0, le=60)

    def worded(self, language: str) -> str:
        return self.text.get(_language(language)) or _TEXTS[_language(language)]

    def files(self) -> Iterator[tuple[str, Path]]:
        """What must be there, by its key."""
        yield from ()


class Sms(Messenger):
    """Text messages by a gateway over HTTP: `json` or `form` is what it is sent, filled in."""

    kind: Literal["sms"]
    url: Url
    headers: dict[HeaderName, Annotated[str, AfterValidator(_header)]] = Field(default_factory=dict)
    bearer_file: FilePath | None = None
    secret_headers: dict[HeaderName, FilePath] = Field(default_factory=dict)
    json_body: Body | None = Field(None, alias="json")
    form: Body | None = None

    def files(self) -> Iterator[tuple[str, Path]]:
        if self.bearer_file:
            yield "bearer_file", self.bearer_file
        yield from ((f"secret_headers.{name}", file) for name, file in self.secret_headers.items())

    @model_validator(mode="after")
    def _has_a_body(self) -> Self:
        if (self.json_body is None) == (self.form is None):
            raise ValueError('json: say what the gateway is sent, as json or as form, such as {to = "{address}"}')
        return self


class Email(Messenger):
    kind: Literal["email"]
    host: str = Field(pattern=r"^[A-Za-z0-9.:-]+$")
    port: int = Field(587, ge=1, le=65535)
    tls: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password_file: FilePath | None = None
    ca_file: FilePath | None = None
    sender: str = Field(pattern=r"^[^\r\n]*@[^\r\n]*$")
    subject: Texts = Field(default_factory=dict)

    def titled(self, language: str) -> str:
        return self.subject.get(_language(language)) or _SUBJECTS[_language(language)]

    def files(self) -> Iterator[tuple[str, Path]]:
        for key in ("password_file", "ca_file"):
            if file := getattr(self, key):
                yield key, file

    @model_validator(mode="after")
    def _login(self) -> Self:
        if bool(self.username) != bool(self.password_file):
            raise ValueError("password_file: belongs to a username; give both or neither")
        return self


class Webhook(Messenger):
    """A provider or program of the site's own, which gets a signed JSON body."""

    kind: Literal["webhook"]
    url: Url
    secret_file: FilePath
    headers: dict[HeaderName, Annotated[str, AfterValidator(_header)]] = Field(default_factory=dict)
    body: Body | None = None

    def files(self) -> Iterator[tuple[str, Path]]:
        yield "secret_file", self.secret_file


class App(Section):
    """A channel of the site's own, which takes conversations on by the API: nothing is sent."""

    kind: Literal["api"]


Sending = Sms | Email | Webhook
Channel = WebChat | Sms | Email | Webhook | App


class ChannelsFile(Section):
    site: str | None = Field(None, max_length=60)  # how messages call the site
    channels: dict[Name, Annotated[Channel, Field(discriminator="kind")]] = Field(default_factory=dict)

    @property
    def sending(self) -> Mapping[str, Sending]:
        return {name: one for name, one in self.channels.items() if isinstance(one, Sending)}

    @property
    def chats(self) -> Mapping[str, WebChat]:
        """There is always one."""
        own = {name: one for name, one in self.channels.items() if isinstance(one, WebChat)}
        return own if WEB_CHAT in self.channels else {WEB_CHAT: WebChat(), **own}

    @property
    def names(self) -> set[str]:
        """Where a conversation can go on, but for the telephone."""
        return {*self.channels, *self.chats}

    @model_validator(mode="after")
    def _lead_somewhere(self) -> Self:
        for name, one in self.sending.items():
            if one.opens not in self.chats:
                there = ", ".join(sorted(self.chats))
                raise ValueError(f"channels.{name}.opens: there is no web chat {one.opens}; there are {there}")
        if "phone" in self.channels:
            raise ValueError("channels.phone: is the telephone's own name; take another")
        return self


def load_channels(path: Path | None) -> ChannelsFile:
    """Raises ConfigError with the file's lines, or with the key of a file that cannot be read."""
    if path is None:
        return ChannelsFile()
    channels = read_toml(ChannelsFile, path)
    for name, one in channels.sending.items():
        for key, file in one.files():
            try:
                file.open("rb").close()
            except OSError as error:
                problem = f"{file} cannot be read: {error.strerror}."
                raise ConfigError(f"{path}: channels.{name}.{key}: {problem}") from None
    return channels


def texts_in(body: Any) -> Iterator[str]:
    match body:
        case str():
            yield body
        case dict():
            for value in body.values():
                yield from texts_in(value)
        case list():
            for value in body:
                yield from texts_in(value)


def filled(body: Any, values: Mapping[str, str]) -> Any:
    """The same with each {name} replaced; what is filled in is not searched for names again."""
    match body:
        case str():
            return _PLACEHOLDER.sub(lambda found: values.get(found[1], ""), body)
        case dict():
            return {name: filled(value, values) for name, value in body.items()}
        case list():
            return [filled(value, values) for value in body]
    return body


def _language(language: str) -> Language:
    return "en" if language == "en" else "ko"
