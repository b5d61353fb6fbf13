"""A site with an agent desk: two agents and a supervisor, one queue, calls and chats that lead to it."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import switching
from browser import DESKTOP, Browser, Viewport
from playwright.async_api import Page
from service import RunningService

from voiceedge.clock import RealClock
from voiceedge.context.cloudevents import StampedEvent, new_id
from voiceedge.context.events.call import TurnHeard
from voiceedge.edge.between.link import LinkClient
from voiceedge.edge.between.process_name import process_name

CODES = {"kim": "102030", "lee": "405060", "boss": "708090", "short": "11", "other": "515253"}
WAIT_S = 60  # machines that test are slow and shared
TITLES = {"kim": "김상담", "lee": "이상담", "boss": "박팀장", "short": "최상담", "other": "남의집"}
FLOW = """
flow: help
language: ko
start: order
otherwise: later
slots:
  order: {means: 주문 번호, class: none}
  contact: {means: 연락처, class: personal}
steps:
  order:
    ask: 주문 번호를 알려 주세요.
    into: order
    digits: 4
    next: wish
  wish:
    ask: 연락받으실 번호를 알려 주세요.
    into: contact
    digits: 11
    next: agent
  agent:
    queue: orders
    next: bye
    full: later
    closed: later
    timeout: later
    left: later
    call_back: later
    failed: later
  later: {hang_up: 나중에 다시 연락해 주세요.}
  bye: {hang_up: 감사합니다.}
"""
CONNECTORS = """
[connectors.crm]
kind = "csv"
file = "{file}"
key = {{phone = "phone"}}
numbers = ["phone"]
[connectors.crm.found]
name = "name"
grade = {{from = "grade", class = "none"}}
"""


def write(directory: Path, ports: dict[str, int]) -> dict[str, object]:
    """The files of the site; returns its settings."""
    flows = directory / "flows"
    flows.mkdir()
    (flows / "help.yaml").write_text(FLOW, encoding="utf-8")
    plan = ['[queues.orders]\ntitle = "주문·배송"\nannounce_every_s = 5.0']
    plan += ['[desk]\nconnector = "crm"\nanswers = ["안녕하세요."]']
    for name, code in CODES.items():
        plan += [f'[agents.{name}]\ntitle = "{TITLES[name]}"\nphone = "sip:{name}@127.0.0.1:{ports.get(name, 9)}"']
        plan += [f'code = "{code}"\nring_s = 60.0\nafter_call_s = 120.0\nmisses = 9']
        plan += [f"supervisor = {str(name == 'boss').lower()}\nqueues = {[] if name == 'boss' else ['orders']}"]
        plan += ['tenant = "elsewhere"' if name == "other" else ""]
    (directory / "switch.toml").write_text("\n".join(plan), encoding="utf-8")
    (directory / "customers.csv").write_text("phone,name,grade\n01012345678,홍길동,VIP\n", encoding="utf-8")
    file = directory / "customers.csv"
    (directory / "connectors.toml").write_text(CONNECTORS.format(file=file), encoding="utf-8")
    return {
        "switch": {"plan": str(directory / "switch.toml")},
        "connectors": {"file": str(directory / "connectors.toml")},
        "front": {"enabled": False},
        "flows": {"default": "help"},
        "speech": {"enabled": False},
        "web": {"port": 0, "public_url": "http://127.0.0.1:1"},
        "log": {"level": "debug"},
    }


class Site:
    def __init__(self, service: RunningService, ports: dict[str, int]) -> None:
        status = service.until(lambda status: status["processes"]["control"].get("web_port") and status)
        self.service, self.ports = service, ports
        self.url = f"http://127.0.0.1:{status['processes']['control']['web_port']}"

    @asynccontextmanager
    async def control(self) -> AsyncIterator[LinkClient]:
        link = LinkClient(self.service.directory / "run" / "control.sock")
        try:
            yield link
        finally:
            await link.close()

    async def heard(self, conversation: str, call_id: str, speaker: str, words: str) -> None:
        """As a worker that transcribes talks tells it."""
        turn = TurnHeard(
            call_id=call_id, flow="", step="talk", by="speech", decision="accept", transcript=words, speaker=speaker
        )
        clock = RealClock()
        event = StampedEvent(id=new_id(clock), time=clock.now(), conversation=conversation, type=turn.type, data=turn)
        async with self.control() as link:
            body = {"events": [event.model_dump(mode="json")], "holder": process_name(os.getpid())}
            await link.request("ingest", body, timeout_s=WAIT_S)

    async def state(self, agent: str) -> str:
        async with self.control() as link:
            agents = (await link.request("agents", {}, timeout_s=WAIT_S))["agents"]
        return str(next(one["state"] for one in agents if one["name"] == agent))

    async def becomes(self, agent: str, state: str) -> None:
        async with asyncio.timeout(WAIT_S):
            while await self.state(agent) != state:  # noqa: ASYNC110 - it changes in another process
                await asyncio.sleep(0.05)

    async def desk(self, browser: Browser, agent: str, viewport: Viewport = DESKTOP) -> Page:
        """Logged in."""
        page = await self.at_the_door(browser, viewport)
        await page.get_by_label("상담원 이름").fill(agent)
        await page.get_by_label("코드").fill(CODES[agent])
        await page.get_by_role("button", name="로그인").click()
        await page.get_by_role("button", name="로그아웃").wait_for()
        return page

    async def at_the_door(self, browser: Browser, viewport: Viewport = DESKTOP) -> Page:
        """Where one logs in."""
        browser.expect("401")  # the page asks who is logged in, and nobody is
        return await browser.open(f"{self.url}/desk", viewport)

    def client(self) -> httpx.AsyncClient:
        """Somebody's own cookies."""
        return httpx.AsyncClient(base_url=self.url, headers={"X-VoiceEdge-Desk": "1"}, timeout=WAIT_S)

    @asynccontextmanager
    async def agent(self, name: str) -> AsyncIterator[httpx.AsyncClient]:
        async with self.client() as client:
            answer = await client.post("/desk/api/login", json={"agent": name, "code": CODES[name]})
            assert answer.status_code == 204, answer.text
            yield client

    async def out(self) -> None:
        """Everybody goes home, as soon as their talks are over."""
        for name in ("kim", "lee"):
            async with self.agent(name) as client, asyncio.timeout(WAIT_S):
                while contacts := await self._open(client):
                    for contact in contacts:
                        await client.post(f"/desk/api/conversations/{contact['conversation']}/close", json={})
                    await asyncio.sleep(0.05)
                await client.post("/desk/api/logout")

    @staticmethod
    async def _open(client: httpx.AsyncClient) -> list[dict[str, str]]:
        contacts = (await client.get("/desk/api/desk")).json()["contacts"]
        return [contact for contact in contacts if contact["state"] in {"wrap_up", "talking"}]


class Visitor:
    """A customer in the web chat."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def begin(self) -> None:
        answer = await self._client.post("/chat/sessions", json={"language": "ko"})
        assert answer.status_code == 201, answer.text

    async def write(self, text: str) -> None:
        answer = await self._client.post("/chat/messages", json={"text": text})
        assert answer.status_code == 201, answer.text

    async def hears(self, words: str) -> str:
        """The message in which this stands, whenever it comes."""
        async with asyncio.timeout(WAIT_S):
            while True:
                found = (await self._client.get("/chat/messages")).json()["messages"]
                for one in found:
                    if words in one["text"]:
                        return str(one["text"])
                await asyncio.sleep(0.1)

    async def asks_for_an_agent(self) -> None:
        await self.begin()
        await self.hears("주문 번호")
        await self.write("1234")
        await self.hears("연락받으실")
        await self.write("01099998888")


@asynccontextmanager
async def visitor(site: Site) -> AsyncIterator[Visitor]:
    async with httpx.AsyncClient(base_url=site.url, timeout=WAIT_S) as client:
        yield Visitor(client)


def running(directory: Path) -> tuple[RunningService, dict[str, int]]:
    ports = switching.free(("kim", "lee"))
    settings = write(directory, ports)
    return RunningService(directory, directory / "flows", settings), ports
