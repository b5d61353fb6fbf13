"""The endpoints that the tests call."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from served import NO_RTP_S, Server


class _Shared:
    """One server for most tests, and another one after a test that killed it."""

    current: Server | None = None

    def get(self) -> Server:
        if self.current is None or not self.current.alive:
            lists = {"transfer_targets": ["sip:agent@*"], "headers_out": ["X-Conversation-Id", "X-Out"]}
            self.current = Server(no_rtp_s=NO_RTP_S, **lists)
        return self.current


@pytest.fixture(scope="session")
def shared_server() -> Iterator[_Shared]:
    shared = _Shared()
    yield shared
    if shared.current:
        assert shared.current.stop() == 0


@pytest.fixture
async def server(shared_server: _Shared) -> AsyncIterator[Server]:
    """Without calls. It ends those that are silent for NO_RTP_S, and sends them to sip:agent@* only."""
    server = shared_server.get()
    await server.at_rest()
    server.forget()
    yield server
    assert server.alive, f"the endpoint's process died: {server.process.returncode}"


@pytest.fixture
def new_server() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def new(**settings: Any) -> Server:
        servers.append(Server(**settings))
        return servers[-1]

    yield new
    for server in servers:
        if server.alive:
            server.stop()
