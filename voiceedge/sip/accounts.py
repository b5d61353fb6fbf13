"""How PJSIP is set up: its settings, the sockets it listens on, and an account for each way calls may be encrypted."""

import ipaddress
import socket
from collections.abc import Callable
from typing import Any, Literal

import pjsua2 as pj

from voiceedge.config import Sip
from voiceedge.errors import SipError
from voiceedge.sip.callbacks import never_raises
from voiceedge.sip.ports import free_port

BRIDGE_RATE = 8000  # telephone calls stay at 8 kHz; only what the recogniser hears is widened
FRAME_MS = 20
MORE_CALLS_THAN_ANY = 10_000  # PJSIP lowers it to what it was built for

Srtp = Literal["off", "optional", "required"]  # keys in SDP (SDES, RFC 4568)

_CODECS = {"PCMU": "PCMU/8000", "PCMA": "PCMA/8000", "G722": "G722/16000"}
_HIGHEST_PRIORITY = 250
_SRTP = {"off": pj.PJMEDIA_SRTP_DISABLED, "optional": pj.PJMEDIA_SRTP_OPTIONAL, "required": pj.PJMEDIA_SRTP_MANDATORY}


class Account(pj.Account):  # type: ignore[misc]
    def __init__(self, on_invite: Callable[[int, str], None]) -> None:
        super().__init__()
        self._on_invite = on_invite

    @never_raises
    def onIncomingCall(self, told: Any) -> None:  # noqa: N802 - where this fails, PJSIP answers 500
        self._on_invite(told.callId, told.rdata.wholeMsg)


class Accounts:
    """Open on construction. Calls come in by the first account, which encrypts where the caller does."""

    def __init__(
        self, endpoint: pj.Endpoint, settings: Sip, proxy: str | None, on_invite: Callable[[int, str], None]
    ) -> None:
        host, public_host = _resolve(settings.host), settings.public_host or ""
        media = pj.TransportConfig()
        media.boundAddress, media.publicAddress = _bound(host), public_host
        media.port, last = settings.rtp_ports
        media.portRange = last - media.port
        if proxy:
            host, public_host = "127.0.0.1", ""
        self.port = settings.port or free_port(host, settings.rtp_ports) or 0
        if not self.port:
            raise SipError("No port is free on UDP and TCP alike; set sip.port.")
        self.address = ("127.0.0.1" if not _bound(host) else host), self.port  # reaches the UDP socket from here
        here = pj.TransportConfig()
        here.port = self.port
        here.boundAddress, here.publicAddress = _bound(host), public_host
        udp = self._open(endpoint, settings, here, pj.PJSIP_TRANSPORT_UDP, "UDP")
        if settings.tcp and not proxy:
            self._open(endpoint, settings, here, pj.PJSIP_TRANSPORT_TCP, "TCP")
        self.host = str(endpoint.transportGetInfo(udp).localName)  # as From names us: address and port
        self._accounts = {srtp: Account(on_invite) for srtp in ("optional", "off", "required")}
        for srtp, account in self._accounts.items():
            account.create(self._settings(media, proxy, srtp), account is self.incoming)

    @property
    def incoming(self) -> Account:
        return self._accounts["optional"]

    def by_srtp(self, srtp: Srtp) -> Account:
        return self._accounts[srtp]

    def _open(self, endpoint: pj.Endpoint, settings: Sip, here: pj.TransportConfig, kind: int, name: str) -> int:
        try:
            return int(endpoint.transportCreate(kind, here))
        except pj.Error as error:
            raise SipError(
                f"Cannot listen on {settings.host}:{self.port}/{name}: {error.reason}. "
                "Stop what uses it, or set sip.host and sip.port."
            ) from None

    def _settings(self, media: pj.TransportConfig, proxy: str | None, srtp: str) -> pj.AccountConfig:
        made = pj.AccountConfig()
        made.idUri = f"sip:voiceedge@{self.host}"
        if proxy:
            made.sipConfig.proxies.push_back(proxy)
        made.callConfig.prackUse = pj.PJSUA_100REL_OPTIONAL  # reliable where the caller knows it, never demanded
        made.mediaConfig.lockCodecEnabled = False  # one codec is agreed in the answer; no re-INVITE to say it again
        made.mediaConfig.transportConfig = media
        made.mediaConfig.srtpUse = _SRTP[srtp]
        made.mediaConfig.srtpSecureSignaling = 0  # TLS ends at the front
        made.mediaConfig.srtpOpt.keyings.push_back(pj.PJMEDIA_SRTP_KEYING_SDES)  # and not DTLS, which this build lacks
        return made


def library_settings() -> pj.EpConfig:
    made = pj.EpConfig()
    made.uaConfig.threadCnt = 0  # the pump is the only thread of PJSIP's that knows signalling
    made.uaConfig.maxCalls = MORE_CALLS_THAN_ANY
    made.uaConfig.userAgent = "VoiceEdge"
    made.uaConfig.natTypeInSdp = 0
    made.uaConfig.mwiUnsolicitedEnabled = False
    made.uaConfig.mainThreadOnly = True  # what streams tell in the media thread is called back in the pump
    made.medConfig.hasIoqueue = True  # of audio packets, which the media thread reads: none of them wakes the pump
    made.medConfig.threadCnt = 0
    made.medConfig.clockRate = made.medConfig.sndClockRate = BRIDGE_RATE
    made.medConfig.audioFramePtime = FRAME_MS
    made.medConfig.ecTailLen = 0
    made.medConfig.noVad = True
    made.logConfig.level = made.logConfig.consoleLevel = made.logConfig.msgLogging = 0
    return made


def choose_codecs(endpoint: pj.Endpoint, codecs: tuple[str, ...]) -> None:
    for codec in endpoint.codecEnum2():
        endpoint.codecSetPriority(codec.codecId, 0)
    for rank, name in enumerate(codecs):
        endpoint.codecSetPriority(_CODECS[name], _HIGHEST_PRIORITY - rank)


def _resolve(host: str) -> str:
    try:
        return socket.getaddrinfo(host, None, socket.AF_INET)[0][4][0]  # type: ignore[return-value]
    except OSError as error:
        raise SipError(f"sip.host {host!r} is no IPv4 address of this machine: {error}") from error


def _bound(host: str) -> str:
    """As PJSIP wants it: nothing for all addresses."""
    return "" if ipaddress.ip_address(host).is_unspecified else host
