"""The browser that pages are tried with reports what is not in order."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from browser import DESKTOP, PHONE, Browser, Chromium, accessible, visiting
from playwright.async_api import Error

POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'"
FRAME = """<!doctype html><html lang="ko"><head><title>시험</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/style.css">{head}</head>
<body><main><h1>안녕하세요</h1>{body}</main></body></html>"""
STYLE = "body { color: #222; background: #fff } .faint { color: #ccc }"
PAGES = {
    "/good": FRAME.format(head='<script type="module" src="/page.js"></script>', body='<p id="said"></p>'),
    "/injected": FRAME.format(head="", body='<img src="/style.css" alt="" onerror="document.title=\'taken\'">'),
    "/faint": FRAME.format(head="", body='<p class="faint">읽기 어려운 글</p>'),
    "/throws": FRAME.format(head='<script type="module" src="/throws.js"></script>', body=""),
    "/style.css": STYLE,
    "/page.js": "document.getElementById('said').textContent = `${navigator.language} ${innerWidth}`;",
    "/throws.js": "throw new Error('battery low');",
}
KINDS = {".css": "text/css", ".js": "text/javascript"}


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = PAGES.get(self.path, "no such page").encode()
        self.send_response(200 if self.path in PAGES else 404)
        self.send_header("Content-Type", f"{KINDS.get(Path(self.path).suffix, 'text/html')}; charset=utf-8")
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.02,))
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


async def test_a_page_in_order_is_seen_as_on_a_phone_and_on_a_desk(browser: Browser, url: str) -> None:
    phone = await browser.open(f"{url}/good", PHONE)
    desktop = await browser.open(f"{url}/good", DESKTOP, locale="en-US")
    assert await phone.locator("#said").text_content() == "ko-KR 390"
    assert await desktop.locator("#said").text_content() == "en-US 1366"
    assert await accessible(phone) == []
    assert (await browser.screenshot(phone, "good")).stat().st_size > 1000
    assert browser.troubles == []


async def test_pages_that_are_not_in_order_fail_their_test(
    chromium: Chromium, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("browser.LATE_S", 0)  # in which Chromium would try a page again that it did not reach

    async def visit(*paths: str) -> None:
        async with visiting(chromium, tmp_path) as browser:
            browser.expect("battery low")
            browser.expect("never said")
            for path in paths:
                page = await browser.open(f"{url}{path}")
            with suppress(Error):
                await page.goto("https://voiceedge.example/")
            async with asyncio.timeout(30):
                while not any("ERR_NAME_NOT_RESOLVED" in one for one in browser.troubles):  # noqa: ASYNC110 - Playwright's
                    await asyncio.sleep(0.01)

    with pytest.raises(AssertionError) as failed:
        await visit("/throws", "/injected", "/nowhere", "/good")
    said = str(failed.value)
    for trouble in (
        "Content Security Policy",
        "status of 404",
        "beyond this machine: https://voiceedge.example/",
        "ERR_NAME_NOT_RESOLVED",
        "expected, and did not come: never said",
    ):
        assert trouble in said
    assert len(said.splitlines()) == 5, said


async def test_letters_too_faint_to_read_are_found(browser: Browser, url: str) -> None:
    page = await browser.open(f"{url}/faint")
    (finding,) = await accessible(page)
    assert finding.startswith("color-contrast (serious)")
    assert "읽기 어려운 글" in finding
