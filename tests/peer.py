"""A raw SIP user agent for tests: says exactly what it is told to, right or wrong, and remembers all that it was told.

    async with Peer() as peer:                        # UDP, a free port of 127.0.0.1; any number side by side
        call = await peer.invite("sip:1000@127.0.0.1:5060", headers={"X-Customer-Ref": "7"})
        response = await call.final()                 # 200 is acknowledged, and audio runs, by itself
        call.rtp.say(pcm)                             # see rtp.RtpStream: say, press, heard, sound_ns, silence_ns
        await call.press("5")                         # RFC 4733; call.info("5") is SIP INFO
        await call.bye()                              # or `await call.ended()` for the other side's BYE

Times are time.monotonic_ns. Every wait has a deadline and then raises TimeoutError. No pjsua2 in here.
"""

import asyncio
import itertools
import random
import re
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Self

from rtp import EVENTS, PCMA, PCMU, Press, RtpStream

WAIT_S = 30.0  # machines that test are slow and shared
T1_S = 0.5
SLEPT_S = 0.1  # so late is only who did not run
NAMES = {PCMU: "PCMU", PCMA: "PCMA"}

_COMPACT = {
    "i": "call-id",
    "f": "from",
    "t": "to",
    "v": "via",
    "m": "contact",
    "c": "content-type",
    "l": "content-length",
}


@dataclass(frozen=True, slots=True)
class Message:
    """A request or response. Header names are lower case; `values` keeps repeated headers, `[...]` gives the first."""

    first: str
    values: tuple[tuple[str, str], ...]
    body: str
    at_ns: int
    source: tuple[str, int]

    @classmethod
    def read(cls, data: bytes, source: tuple[str, int]) -> "Message":
        head, _, body = data.decode("utf-8", "replace").partition("\r\n\r\n")
        first, *lines = re.sub(r"\r\n[ \t]+", " ", head).split("\r\n")
        pairs = [line.partition(":")[::2] for line in lines]
        lowered = ((name.strip().lower(), value.strip()) for name, value in pairs)
        return cls(first, tuple((_COMPACT.get(n, n), v) for n, v in lowered), body, time.monotonic_ns(), source)

    def __getitem__(self, name: str) -> str:
        return next((value for known, value in self.values if known == name.lower()), "")

    def all(self, name: str) -> list[str]:
        return [value for known, value in self.values if known == name.lower()]

    @property
    def status(self) -> int:
        """0 for a request."""
        return int(self.first.split()[1]) if self.first.startswith("SIP/2.0 ") else 0

    @property
    def method(self) -> str:
        """Of a request, or the one a response answers."""
        return self["cseq"].split()[-1] if self.status else self.first.split()[0]

    @property
    def branch(self) -> str:
        found = re.search(r"branch=([^;,\s]+)", self["via"])
        return found[1] if found else ""


def sdp(
    host: str, port: int, codecs: tuple[int, ...] = (PCMU, PCMA), direction: str = "sendrecv", *, keys: bool = True
) -> str:
    """An offer or answer; `codecs` are static payload types, unknown ones go without rtpmap."""
    formats = [str(codec) for codec in codecs] + [str(EVENTS)] * keys
    lines = ["v=0", f"o=peer 1 {secrets.randbelow(10**9)} IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0"]
    lines += [f"m=audio {port} RTP/AVP {' '.join(formats)}"]
    lines += [f"a=rtpmap:{codec} {NAMES[codec]}/8000" for codec in codecs if codec in NAMES]
    lines += [f"a=rtpmap:{EVENTS} telephone-event/8000", f"a=fmtp:{EVENTS} 0-15"] * keys
    return "\r\n".join([*lines, f"a={direction}", ""])


@dataclass(frozen=True, slots=True)
class Media:
    """What the other side's SDP says of its audio."""

    host: str
    port: int
    formats: tuple[int, ...]
    direction: str
    events: int

    @classmethod
    def read(cls, body: str) -> "Media | None":
        line = re.search(r"^m=audio (\d+) \S+ ([\d ]+)", body, re.MULTILINE)
        hosts = re.findall(r"^c=IN IP4 (\S+)", body, re.MULTILINE)
        if not line or not hosts:
            return None
        direction = re.search(r"^a=(sendrecv|sendonly|recvonly|inactive)", body, re.MULTILINE)
        events = re.search(r"^a=rtpmap:(\d+) telephone-event/8000", body, re.MULTILINE)
        formats = tuple(int(number) for number in line[2].split())
        return cls(
            hosts[-1], int(line[1]), formats, direction[1] if direction else "sendrecv", int(events[1]) if events else 0
        )


@dataclass
class ReferPlan:
    """What to do with a REFER: answer it, then report these statuses by NOTIFY, and hang up before or after them."""

    answer: int = 202
    statuses: tuple[int, ...] = (100, 200)
    bye: str = ""  # "", "before" the first NOTIFY or "after" the last
    pause_s: float = 0.0  # before each NOTIFY


class Peer:
    """A user agent with one UDP socket. `on_invite`, where set, is given each incoming call; else use `incoming()`."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        user: str = "01012345678",
        new_stream: Callable[[str], RtpStream] = RtpStream,
        port: int = 0,
    ) -> None:
        self.host, self.user, self.new_stream = host, user, new_stream
        self.port = port
        self.refer = ReferPlan()
        self.loss = 0.0  # the part of all messages, either way, that is lost
        self._luck = random.Random(3)
        self.stray: list[Message] = []  # what belonged to no call and no request of ours
        self.on_invite: Callable[[PeerCall], object] | None = None
        self._calls: dict[str, PeerCall] = {}
        self._waiting: dict[tuple[str, str], asyncio.Queue[Message]] = {}
        self._said: dict[tuple[str, str], bytes] = {}  # the last response to each request, by branch and method
        self._incoming: asyncio.Queue[PeerCall] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: _Receiver(self), local_addr=(self.host, self.port)
        )
        self.port = self._transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for call in tuple(self._calls.values()):
            call.rtp.close()
        if self._transport:
            self._transport.close()

    @property
    def uri(self) -> str:
        return f"sip:{self.user}@{self.host}:{self.port}"

    async def invite(
        self,
        uri: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
        codecs: tuple[int, ...] = (PCMU, PCMA),
        call_id: str | None = None,
        acknowledge: bool = True,
    ) -> "PeerCall":
        """Send an INVITE. `body`: any SDP, "" none; unset: ours with `codecs`. `acknowledge`: send the ACK to 200."""
        call = PeerCall(self, uri, call_id or secrets.token_hex(8), acknowledge=acknowledge)
        self._calls[call.id] = call
        offer = sdp(self.host, call.rtp.port, codecs) if body is None else body
        self.spawn(call.start(offer, headers or {}))
        await asyncio.sleep(0)
        return call

    async def incoming(self) -> "PeerCall":
        """The next call that came to us: `answer` it."""
        async with asyncio.timeout(WAIT_S):
            return await self._incoming.get()

    async def request(self, method: str, uri: str, headers: Mapping[str, str] | None = None, body: str = "") -> Message:
        """A request outside of calls, and its final response."""
        host, port = _address(uri)
        lines = {
            "From": f"<{self.uri}>;tag={secrets.token_hex(4)}",
            "To": f"<{uri}>",
            "Call-ID": secrets.token_hex(8),
            "CSeq": f"1 {method}",
            **(headers or {}),
        }
        return await self.transact(method, uri, lines, body, (host, port))

    async def transact(
        self,
        method: str,
        uri: str,
        headers: Mapping[str, str],
        body: str,
        to: tuple[str, int],
        *,
        branch: str | None = None,
        provisional: Callable[[Message], None] | None = None,
    ) -> Message:
        """Send, repeat over UDP until there is an answer, return the final one."""
        branch = branch or f"z9hG4bK{secrets.token_hex(8)}"
        data = self.write(f"{method} {uri} SIP/2.0", {"Via": self.via(branch), "Max-Forwards": "70", **headers}, body)
        answers: asyncio.Queue[Message] = asyncio.Queue()
        self._waiting[branch, method] = answers
        try:
            async with asyncio.timeout(WAIT_S):
                wait: float | None = T1_S
                self.send(data, to)
                while True:
                    due = time.monotonic() + (wait or WAIT_S)
                    try:
                        response = await asyncio.wait_for(answers.get(), wait)
                    except TimeoutError:
                        if time.monotonic() < due + SLEPT_S:  # else we have slept, and the answer may lie in our socket
                            self.send(data, to)
                            wait = min((wait or T1_S) * 2, 4.0)
                        continue
                    if response.status >= 200:
                        return response
                    wait = None
                    if provisional:
                        provisional(response)
        finally:
            del self._waiting[branch, method]

    def via(self, branch: str) -> str:
        return f"SIP/2.0/UDP {self.host}:{self.port};branch={branch};rport"

    def write(self, first: str, headers: Mapping[str, str] | list[tuple[str, str]], body: str = "") -> bytes:
        pairs = list(headers.items()) if isinstance(headers, Mapping) else headers
        lines = [first, *(f"{name}: {value}" for name, value in pairs)]
        names = {name.lower() for name, _ in pairs}
        if "contact" not in names:
            lines.append(f"Contact: <{self.uri}>")
        if body and "content-type" not in names:
            lines.append("Content-Type: application/sdp")
        content = body.encode()
        if "content-length" not in names:
            lines.append(f"Content-Length: {len(content)}")
        return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + content

    def send(self, data: bytes, to: tuple[str, int]) -> None:
        """Any bytes, as they are."""
        if self._transport and not self.loses():
            self._transport.sendto(data, to)

    def loses(self) -> bool:
        return self._luck.random() < self.loss

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever awaits the call sees it as a TimeoutError

    def respond(
        self, request: Message, status: int, body: str = "", headers: Mapping[str, str] | None = None, tag: str = ""
    ) -> None:
        same = [
            (name, value)
            for name, value in request.values
            if name in {"via", "from", "call-id", "cseq", "record-route"}
        ]
        to = request["to"] if "tag=" in request["to"] else f"{request['to']};tag={tag or 'peer'}"
        said = self.write(f"SIP/2.0 {status} Said", [*same, ("To", to), *(headers or {}).items()], body)
        self._said[request.branch, request.method] = said
        self.send(said, request.source)

    def take(self, message: Message) -> None:
        if message.status:
            waiting = self._waiting.get((message.branch, message.method))
            call = self._calls.get(message["call-id"])
            if waiting:
                waiting.put_nowait(message)
            elif call and message.method == "INVITE":
                call.repeated(message)
            else:
                self.stray.append(message)
            return
        if said := self._said.get((message.branch, message.method)):  # repeated: what we said was lost or late
            self.send(said, message.source)
            return
        call = self._calls.get(message["call-id"])
        if call:
            call.asked(message)
        elif message.method == "INVITE":
            call = PeerCall(self, message["from"], message["call-id"], invitation=message)
            self._calls[call.id] = call
            (self.on_invite or self._incoming.put_nowait)(call)
        else:
            self.stray.append(message)
            if message.method != "ACK":
                self.respond(message, 200 if message.method == "OPTIONS" else 481)


@dataclass
class _Dialog:
    local: str
    remote: str
    target: str
    to: tuple[str, int]
    routes: tuple[str, ...] = ()
    sequence: "itertools.count[int]" = field(default_factory=lambda: itertools.count(2))


class PeerCall:
    """One call of a peer, in either direction."""

    def __init__(
        self, peer: Peer, uri: str, call_id: str, *, acknowledge: bool = True, invitation: Message | None = None
    ) -> None:
        self.peer, self.id = peer, call_id
        self.rtp = peer.new_stream(peer.host)
        self.invitation = invitation
        self.requests: list[Message] = []  # the other side's, in order
        self.provisional: list[Message] = []
        self.invited_ns = 0  # when the INVITE went out
        self.media: Media | None = None  # what the other side last said of its audio
        self.refusals: dict[str, list[int]] = {}  # by method: what the next such requests are answered
        self._acknowledge = acknowledge
        self._final: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._ended: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._news = asyncio.Event()
        self._branch = f"z9hG4bK{secrets.token_hex(8)}"
        self._tag = secrets.token_hex(4)
        self._uri = uri
        self._ack = b""
        self._answer = ""  # the SDP we last said
        self._invite: tuple[dict[str, str], str] = ({}, "")
        if invitation:
            local, remote = f"{invitation['to']};tag={self._tag}", invitation["from"]
            target = _bare(invitation["contact"])
            self._dialog = _Dialog(local, remote, target, invitation.source, tuple(invitation.all("record-route")))
        else:
            self._dialog = _Dialog(f"<{peer.uri}>;tag={self._tag}", f"<{uri}>", uri, _address(uri))

    # --- a call we place ---

    async def start(self, offer: str, headers: Mapping[str, str]) -> None:
        dialog = self._dialog
        own = {
            "From": dialog.local,
            "To": dialog.remote,
            "Call-ID": self.id,
            "CSeq": "1 INVITE",
            "Allow": "INVITE, ACK, CANCEL, BYE, INFO, NOTIFY, REFER, UPDATE",
            **headers,
        }
        self._answer, self._invite = offer, (own, offer)
        self.invited_ns = time.monotonic_ns()
        response = await self.peer.transact(
            "INVITE", self._uri, own, offer, dialog.to, branch=self._branch, provisional=self.provisional.append
        )
        dialog.remote = response["to"]
        if response.status < 300:
            dialog.target = _bare(response["contact"]) or dialog.target
            dialog.routes = tuple(reversed(response.all("record-route")))
            self._listen_to(response.body)
            if self._acknowledge:
                late = "" if offer else sdp(self.peer.host, self.rtp.port)
                self.acknowledge(late)
        else:
            self._refused(response)
        if not self._final.done():
            self._final.set_result(response)

    async def repeat(self) -> Message:
        """The INVITE once more, as if its final response had not come; returns the one that comes now."""
        headers, offer = self._invite
        return await self.peer.transact("INVITE", self._uri, headers, offer, self._dialog.to, branch=self._branch)

    async def final(self) -> Message:
        """The INVITE's final response; `final().at_ns - invited_ns` is what the set-up took."""
        async with asyncio.timeout(WAIT_S):
            return await asyncio.shield(self._final)

    def acknowledge(self, body: str = "") -> None:
        """ACK to a 200, with the SDP answer where the offer came in the 200."""
        headers = {"From": self._dialog.local, "To": self._dialog.remote, "Call-ID": self.id, "CSeq": "1 ACK"}
        headers |= self._route() | {"Via": self.peer.via(f"z9hG4bK{secrets.token_hex(8)}"), "Max-Forwards": "70"}
        self._ack = self.peer.write(f"ACK {self._dialog.target} SIP/2.0", headers, body)
        self.peer.send(self._ack, self._dialog.to)

    def _refused(self, response: Message) -> None:
        headers = {
            "Via": self.peer.via(self._branch),
            "Max-Forwards": "70",
            "From": self._dialog.local,
            "To": response["to"],
        }
        headers |= {"Call-ID": self.id, "CSeq": "1 ACK"}
        self.peer.send(self.peer.write(f"ACK {self._uri} SIP/2.0", headers), self._dialog.to)

    def repeated(self, response: Message) -> None:
        if response.status < 300 and self._ack:
            self.peer.send(self._ack, self._dialog.to)
        elif response.status >= 300:
            self._refused(response)

    async def cancel(self) -> Message:
        """CANCEL at once; returns the INVITE's final response (487 where we were in time)."""
        headers = {"From": self._dialog.local, "To": f"<{self._uri}>", "Call-ID": self.id, "CSeq": "1 CANCEL"}
        await self.peer.transact("CANCEL", self._uri, headers, "", self._dialog.to, branch=self._branch)
        return await self.final()

    # --- a call that came ---

    async def answer(
        self, status: int = 200, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """Provisional or final. With 200, or a `body`, audio runs; unset: the first codec offered that we know."""
        assert self.invitation
        if not 200 <= status < 300:
            if body:
                self._listen_to(self.invitation.body)
            self.peer.respond(self.invitation, status, body or "", headers, self._tag)
            return
        self._listen_to(self.invitation.body)
        offered = self.media.formats if self.media else (PCMU,)
        codecs = tuple(codec for codec in offered if codec in NAMES)[:1]
        self._answer = sdp(self.peer.host, self.rtp.port, codecs) if body is None else body
        self.peer.respond(self.invitation, status, self._answer, headers, self._tag)
        await self.asked_for("ACK")

    # --- while it lasts ---

    async def press(
        self, key: str, duration_ms: int = 160, *, marker: bool = True, end_copies: int = 3, drifting: bool = False
    ) -> Press:
        """A key by RFC 4733; returns after its last packet. `Press.sent_ns` is when its first one left."""
        press = self.rtp.press(key, duration_ms, marker=marker, end_copies=end_copies, drifting=drifting)
        async with asyncio.timeout(WAIT_S):
            while not press.done.is_set():  # noqa: ASYNC110 - the RTP thread sets it
                await asyncio.sleep(0.005)
        return press

    async def info(self, key: str, duration_ms: int = 160, kind: str = "application/dtmf-relay") -> Message:
        """A key by SIP INFO."""
        body = f"Signal={key}\r\nDuration={duration_ms}\r\n" if kind.endswith("relay") else key
        return await self.send("INFO", {"Content-Type": kind}, body)

    async def reinvite(self, direction: str = "sendrecv", body: str | None = None) -> Message:
        """A new offer: "sendonly" or "inactive" is hold, "sendrecv" takes it back."""
        offer = sdp(self.peer.host, self.rtp.port, direction=direction) if body is None else body
        self._answer = offer
        number = next(self._dialog.sequence)
        response = await self.send("INVITE", {"CSeq": f"{number} INVITE"}, offer)
        if response.status < 300:
            self._listen_to(response.body)
            ack = {"From": self._dialog.local, "To": self._dialog.remote, "Call-ID": self.id, "CSeq": f"{number} ACK"}
            ack |= self._route() | {"Via": self.peer.via(f"z9hG4bK{secrets.token_hex(8)}"), "Max-Forwards": "70"}
            self.peer.send(self.peer.write(f"ACK {self._dialog.target} SIP/2.0", ack), self._dialog.to)
        return response

    async def send(self, method: str, headers: Mapping[str, str] | None = None, body: str = "") -> Message:
        """Any request in the call, and its final response."""
        own = {"From": self._dialog.local, "To": self._dialog.remote, "Call-ID": self.id, **self._route()}
        own |= {"CSeq": f"{next(self._dialog.sequence)} {method}", **(headers or {})}
        return await self.peer.transact(method, self._dialog.target, own, body, self._dialog.to)

    async def notify(self, status: int, state: str = "active") -> Message:
        """The progress of a transfer (RFC 3515)."""
        headers = {"Event": "refer", "Subscription-State": state, "Content-Type": "message/sipfrag;version=2.0"}
        return await self.send("NOTIFY", headers, f"SIP/2.0 {status} Said\r\n")

    async def bye(self, headers: Mapping[str, str] | None = None) -> Message:
        self.rtp.pause()
        response = await self.send("BYE", headers)
        self.rtp.close()
        return response

    async def ended(self) -> Message:
        """The other side's BYE."""
        async with asyncio.timeout(WAIT_S * 3):
            return await asyncio.shield(self._ended)

    async def asked_for(self, method: str, count: int = 1) -> Message:
        """Wait until the other side has sent so many requests of this kind; returns the last."""
        async with asyncio.timeout(WAIT_S):
            while True:
                found = [request for request in self.requests if request.method == method]
                if len(found) >= count:
                    return found[count - 1]
                self._news.clear()
                await self._news.wait()

    def asked(self, request: Message) -> None:
        known = [*self.requests, self.invitation] if self.invitation else self.requests
        if any((one["cseq"], one.branch) == (request["cseq"], request.branch) for one in known):
            return  # repeated while we say nothing: a phone that rings, or an ACK
        self.requests.append(request)
        self._news.set()
        if request.method in {"ACK", "INVITE", "UPDATE"} and request.body:
            self._listen_to(request.body)
        match request.method:
            case "ACK":
                return
            case "CANCEL" if self.invitation:
                self.peer.respond(self.invitation, 487, tag=self._tag)
            case "BYE":
                self._hung_up(request)
            case "REFER":
                self._refer(request)
                return
        if refusals := self.refusals.get(request.method):
            self.peer.respond(request, refusals.pop(0))
            return
        answers = request.method == "INVITE" or (request.method == "UPDATE" and request.body)
        self.peer.respond(request, 200, self._answer_to(request.body) if answers else "")

    def _answer_to(self, offer: str) -> str:
        """What we last said of our audio, in the direction that fits the offer (RFC 3264, 6.1)."""
        offered = Media.read(offer)
        turned = {"sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}
        direction = turned.get(offered.direction, "sendrecv") if offered else "sendrecv"
        return re.sub(r"^a=(sendrecv|sendonly|recvonly|inactive)", f"a={direction}", self._answer, flags=re.MULTILINE)

    def _hung_up(self, request: Message) -> None:
        self.rtp.pause()
        if not self._ended.done():
            self._ended.set_result(request)

    def _refer(self, request: Message) -> None:
        plan = self.peer.refer
        self.peer.respond(request, plan.answer)
        if plan.answer < 300:
            self.peer.spawn(self._carry_out(plan))

    async def _carry_out(self, plan: ReferPlan) -> None:
        if plan.bye == "before":
            await self.bye()
            return
        for number, status in enumerate(plan.statuses, 1):
            await asyncio.sleep(plan.pause_s)
            last = number == len(plan.statuses) and status >= 200
            await self.notify(status, "terminated;reason=noresource" if last else "active;expires=60")
        if plan.bye == "after":
            await self.bye()

    def _listen_to(self, body: str) -> None:
        self.media = Media.read(body) or self.media
        if self.media:
            codec = next((number for number in self.media.formats if number in NAMES), PCMU)
            self.rtp.start((self.media.host, self.media.port), codec, self.media.events or EVENTS)

    def _route(self) -> dict[str, str]:
        return {"Route": ", ".join(self._dialog.routes)} if self._dialog.routes else {}


class _Receiver(asyncio.DatagramProtocol):
    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data.strip() and not self._peer.loses():
            self._peer.take(Message.read(data, addr))


def _bare(value: str) -> str:
    found = re.search(r"<([^>]+)>", value)
    return found[1] if found else value.partition(";")[0].strip()


def _address(uri: str) -> tuple[str, int]:
    host, _, port = re.sub(r"^sips?:", "", uri).rpartition("@")[2].partition(";")[0].partition(":")
    return host, int(port or 5060)
