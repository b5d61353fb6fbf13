"""What the doctor says about pages, channels and figures: files, ports, certificate, and what customers would miss."""

import socket
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from voiceedge import tls
from voiceedge.appliance.finding import Finding, State, broken, fine, reduced
from voiceedge.appliance.machine import port_of
from voiceedge.channels.file import ChannelsFile, load_channels
from voiceedge.config import Config
from voiceedge.errors import ConfigError

SOON = timedelta(days=14)
CERTIFICATE = "web certificate"


def examine(config: Config, ours: Collection[int]) -> Iterator[Finding]:
    """`ours` are the ports that this very configuration's service, being up, holds already."""
    if config.metrics.port is not None:
        yield _port("metrics port", config.metrics.host, config.metrics.port, ours, "no figures are served")
    channels: ChannelsFile | None = None
    try:
        channels = load_channels(config.channels.file)
    except ConfigError as error:
        yield broken("channels", str(error), "Correct the file: neither a start nor a reload takes it")
    else:
        yield fine(
            "channels",
            ", ".join(f"{name} ({one.kind})" for name, one in {**channels.chats, **channels.channels}.items()),
        )
    if config.web.port is None:
        yield fine("web", "off (web.port is unset): no API, no chat, no desk")
    else:
        yield _port("web port", config.web.host, config.web.port, ours, "no API, no chat and no desk are served")
        if config.web.certificate and config.web.private_key:
            yield certificate(config.web.certificate, config.web.private_key)
    if channels:
        yield from _for_customers(config, channels)


def certificate(file: Path, key: Path) -> Finding:
    try:
        tls.server_context("web", file, key)
    except ConfigError as error:
        return broken(CERTIFICATE, str(error), "Correct the files: neither a start nor a reload takes them")
    found = x509.load_pem_x509_certificate(file.read_bytes())  # the first is the server's own (RFC 8446 4.4.2)
    until, now = found.not_valid_after_utc, datetime.now(UTC)
    what = f"{file} is valid until {until:%Y-%m-%d}"
    remedy = "Renew it, then `voiceedge reload`"
    if not found.not_valid_before_utc <= now <= until:
        since = f"{found.not_valid_before_utc:%Y-%m-%d}"
        return broken(CERTIFICATE, f"{file} is valid from {since} until {until:%Y-%m-%d}: no browser takes it", remedy)
    return reduced(CERTIFICATE, what, remedy) if until - now < SOON else fine(CERTIFICATE, what)


def _port(part: str, host: str, port: int, ours: Collection[int], without: str) -> Finding:
    """Calls are answered without it."""
    finding = port_of(part, socket.SOCK_STREAM, host, port, ours)
    return finding if finding.state is State.FINE else reduced(part, f"{finding.what}: {without}", finding.remedy)


def _for_customers(config: Config, channels: ChannelsFile) -> Iterator[Finding]:
    needs_links = [name for name, one in channels.sending.items() if one.link is None]
    if config.web.public_url is None and (config.web.port is not None or needs_links):
        what = "web.public_url is unset: no link can be made, neither of the API nor for a text message"
        yield reduced("links", what, "Set it to where customers reach /chat, such as https://talk.example")
    if needs_links and config.web.port is None:
        what = f"{', '.join(needs_links)}: links lead to a chat that is not served"
        yield reduced("links", what, "Set web.port")
    if config.web.port is None or config.context.continue_numbers:
        return
    for name, chat in channels.chats.items():
        if chat.phone is None:
            what = f"{name}: 전화로 계속하기 (go on by phone) gives a code, and no number to call with it"
            yield reduced("chats", what, f'Set phone = "1588-1234", the number of yours, under [channels.{name}]')
