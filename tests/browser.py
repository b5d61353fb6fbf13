"""Chromium for tests of pages: as a person has it, and a page that is not in order fails its test.

    async def test_the_page_greets(browser, server):
        page = await browser.open(f"{server.url}/chat", PHONE)
        await page.get_by_role("textbox", name="메시지").fill("안녕하세요")
        assert not await accessible(page)
        await browser.screenshot(page, "chat-phone")

Playwright's asynchronous half, because the servers that pages are tried on run in the test's own event loop. That loop
is another for each test, and whatever Playwright has opened belongs to one loop; so the one Chromium of a session is a
process of its own, which each test's `browser` connects to (a third of the time that a start takes).

A test fails by whatever its pages complain of: an error in the console (an injected script and anything else that the
Content-Security-Policy stops is one), an exception that nobody caught, a request that failed, any address beyond this
machine, none of which can be reached. What a test provokes on purpose it announces by `browser.expect`.
"""

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser as Connected
from playwright.async_api import ConsoleMessage, Page, Request, async_playwright, expect

PROGRAM = Path("/usr/bin/chromium")
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--disable-features=Translate,OptimizationHints,MediaRouter", "--force-color-profile=srgb",
    # Two pages of one test are both looked at: none is put to sleep for lying behind the other.
    "--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost, EXCLUDE [::1]",
    "--remote-debugging-port=0",
)  # fmt: skip
START_S, STOP_S = 90, 60
LATE_S = 5  # by which a page may complain after it has shown what it complains of
ANSWER_MS = 30_000  # for anything a page is expected to do; machines that run tests are busy
expect.set_options(timeout=ANSWER_MS)

SCREENSHOTS = "VOICEEDGE_SCREENSHOTS"  # a directory for people who want to look; else they end with the test


class Viewport(NamedTuple):
    width: int
    height: int
    is_mobile: bool = False


PHONE = Viewport(390, 844, is_mobile=True)
DESKTOP = Viewport(1366, 900)


class Chromium:
    """The process, started by `with` and ended by its pid; `address` is where Playwright connects to."""

    def __enter__(self) -> Self:
        if not PROGRAM.exists():
            pytest.skip("chromium is not installed")
        self._profile = Path(tempfile.mkdtemp(prefix="voiceedge-chromium-"))
        with (self._profile / "log").open("w") as log:
            command = [PROGRAM, *OPTIONS, f"--user-data-dir={self._profile}"]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            self.address = self._listens()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _listens(self) -> str:
        deadline = time.monotonic() + START_S
        while self._process.poll() is None and time.monotonic() < deadline:
            lines = [line for file in self._profile.glob("DevToolsActivePort") for line in file.read_text().split("\n")]
            if len(lines) == 2:  # the port, and a path that nobody guesses
                return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            time.sleep(0.02)
        raise AssertionError(f"Chromium does not listen:\n{(self._profile / 'log').read_text()[-2000:]}")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        finally:
            self._process.kill()
            shutil.rmtree(self._profile, ignore_errors=True)


class Browser:
    """A person's browser for as long as a test lasts. `troubles` is what its pages have complained of so far."""

    def __init__(self, connected: Connected, pictures: Path) -> None:
        self._connected, self._pictures = connected, pictures
        self._expected: list[str] = []
        self.troubles: list[str] = []

    async def open(self, url: str, viewport: Viewport = DESKTOP, locale: str = "ko-KR", **options: Any) -> Page:
        """A page at `url` of somebody new, with cookies and storage of their own. `options` are a context's."""
        width, height, is_mobile = viewport
        context = await self._connected.new_context(
            viewport={"width": width, "height": height},
            is_mobile=is_mobile,
            has_touch=is_mobile,
            locale=locale,
            timezone_id="Asia/Seoul",
            **options,
        )
        context.set_default_timeout(ANSWER_MS)
        context.on("console", self._hear)
        context.on("weberror", lambda error: self._note(f"uncaught: {error.error}"))
        context.on("request", self._asked)
        context.on("requestfailed", self._failed)
        page = await context.new_page()
        await page.goto(url)
        return page

    def expect(self, pattern: str) -> None:
        """The test provokes troubles in which this regular expression is found; that there is none fails it, too."""
        self._expected.append(pattern)

    async def screenshot(self, page: Page, name: str) -> Path:
        """What is to be seen now, as `name`.png."""
        self._pictures.mkdir(parents=True, exist_ok=True)
        path = self._pictures / f"{name}.png"
        await page.screenshot(path=path, animations="disabled")
        return path

    def unexpected(self) -> list[str]:
        """What the test fails by."""
        strangers = [one for one in self.troubles if not any(re.search(pattern, one) for pattern in self._expected)]
        return strangers + [f"expected, and did not come: {pattern}" for pattern in self._missing()]

    async def complained(self) -> None:
        """Until what is expected has come, for a while."""
        deadline = time.monotonic() + LATE_S
        while self._missing() and time.monotonic() < deadline:  # noqa: ASYNC110 - Playwright calls back
            await asyncio.sleep(0.02)

    def _missing(self) -> list[str]:
        return [one for one in self._expected if not any(re.search(one, trouble) for trouble in self.troubles)]

    def _note(self, trouble: str) -> None:
        self.troubles.append(trouble)

    def _hear(self, message: ConsoleMessage) -> None:
        where = str(message.location.get("url"))
        if message.type == "error" and not where.endswith("/favicon.ico"):  # Chromium's own idea, and not each time
            self._note(f"console: {message.text} ({where})")

    def _asked(self, request: Request) -> None:
        if not _is_near(request.url):
            self._note(f"beyond this machine: {request.url}")

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page itself gave it up, as by going elsewhere
            self._note(f"failed: {request.method} {request.url}: {request.failure}")


@asynccontextmanager
async def visiting(chromium: Chromium, directory: Path) -> AsyncIterator[Browser]:
    """A browser without history. At the end AssertionError tells of troubles that nobody expected."""
    async with async_playwright() as playwright:
        connected = await playwright.chromium.connect_over_cdp(chromium.address)
        browser = Browser(connected, Path(os.environ.get(SCREENSHOTS) or directory))
        try:
            yield browser
            await browser.complained()
        finally:
            await connected.close()
        troubles = browser.unexpected()
        assert not troubles, "\n".join(troubles)


async def accessible(page: Page) -> list[str]:
    """What axe-core finds serious or critical in the page as it is now: empty for a page that all can use."""
    found = await Axe().run(page, options={"resultTypes": ["violations"]})
    return [
        f"{violation['id']} ({violation['impact']}): {violation['help']}: {node['html']}"
        for violation in found.response["violations"]
        if violation["impact"] in {"serious", "critical"}
        for node in violation["nodes"]
    ]


def _is_near(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https", "ws", "wss"}:
        return True  # data:, blob: and the like stay in the page
    try:
        return ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname == "localhost"
