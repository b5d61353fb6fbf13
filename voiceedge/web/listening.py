"""Whose connections are taken: so many of one network, so many in all; and none stays that asks for nothing."""

import asyncio
import resource
import socket
import time
from collections import Counter
from collections.abc import Callable, Collection
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

import structlog
from h11 import IDLE, SEND_BODY
from uvicorn.protocols.http.h11_impl import H11Protocol

from voiceedge.config_digital import Web
from voiceedge.web.arrival import network_of

HEAD_S, BODY_S = 10.0, 30.0
UNREAD_MS = 20_000  # whoever takes nothing of what was sent for so long is dropped, by the kernel (RFC 5482)
WAITING = 128  # connections that the kernel keeps until we take them
REFUSED_POLITELY = 50  # above web.most_connections: they are told 503, those beyond are closed
TOLD_EVERY_S = 60.0

log = structlog.get_logger()


class Listener(socket.socket):
    """A listening socket that counts what it has accepted, for as long as it is open, and closes what is too much."""

    def bounded(self, most: int, most_of_one: int, trusted: Collection[str]) -> None:
        """`trusted` are proxies, which bring everybody's."""
        self._most, self._most_of_one = most, most if "*" in trusted else most_of_one
        self._trusted = [network for network in map(_network, trusted) if network]
        self._open = Counter[str]()
        self._told_at = -TOLD_EVERY_S

    def accept(self) -> tuple[socket.socket, Any]:
        """Raises ConnectionAbortedError where it was closed at once."""
        connection, peer = super().accept()
        network = network_of(peer[0])
        of_one = 0 if self._trusts(peer[0]) else self._open[network]
        if self._open.total() >= self._most or of_one >= self._most_of_one:
            connection.close()
            self._tell(peer[0])
            raise ConnectionAbortedError
        self._open[network] += 1
        return _Connection(connection, lambda: self._released(network)), peer

    def _released(self, network: str) -> None:
        self._open[network] -= 1
        if not self._open[network]:
            del self._open[network]

    def _trusts(self, host: str) -> bool:
        address = ip_address(host.partition("%")[0])
        return any(address in network for network in self._trusted)

    def _tell(self, host: str) -> None:
        if time.monotonic() - self._told_at >= TOLD_EVERY_S:
            self._told_at = time.monotonic()
            remedy = "name proxies in web.trusted_proxies; see web.most_connections, web.connections_of_one"
            log.warning("web_connections_refused", address=host, open=self._open.total(), remedy=remedy)


class _Connection(socket.socket):
    def __init__(self, accepted: socket.socket, closed: Callable[[], None]) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, accepted.detach())
        self._then: Callable[[], None] | None = closed

    def close(self) -> None:
        super().close()
        then, self._then = self._then, None
        if then:
            then()


def listen(host: str, port: int, web: Web) -> Listener:
    """Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sets TCP_NODELAY: else each answer's body waits 40 ms for an acknowledgement.
    listening = Listener(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = min(web.most_connections + REFUSED_POLITELY, files // 2)  # the process has other work, too
    listening.bounded(most, web.connections_of_one, web.trusted_proxies)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MS)  # its connections have it too
        listening.bind((host, port))
        listening.listen(WAITING)
    except OSError:
        listening.close()
        raise
    return listening


class Punctual(H11Protocol):
    """A connection is cut off whose next request does not come: its head, or the body that the head has told of."""

    _due: asyncio.TimerHandle | None = None
    _awaited: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._watch()

    def handle_events(self) -> None:
        super().handle_events()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._due:
            self._due.cancel()

    def _watch(self) -> None:
        """A deadline for each of these; whatever comes of it meanwhile does not put it off."""
        state = self.conn.their_state
        if (awaited := (state, self.cycle)) == self._awaited:
            return
        self._awaited = awaited
        if self._due:
            self._due.cancel()
        # What has become a WebSocket is no affair of ours any more.
        limits = {IDLE: HEAD_S, SEND_BODY: BODY_S} if self.transport.get_protocol() is self else {}
        self._due = self.loop.call_later(limits[state], self.transport.abort) if state in limits else None


def _network(text: str) -> IPv4Network | IPv6Network | None:
    """Proxies on a Unix socket have none."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None
