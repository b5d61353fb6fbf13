"""What a site sets of a chat of its own pages."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from voiceedge.toml_file import Section

Language = Literal["ko", "en"]


def _origin(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or text != f"{parts.scheme}://{parts.netloc}":
        raise ValueError("give an origin as browsers name it, such as https://shop.example, without a path")
    return text


Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")]
Origin = Annotated[str, AfterValidator(_origin)]


class WebChat(Section):
    """A chat on /chat. `flow` answers, or that of `flows` for the visitor's language; unset: flows.default.

    `linked` answers whoever comes by a link, with what is known already; unset: the same one. With `campaign`, one of
    the switch plan, customers can ask to be called; with `phone` they are told the number to call with a PIN.
    """

    kind: Literal["web-chat"] = "web-chat"
    flow: Name | None = None
    flows: dict[Language, Name] = Field(default_factory=dict)
    linked: Name | None = None
    title: str = Field("", max_length=60)
    tenant: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")] = "main"
    origins: tuple[Origin, ...] = ()  # of the pages that may show it inside of them
    idle_min: float = Field(30.0, gt=0, le=7 * 24 * 60)
    most_from_one_address: int = Field(20, ge=1)  # chats at once
    campaign: str | None = None
    phone: str | None = None

    @model_validator(mode="after")
    def _can_call(self) -> Self:
        if self.phone is not None and not any(map(str.isdigit, self.phone)):
            raise ValueError("phone: is the number that customers call, such as 1588-1234")
        return self
