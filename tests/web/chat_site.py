"""The service with a web chat, an order system beside it, and a shop's page that shows the chat."""

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from service import RunningService

from voiceedge.clock import RealClock
from voiceedge.context.cloudevents import StampedEvent, new_id
from voiceedge.context.events.call import CallAnswered, CallEnded, CallStarted, EventData, StepEntered, TurnHeard
from voiceedge.edge.between.link import LinkClient
from voiceedge.edge.between.process_name import process_name

ORDER = {"status": "shipped", "carrier": "한빛택배", "arrives": "2026-11-24"}
CALL, CONVERSATION = "the-call", "conversation-by-phone-{}"


class Pages(BaseHTTPRequestHandler):
    """An order system, and two shops: both show the chat, and one of them may."""

    chat = ""

    def do_GET(self) -> None:
        if self.path.startswith("/orders/"):
            self._send("application/json", json.dumps(ORDER))
        else:
            line = f'<script src="{self.chat}/chat/embed.js" data-language="ko" async></script>'
            page = '<!doctype html><html lang="ko"><head><title>가게</title><link rel="icon" href="data:,"></head>'
            self._send("text/html; charset=utf-8", f"{page}<body><main><h1>가게</h1></main>{line}</body></html>")

    def _send(self, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Site:
    def __init__(self, service: RunningService, shop: str, other: str) -> None:
        self.service, self.shop, self.other = service, shop, other

    @property
    def url(self) -> str:
        status = self.service.until(lambda status: status["processes"]["control"].get("web_port") and status)
        return f"http://127.0.0.1:{status['processes']['control']['web_port']}"

    async def ask(self, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        client = LinkClient(self.service.directory / "run" / "control.sock")
        try:
            return await client.request(name, body, timeout_s=60)
        finally:
            await client.close()

    async def phoned(self, name: str) -> str:
        """A conversation by phone that is over, and what was said in it."""
        conversation, flow = CONVERSATION.format(name), "retail"
        known = {"intent": "delivery", "slots": {"order_number": {"value": "54321"}}}
        asked, said = "원하시는 서비스를 말씀해 주세요.", "배송 조회해 주세요"
        told: list[tuple[EventData, Mapping[str, object]]] = [
            (CallStarted(call_id=CALL, direction="in", caller="", customer=None, called="1588", flow=flow), {}),
            (CallAnswered(call_id=CALL, set_up_ms=1), {"language": "ko"}),
            (StepEntered(call_id=CALL, flow=flow, step="menu", kind="ask", says=asked), {}),
            (
                TurnHeard(call_id=CALL, flow=flow, step="menu", by="speech", decision="accept", transcript=said),
                known,
            ),
            (CallEnded(call_id=CALL, cause="flow", sip_code=200, reason="", duration_ms=9, talk_ms=8), {}),
        ]
        clock = RealClock()
        events = [
            StampedEvent(
                id=new_id(clock),
                time=clock.now(),
                conversation=conversation,
                type=data.type,
                data=data,
                changes=changes,
            )
            for data, changes in told
        ]
        dumped = [one.model_dump(mode="json") for one in events]
        await self.ask("ingest", {"events": dumped, "holder": process_name(os.getpid())})
        return conversation

    async def link(self, name: str, expires_s: float = 600.0, channel: str = "web-chat") -> str:
        """What a customer was sent after that call."""
        wish = {"conversation": await self.phoned(name), "channel": channel, "expires_s": expires_s, "language": "ko"}
        return f"{self.url}/c#{(await self.ask('issue_token', wish))['token']}"


@contextmanager
def site(directory: Path) -> Iterator[Site]:
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), Pages) as shop,
        ThreadingHTTPServer(("127.0.0.1", 0), Pages) as other,
    ):
        for server in (shop, other):
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        origin = f"http://localhost:{shop.server_port}"  # foreign: the chat's own is 127.0.0.1
        channels = directory / "channels.toml"
        channels.write_text(
            f'[channels.web-chat]\nkind = "web-chat"\ntitle = "보이스엣지 몰"\nphone = "1588-1234"\n'
            f'flows = {{ ko = "retail", en = "english" }}\norigins = ["{origin}"]\nmost_from_one_address = 100\n',
            encoding="utf-8",
        )
        tables: dict[str, Mapping[str, Any]] = {
            "speech": {"enabled": False},
            "web": {"port": 0},
            "flows": {"default": "retail"},
            "flows.values": {"order_api": f"http://127.0.0.1:{shop.server_port}"},
            "channels": {"file": str(channels)},
        }
        with RunningService(directory, Path("ivr_flows"), tables) as service:
            made = Site(service, f"{origin}/", f"http://localhost:{other.server_port}/")
            Pages.chat = made.url
            yield made
        for server in (shop, other):
            server.shutdown()
