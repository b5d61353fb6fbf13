"""Ports that nobody has at the moment, for servers that tests start."""

import socket


def free_port(host: str = "127.0.0.1", kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


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
