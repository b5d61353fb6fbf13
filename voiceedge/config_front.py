"""The section of the configuration that is about the front, alone or before several nodes."""

import ipaddress
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from voiceedge.toml_file import FilePath, Section


def _ipv4(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError as error:
        raise ValueError("give an IPv4 address such as 0.0.0.0; names and IPv6 cannot be listened on") from error


def _node(address: str) -> str:
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65536:  # noqa: PLR2004
        raise ValueError("give address:port, such as 192.0.2.12:5060")
    return f"{_ipv4(host)}:{int(port)}"


IPv4 = Annotated[str, AfterValidator(_ipv4)]
NodeAddress = Annotated[str, AfterValidator(_node)]


class Front(Section):
    enabled: bool | None = Field(
        None,
        description="Kamailio before the workers. Unset: where there is a switch plan or sip.max_calls asks for more "
        "than one worker, and Kamailio is installed.",
        examples=[True],
    )
    program: str = Field("kamailio", description="Kamailio's program.")
    inner_port: int = Field(
        5070, ge=0, le=65535, description="Port on 127.0.0.1 towards the workers; 0 takes a free one."
    )
    tls_port: int | None = Field(None, ge=0, le=65535, description="Listen on TLS too.", examples=[5061])
    certificate: FilePath | None = Field(
        None, description="TLS certificate with its chain (PEM).", examples=["/etc/voiceedge/tls/fullchain.pem"]
    )
    private_key: FilePath | None = Field(
        None, description="The certificate's key (PEM).", examples=["/etc/voiceedge/tls/key.pem"]
    )
    calls_per_s: int = Field(150, ge=1, description="New calls a second in all; more get 503 with Retry-After.")
    calls_per_s_worker: int = Field(
        15, ge=1, le=20, description="New calls a second a worker (its stack bears some 20)."
    )
    flood_per_s: int = Field(
        30, ge=1, description="Requests a second from one address that is no trunk; more and it is banned."
    )
    ban_s: int = Field(600, ge=1, description="How long an address stays banned.")
    nodes: tuple[NodeAddress, ...] = Field(
        (),
        description="SIP addresses (UDP) of other nodes (docs/nodes.md): they get the calls that no worker of ours "
        "has a place for, and are let in without a question. Name each node at all others.",
        examples=[["192.0.2.12:5060"]],
    )
    alone: bool = Field(
        False,
        description="Only the front runs on this machine: it spreads all calls over front.nodes (docs/nodes.md).",
    )
    through: NodeAddress | None = Field(
        None,
        description="SIP address (UDP) of such a front, which stands before this node: nobody else is let in, and "
        "calls to phones and trunks go by it.",
        examples=["192.0.2.10:5060"],
    )
    hide_topology: bool = Field(True, description="Show the world no addresses of workers and phones.")
    homer: NodeAddress | None = Field(
        None,
        description="Address of a Homer server (UDP), which gets a copy of the SIP messages of all calls (HEP version "
        "3), numbers and all.",
        examples=["192.0.2.30:9060"],
    )
    realm: str = Field(
        "voiceedge", pattern=r"^[A-Za-z0-9.-]{1,64}$", description="Domain of the agents' phones (digest realm)."
    )

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if self.alone and not self.nodes:
            raise ValueError("alone: needs somebody to give the calls to; name the nodes in front.nodes")
        if (self.alone or self.through) and self.enabled is False:
            raise ValueError("enabled: front.alone and front.through need Kamailio; leave front.enabled out")
        return self

    @property
    def wanted(self) -> bool | None:
        """Whether there must be one, or must be none; None: where it is of use and Kamailio is installed."""
        return True if self.alone or self.through else self.enabled

    @property
    def fronts(self) -> tuple[str, ...]:
        """The other fronts that we know: of nodes, or the one before us."""
        return (self.through,) if self.through else self.nodes
