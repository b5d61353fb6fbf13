"""The endpoints that the tests call."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from served import Server


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Server]:
    server = Server(no_rtp_s=2, transfer_targets=["sip:agent@*"], headers_out=["X-Conversation-Id", "X-Out"])
    yield server
    assert server.stop() == 0


@pytest.fixture
def server(shared_server: Server) -> Iterator[Server]:
    """The one server that most tests share; each of them must leave it without calls."""
    shared_server.forget()
    yield shared_server
    assert shared_server.alive, "the endpoint's process died"


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
