"""How a request arrives: from which network, and whether its browser came by TLS."""

from ipaddress import IPv6Address, ip_address

from starlette.requests import HTTPConnection


def network_of(host: str) -> str:
    """By which one customer is told from another: of IPv6, the network that each of them has (RFC 6177)."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64))
    return host


def network(request: HTTPConnection) -> str:
    return network_of(request.client.host if request.client else "")


def is_safe(request: HTTPConnection) -> bool:
    """By TLS, be it to a proxy that does not say so: then `web.public_url` does."""
    public: str | None = request.app.state.services.config.web.public_url
    return request.url.scheme == "https" or (public or "").startswith("https:")
