"""Free ports for SIP, looked for where the settings name none."""

import socket

TRIES = 1000  # the system gives any it has: most of them where sip.rtp_ports is wide


def free_port(host: str, outside: tuple[int, int]) -> int | None:
    """Free for UDP and TCP, and none of those `outside`: `sip.rtp_ports`, which calls need one by one.

    None where none was found.
    """
    first, last = outside
    for _ in range(TRIES):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind((host, 0))
            port: int = udp.getsockname()[1]
            if first <= port <= last:
                continue
            try:
                tcp.bind((host, port))
            except OSError:
                continue
            return port
    return None
