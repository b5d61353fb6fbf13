"""The sections of the configuration that are about conversations beyond the telephone: context, web and channels."""

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from voiceedge.toml_file import FilePath, Section


def _public_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("give https://host or https://host/path, without a query")
    return url.rstrip("/")


def origin(url: str) -> str:
    """Scheme, host and port of a URL (RFC 6454), as one text for one place. Raises ValueError where it has none."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise ValueError("give https://host or https://host:port")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


Tenant = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]


class Context(Section):
    hand_over_s: float = Field(900.0, gt=0, description="How long a hand-over token lives, unless the flow says.")
    outbox_limit: int = Field(
        1_000_000, ge=1000, description="Events kept in all; beyond it, or after a day, published ones go."
    )
    pin_s: float = Field(600.0, ge=60, le=3600, description="How long a PIN lives by which a customer continues.")
    hint_s: float = Field(
        86400.0,
        ge=60,
        description="Whoever calls with the number of a customer who was in a chat so long ago at most is asked "
        "whether to continue it.",
    )
    continue_numbers: tuple[str, ...] = Field(
        (),
        description="Numbers that are given to one customer at a time, to be called only to continue a conversation.",
        examples=[["07080001001", "07080001002"]],
    )
    mqtt_commands: bool = Field(
        False,
        description="Take commands for conversations (docs/api.md) by MQTT too: whoever may publish there can read and "
        "change those of the tenants below.",
    )
    mqtt_tenants: tuple[Tenant, ...] = Field(
        ("main",),
        description="Tenants that such commands are taken for, each by topics of its own; for others they are refused.",
        examples=[["main", "shop"]],
    )
    tenants: dict[str, Tenant] = Field(
        default_factory=dict,
        description="Called number to the tenant whose conversations it makes; others are of main.",
        examples=[{"15881234": "shop"}],
    )


class Retention(Section):
    conversations_days: float = Field(730.0, gt=0, description="Conversations older than this are forgotten.")
    transcripts_days: float = Field(365.0, gt=0, description="… and their turns and messages after this.")
    personal_days: float = Field(365.0, gt=0, description="… and values of slots of class personal.")
    sensitive_days: float = Field(
        30.0, gt=0, description="… and those of class sensitive; card numbers are never kept."
    )
    customers_days: float | None = Field(
        None,
        gt=0,
        description="Customers of whom no conversation is left are forgotten so long after the last that was told of "
        "them, as by an import; unset: conversations_days.",
        examples=[1825.0],
    )


class Web(Section):
    host: str = Field("127.0.0.1", description="Address of the API and the pages.")
    port: int | None = Field(
        None, ge=0, le=65535, description="Their port; 0 takes a free one. Unset: no API and no pages.", examples=[8443]
    )
    certificate: FilePath | None = Field(
        None,
        description="TLS certificate with its chain (PEM); unset: plain HTTP, for a proxy on this machine.",
        examples=["/etc/voiceedge/tls/fullchain.pem"],
    )
    private_key: FilePath | None = Field(
        None, description="The certificate's key (PEM).", examples=["/etc/voiceedge/tls/key.pem"]
    )
    public_url: Annotated[str, AfterValidator(_public_url)] | None = Field(
        None,
        description="Where customers and agents reach the pages; links in messages begin with it.",
        examples=["https://talk.example"],
    )
    trusted_proxies: tuple[str, ...] = Field(
        (), description="Addresses of proxies whose X-Forwarded-For is believed.", examples=[["127.0.0.1"]]
    )
    most_connections: int = Field(1000, ge=10, description="Connections at once; more are refused with 503.")
    connections_of_one: int = Field(
        200,
        ge=5,
        description="… and of one address (of IPv6, one /64), unless it is a trusted proxy: more are closed. An office "
        "with many desks behind one address needs some three for each.",
    )
    requests_per_min: int = Field(600, ge=1, description="Requests a minute of one API key, or of one visitor.")
    webhook_targets: tuple[Annotated[str, AfterValidator(origin)], ...] = Field(
        (),
        description="Where webhooks of the API may lead to, and nowhere else: scheme, host and port.",
        examples=[["https://crm.example", "http://10.0.0.5:8080"]],
    )

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if (self.certificate is None) != (self.private_key is None):
            raise ValueError("certificate: belongs to a private_key; give both or neither")
        return self


class Channels(Section):
    file: FilePath | None = Field(
        None,
        description="Chats, text messages, e-mail and other channels (docs/channels.md); unset: a web chat alone.",
        examples=[Path("/etc/voiceedge/channels.toml")],
    )


class Connectors(Section):
    file: FilePath | None = Field(
        None,
        description="Profiles of look-ups in other systems (docs/connectors.md).",
        examples=[Path("/etc/voiceedge/connectors.toml")],
    )
