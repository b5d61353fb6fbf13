"""A retailer's whole site: the shipped flows on phone and chat, its orders, a text-message gateway, the desk, the API.

shop.page(browser)         a customer's phone with the chat open
shop.messages              what the gateway was given to send, with the link in it
shop.record(conversation)  as the API tells it
"""

import json
import re
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import desk
import httpx
import switching
from browser import PHONE, Browser, Viewport
from playwright.async_api import Page, expect
from ports import free_tcp_port
from service import RunningService
from talk import until

FLOWS = Path(__file__).parents[2] / "ivr_flows"
ORDERS = {"20261122": {"status": "shipped", "arrives": "2026-11-24", "carrier": "한빛택배"}}
ORDER = "20261122"
DESK_NUMBER = "2000"
LINK_SENT = "바로 이어서 도와드리겠습니다."
TAKE_YOUR_TIME = " 서두르지 않고 천천히 열어 보셔도 괜찮습니다." * 5  # while the page opens the call must go on
TO_THE_DESK = """
flow: to_the_desk
language: ko
start: back
slots:
  order_number: {means: 주문 번호, class: none}
steps:
  back:
    continue_from: pin
    take: [order_number]
    next: agent
    unknown: agent
  agent:
    queue: orders
    next: bye
    full: bye
    closed: bye
    timeout: bye
    left: bye
    call_back: bye
    failed: bye
  bye: {hang_up: 감사합니다.}
"""
_LINK = re.compile(r"http://\S+/c#\S+")


class _Outside(BaseHTTPRequestHandler):
    """The shop's orders, and the gateway of text messages."""

    def do_GET(self) -> None:
        order = ORDERS.get(self.path.rpartition("/")[2])
        self._answer(200 if order else 404, order or {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.messages.append(json.loads(body))
        self._answer(200, {})

    def _answer(self, status: int, told: Mapping[str, str]) -> None:
        body = json.dumps(told, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Shop(desk.Site):
    def __init__(self, service: RunningService, ports: dict[str, int], messages: list[dict[str, str]]) -> None:
        super().__init__(service, ports)
        self.messages = messages

    async def link_sent_to(self, number: str) -> str:
        def look() -> str | None:
            return next((_LINK.findall(one["text"])[0] for one in self.messages if one["to"] == number), None)

        return str(await until(look))

    async def record(self, conversation: str) -> dict[str, Any]:
        """As the API tells it to whoever may read."""
        async with self.control() as control:
            wish = {"name": "test", "tenant": "main", "scopes": ["conversations:read"], "expires_days": 1}
            key = (await control.request("key_add", wish, timeout_s=desk.WAIT_S))["key"]
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=desk.WAIT_S) as client:
            answer = await client.get(f"{self.url}/v1/conversations/{conversation}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def page(self, browser: Browser, viewport: Viewport = PHONE) -> "ChatPage":
        """Somebody new who has begun to chat."""
        page = await browser.open(f"{self.url}/chat", viewport)
        await page.get_by_role("button", name="상담 시작하기").click()
        return ChatPage(page)

    async def open_link(self, browser: Browser, link: str, viewport: Viewport = PHONE) -> "ChatPage":
        page = await browser.open(link, viewport)
        await page.get_by_role("button", name="이어서 상담하기").click()
        return ChatPage(page)


class ChatPage:
    """What a customer does there, by what a person sees."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.log = page.get_by_role("log")

    async def shows(self, words: str) -> None:
        await expect(self.log).to_contain_text(words)

    async def choose(self, label: str) -> None:
        await self.log.get_by_role("button", name=label, exact=True).click()

    async def write(self, text: str) -> None:
        await self.page.get_by_role("textbox", name="메시지").fill(text)
        await self.page.get_by_role("button", name="보내기").click()

    async def code(self) -> str:
        """The PIN for the phone, as the sheet shows it."""
        await self.page.get_by_role("button", name="전화로 계속하기").first.click()
        sheet = self.page.get_by_role("dialog")
        await sheet.get_by_role("button", name="직접 전화하고 번호로 이어 가기").click()
        shown = await sheet.locator(".pin").text_content()
        return re.sub(r"\D", "", shown or "")

    async def close_sheet(self) -> None:
        await self.page.get_by_role("dialog").get_by_role("button", name="닫기").click()

    async def asks_for_the_order(self) -> None:
        """The customer types its number, and is told where the parcel is."""
        await self.choose("배송 조회")
        await self.shows("주문 번호를 입력해 주세요.")
        await self.write(ORDER)
        await self.shows("한빛택배를 통해 배송 중")
        await self.shows("더 도와드릴 일이 있을까요?")


@contextmanager
def opened(directory: Path, store: Mapping[str, Any] | None = None) -> Iterator[Shop]:
    """Without speech: customers key. `store` is that section of the configuration."""
    ports, web_port = switching.free(("kim", "lee")), free_tcp_port()
    tables = desk.write(directory, ports)
    flows = directory / "flows"
    for file in FLOWS.glob("*.yaml"):
        shutil.copy(file, flows)
    retail = (flows / "retail.yaml").read_text(encoding="utf-8")
    assert retail.count(LINK_SENT) == 1
    (flows / "retail.yaml").write_text(retail.replace(LINK_SENT, LINK_SENT + TAKE_YOUR_TIME), encoding="utf-8")
    (flows / "to_the_desk.yaml").write_text(TO_THE_DESK, encoding="utf-8")
    with ThreadingHTTPServer(("127.0.0.1", 0), _Outside) as outside:
        outside.messages = []
        url = f"http://127.0.0.1:{outside.server_port}"
        channels = directory / "channels.toml"
        lines = ['site = "보이스엣지 몰"', '[channels.sms]\nkind = "sms"', f'url = "{url}/messages"']
        lines += ['json = {to = "{address}", text = "{text}"}', '[channels.web-chat]\nkind = "web-chat"']
        channels.write_text("\n".join([*lines, 'title = "보이스엣지 몰"\nphone = "1588-0000"']), encoding="utf-8")
        tables |= {
            "flows": {"default": "retail"},
            "flows.routes": {DESK_NUMBER: "to_the_desk"},
            "flows.values": {"order_api": url},
            "channels": {"file": str(channels)},
            "web": {"port": web_port, "public_url": f"http://127.0.0.1:{web_port}"},
            "store": dict(store or {}),
        }
        serving = threading.Thread(target=outside.serve_forever, args=(0.02,))
        serving.start()
        try:
            with RunningService(directory, flows, tables) as service:
                yield Shop(service, ports, outside.messages)
        finally:
            outside.shutdown()
            serving.join()
