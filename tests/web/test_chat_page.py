"""The chat as a customer has it, in a real browser against the real service."""

import json
import re

import httpx
import pytest
from browser import DESKTOP, PHONE, accessible
from chat_site import site

pytestmark = pytest.mark.slow

CARD = "4111-1111-1111-1111"
WAIT_S = 60


@pytest.fixture(scope="module")
def at(tmp_path_factory):
    with site(tmp_path_factory.mktemp("chat")) as made:
        yield made


async def begin(browser, at, viewport=PHONE, **more):
    page = await browser.open(f"{at.url}/chat", viewport, **more)
    await page.get_by_role("button", name=re.compile("상담 시작하기|Start chat")).click()
    return page


def bubbles(page):
    return page.locator(".message .bubble p")


async def test_a_delivery_is_asked_for_by_button_and_by_hand_and_rated(browser, at):
    page = await begin(browser, at)
    await browser.screenshot(page, "chat-phone-menu")
    await page.get_by_role("button", name="배송 조회").click()
    await page.get_by_text("숫자 5자리에서 12자리까지").wait_for()
    await page.get_by_role("textbox", name="메시지").fill("주문 번호는 12345예요")
    await page.get_by_role("button", name="보내기").click()
    await page.get_by_text("한빛택배를 통해 배송 중이며, 11월 24일에").wait_for()
    assert await accessible(page) == []
    await browser.screenshot(page, "chat-phone-answer")
    await page.reload()  # the talk is still there
    await page.get_by_text("한빛택배를 통해 배송 중이며").wait_for()
    assert await page.get_by_role("button", name="배송 조회").count() == 0  # that question is answered
    await page.get_by_role("button", name="아니요").click()
    await page.get_by_role("button", name="5점").click()
    await page.get_by_text("평가해 주셔서 감사합니다").wait_for()
    assert await accessible(page) == []
    await browser.screenshot(page, "chat-phone-over")


async def test_a_chat_in_english_on_a_desk(browser, at):
    page = await begin(browser, at, DESKTOP, locale="en-US")
    await page.get_by_role("button", name="where is my order").wait_for()
    assert await page.get_attribute("html", "lang") == "en"
    assert await accessible(page) == []
    await browser.screenshot(page, "chat-desktop-english")


async def test_a_restart_of_control_is_a_short_silence(browser, at):
    page = await begin(browser, at)
    await page.get_by_role("button", name="배송 조회").click()
    await page.get_by_text("주문 번호를 입력해").wait_for()
    before = await bubbles(page).all_text_contents()
    browser.expect("net::ERR_")  # it is away for a moment, and the page cannot reach it for a longer one
    await page.route("**/chat/stream", lambda route: route.abort())
    pid = at.service.pid("control")
    at.service.kill("control")
    await page.get_by_text("다시 연결하고 있습니다").wait_for()
    await browser.screenshot(page, "chat-phone-lost")
    at.service.replaced("control", pid)
    await page.unroute("**/chat/stream")
    await page.get_by_text("다시 연결하고 있습니다").wait_for(state="hidden")
    await page.get_by_role("textbox", name="메시지").fill("12345")
    await page.keyboard.press("Enter")
    await page.get_by_text("한빛택배").wait_for()
    after = await bubbles(page).all_text_contents()
    assert after[: len(before)] == before
    assert len(after) == len(set(after)), "something is there twice"


async def test_what_was_written_while_the_line_was_down_comes_in_its_place(browser, at):
    browser.expect("net::ERR_FAILED")
    page = await browser.open(f"{at.url}/chat", PHONE)
    await page.route("**/chat/stream", lambda route: route.abort())
    await page.get_by_role("button", name="상담 시작하기").click()
    await page.get_by_text("다시 연결하고 있습니다").wait_for()
    for text in ("배송 조회", "12345"):
        await page.get_by_role("textbox", name="메시지").fill(text)
        await page.get_by_role("button", name="보내기").click()
        await page.locator(".message.customer", has_text=text).wait_for()
    assert await page.get_by_text("주문 번호를 입력해").count() == 0
    await page.unroute("**/chat/stream")
    await page.get_by_text("한빛택배").wait_for()
    shown = await page.locator("#messages .message").evaluate_all("all => all.map((one) => Number(one.dataset.number))")
    assert shown == list(range(1, len(shown) + 1))


async def test_enter_that_ends_a_syllable_does_not_send(browser, at):
    page = await begin(browser, at)
    await page.get_by_role("button", name="배송 조회").wait_for()
    text = page.get_by_role("textbox", name="메시지")
    await text.focus()
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Input.imeSetComposition", {"text": "안녀", "selectionStart": 2, "selectionEnd": 2})
    key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 229}
    await devtools.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", **key})
    await devtools.send("Input.dispatchKeyEvent", {"type": "keyUp", **key})
    await devtools.send("Input.insertText", {"text": "안녕하세요"})
    assert await text.input_value() == "안녕하세요"
    assert await page.locator(".message.customer").count() == 0
    await page.keyboard.press("Enter")
    await page.locator(".message.customer", has_text="안녕하세요").wait_for()


async def test_script_in_a_message_stays_text_and_a_card_number_is_not_kept(browser, at):
    page = await begin(browser, at)
    await page.get_by_role("button", name="배송 조회").wait_for()
    hostile = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
    await page.get_by_role("textbox", name="메시지").fill(hostile)
    await page.keyboard.press("Enter")
    await page.locator(".message.customer", has_text=hostile).wait_for()
    await page.get_by_role("textbox", name="메시지").fill(f"카드는 {CARD}")
    await page.keyboard.press("Enter")
    await page.locator(".message.customer", has_text="카드는 ***1111").wait_for()
    assert await page.title() == "보이스엣지 몰"
    assert await page.locator(".message img, .message script").count() == 0


async def test_everything_can_be_done_by_keyboard(browser, at):
    page = await browser.open(f"{at.url}/chat", DESKTOP)
    await page.get_by_role("button", name="상담 시작하기").wait_for()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="배송 조회").wait_for()
    for _ in range(12):
        await page.keyboard.press("Shift+Tab")
        if await page.evaluate("document.activeElement.textContent") == "배송 조회":
            break
    await page.keyboard.press("Enter")
    await page.get_by_text("주문 번호를 입력해").wait_for()
    assert await page.evaluate("document.activeElement.id") == "log"  # and the next Tab goes to the next choices
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.className") == "choice"
    small = await page.evaluate(
        "[...document.querySelectorAll('button')].filter((one) => one.offsetParent)"
        ".map((one) => one.getBoundingClientRect()).filter((box) => box.height < 44 || box.width < 44).length"
    )
    assert small == 0


async def test_a_link_goes_on_with_what_was_said_on_the_phone_and_opens_once(browser, at):
    link = await at.link("once")
    page = await browser.open(link, PHONE)
    await page.get_by_role("heading", name="상담을 이어서 진행합니다").wait_for()
    await browser.screenshot(page, "chat-phone-link")
    await page.get_by_role("button", name="이어서 상담하기").click()
    await page.get_by_text("배송 조회해 주세요").wait_for()
    await page.get_by_text("54321번으로 이어서 도와드리겠습니다").wait_for()  # the number is not asked for again
    await page.get_by_text("한빛택배를 통해").wait_for()
    await page.get_by_role("button", name="아니요").wait_for()
    assert await accessible(page) == []
    await browser.screenshot(page, "chat-phone-story")
    assert "#" not in page.url
    browser.expect("status of 410")
    second = await browser.open(link, PHONE)
    await second.get_by_role("button", name="이어서 상담하기").click()
    await second.get_by_role("heading", name="이미 사용한 링크입니다").wait_for()
    assert await accessible(second) == []
    await browser.screenshot(second, "chat-phone-used")
    await second.get_by_role("button", name="새 상담 시작하기").click()
    await second.get_by_role("button", name="배송 조회").wait_for()


@pytest.mark.parametrize(
    ("made", "told"), [("expired", "기간이 지난"), ("altered", "열 수 없는"), ("foreign", "열 수 없는")]
)
async def test_a_link_that_opens_nothing_says_so_kindly(browser, at, made, told):
    link = await at.link(made, 0.001 if made == "expired" else 600, "sms" if made == "foreign" else "web-chat")
    page = await browser.open(link + "x" * (made == "altered"), PHONE)
    browser.expect("status of 410")
    await page.get_by_role("button", name="이어서 상담하기").click()
    await page.get_by_role("heading", name=told).wait_for()


async def test_the_way_to_the_phone_is_a_number_and_a_code(browser, at):
    page = await begin(browser, at)
    await page.get_by_role("button", name="배송 조회").wait_for()
    await page.get_by_role("button", name="전화로 계속하기").click()
    assert not await page.get_by_label("전화받으실 번호").is_visible()  # the site has no campaign for it
    await page.get_by_role("button", name="직접 전화하고").click()
    pin = await page.locator(".pin").text_content()
    assert re.fullmatch(r"\d{3} \d{3}", pin)
    assert await page.get_by_role("link", name="1588-1234").get_attribute("href") == "tel:15881234"
    assert await accessible(page) == []
    data = at.service.directory / "data"
    assert not [one for one in data.glob("*.db*") if pin.replace(" ", "").encode() in one.read_bytes()]


async def test_a_shop_shows_the_chat_in_its_page_and_a_stranger_cannot(browser, at):
    page = await browser.open(at.shop, DESKTOP)
    await page.get_by_role("button", name="채팅 상담").click()
    chat = page.frame_locator("iframe")
    await chat.get_by_role("button", name="상담 시작하기").click()
    await chat.get_by_role("button", name="영업 시간").click()
    await chat.get_by_text("평일 오전").first.wait_for()
    await browser.screenshot(page, "chat-embedded")
    assert await page.context.cookies() == []  # a frame of somebody else's page has none
    stranger = await browser.open(at.other, DESKTOP)
    browser.expect("frame-ancestors")
    browser.expect("BLOCKED_BY_RESPONSE")
    await stranger.get_by_role("button", name="채팅 상담").click()
    await stranger.wait_for_timeout(200)
    assert await stranger.frame_locator("iframe").get_by_role("button").count() == 0


def visitor(at, **headers):
    client = httpx.Client(base_url=at.url, headers=headers, timeout=WAIT_S)
    answer = client.post("/chat/sessions", json={})
    assert answer.status_code == 201
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "SameSite=strict" in answer.headers["set-cookie"]
    return client


def test_one_visitor_sees_nothing_of_another(at):
    first, second = visitor(at), visitor(at)
    first.post("/chat/messages", json={"text": "비밀 이야기"})
    name = first.cookies["voiceedge_chat"].split(".")[0]
    secret = second.cookies["voiceedge_chat"].split(".")[1]
    for session in (f"{name}.{secret}", f"{name}.", name, "", "../../etc", f"{name}.{'x' * 4000}"):
        answer = httpx.get(f"{at.url}/chat/messages", headers={"X-Chat-Session": session}, timeout=WAIT_S)
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown")
    assert "비밀" not in second.get("/chat/messages").text


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ({"text": "가" * 2001}, {}, 422),
        ({"text": ""}, {}, 422),
        ({"text": ["a"]}, {}, 422),
        ({"text": "a", "more": 1}, {}, 422),
        ({"text": "a"}, {"Origin": "https://evil.example"}, 403),
        ({"text": "a"}, {"Sec-Fetch-Site": "cross-site"}, 403),
        ({"text": "a"}, {"Content-Type": "text/plain"}, 415),
    ],
)
def test_what_is_no_message_of_the_page_is_refused(at, body, headers, status):
    client = visitor(at)
    sent = {"Content-Type": "application/json", **headers}
    answer = client.post("/chat/messages", content=json.dumps(body), headers=sent)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_pages_of_configured_origins_alone_may_use_the_chat_by_a_header(at):
    shop = at.shop.rstrip("/")
    with httpx.Client(base_url=at.url, headers={"Origin": shop}, timeout=WAIT_S) as client:
        asked = client.options("/chat/messages", headers={"Access-Control-Request-Method": "POST"})
        assert asked.headers["access-control-allow-origin"] == shop
        session = client.post("/chat/sessions", json={"embedded": True}).json()["session"]
        answer = client.post("/chat/messages", json={"text": "안녕"}, headers={"X-Chat-Session": session})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (201, shop)
    other = httpx.options(f"{at.url}/chat/messages", headers={"Origin": "https://evil.example"}, timeout=WAIT_S)
    assert "access-control-allow-origin" not in other.headers


def test_whoever_floods_is_slowed_and_told(at):
    client = visitor(at)
    answers = [client.post("/chat/messages", json={"text": "a"}) for _ in range(40)]
    slowed = [one for one in answers if one.status_code == 429]
    assert slowed
    assert int(slowed[0].headers["Retry-After"]) >= 1


def test_a_stream_begins_where_the_reader_was(at):
    client = visitor(at)

    def read(last):
        numbers = []
        with client.stream("GET", "/chat/stream", headers={"Last-Event-ID": last}, timeout=WAIT_S) as stream:
            for line in stream.iter_lines():
                if line.startswith("id: "):
                    numbers.append(int(line[4:]))
                if line.startswith("event: state") and (numbers and numbers[-1] >= 2):
                    return numbers
        return numbers

    assert read("0") == [1, 2]
    assert read("1") == [2]
    assert read("no number") == [1, 2]
