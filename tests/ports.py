"""Ports that nobody has at the moment, for servers that tests start."""

import os
import secrets
import socket

FIRST, EACH, SHARES = 11_000, 2_000, 4  # below all that tests have for audio

_SHARE = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % SHARES
_GIVEN: set[int] = set()


def free_port(host: str = "127.0.0.1", kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    """Given to nobody else by us, nor by the system, which has others for whoever wants any: for now and later."""
    while True:
        port = FIRST + EACH * _SHARE + secrets.randbelow(EACH)
        if port not in _GIVEN and _is_free(host, kind, port):
            _GIVEN.add(port)
            return port


def _is_free(host: str, kind: socket.SocketKind, port: int) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_tcp_port(host: str = "127.0.0.1") -> int:
    return free_port(host, socket.SOCK_STREAM)


_HELD: list[socket.socket] = []


def held_tcp_port(host: str = "127.0.0.1") -> int:
    """Nobody else is given it as long as this process lives: for a server that ends and comes again.

    It must set SO_REUSEADDR, as most do.
    """
    _HELD.append(socket.socket())
    _HELD[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _HELD[-1].bind((host, 0))
    return int(_HELD[-1].getsockname()[1])
