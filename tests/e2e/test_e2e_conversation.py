"""One conversation, whichever way it comes: by phone and chat in turn and at once, and nothing is asked twice."""

import re
from contextlib import asynccontextmanager

import desk
import pytest
import shop
from browser import DESKTOP, accessible
from peer import Peer
from playwright.async_api import expect
from talk import calling

pytestmark = pytest.mark.slow

ORDER, SPOKEN = shop.ORDER, "이공이육, 일일이이"
HANGUL = "공일이삼사오육칠팔구"
HANGUL_SYLLABLES = re.compile(r"[가-힣]")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with shop.opened(tmp_path_factory.mktemp("shop")) as site:
        yield site


@pytest.fixture
def on_postgres(tmp_path, postgres):
    store = {"url": postgres.url(postgres.new_database()), "password_file": str(postgres.password_file)}
    with shop.opened(tmp_path, store) as site:
        yield site


@pytest.fixture(params=["site", "on_postgres"])
def either(request):
    return request.getfixturevalue(request.param)


def visits(record):
    return [visit["channel"] for visit in record["channels"]]


def words(record, channel=None):
    return [turn["text"] for turn in record["turns"] if channel in {None, turn["channel"]}]


async def test_a_chat_goes_on_by_phone_and_the_order_number_is_not_asked_again(either, browser):
    chat = await either.page(browser)
    await chat.asks_for_the_order()
    await browser.screenshot(chat.page, "chat-order")
    pin = await chat.code()
    await browser.screenshot(chat.page, "chat-code")
    assert not await accessible(chat.page)
    await chat.close_sheet()
    async with calling(either.service, user="0212345678") as call:
        await call.press("9")
        await call.asked("with_code")
        await call.press(pin)
        assert (await call.until("conversation.continued"))["trust"] == "proved"
        assert "한빛택배를 통해 배송 중" in (await call.until("step.entered", step="shipped"))["says"]
        await call.press("2")  # no more is wanted
        await call.until("call.ended", outcome="served")
        assert SPOKEN in call.said
        assert "number" not in call.steps
    await chat.shows("통화가 끝났습니다.")
    await chat.shows("앞서 말씀하신 주문 번호")  # it goes on there
    record = await either.record(call.conversation)
    assert visits(record) == ["web-chat", "phone"]
    assert record["slots"]["order_number"]["value"] == ORDER
    assert [turn["time"] for turn in record["turns"]] == sorted(turn["time"] for turn in record["turns"])
    assert ORDER in words(record, "web-chat")
    assert any(SPOKEN in text for text in words(record, "phone"))
    joined = record["continuations"][0]["joined"]
    assert (await either.record(joined))["id"] == record["id"] != joined
    assert pin not in either.service.log.read_text() + str(call.events.all) + str(record)


async def leaves_for_the_chat(call):
    """A call about a return, whose caller knows the way, and is sent a link."""
    await call.until("step.entered")
    await call.press(f"2{ORDER}#1")


async def test_a_call_goes_on_in_a_chat_and_from_there_by_phone_again(site, browser):
    number = "01023456789"
    async with calling(site.service, user=number) as call:
        await leaves_for_the_chat(call)
        link = await site.link_sent_to(number)
        chat = await site.open_link(browser, link)
        await chat.shows("상품을 받으신 날부터 칠 일 이내")
        await expect(chat.log.locator(".story")).to_contain_text(ORDER)
        await expect(chat.page.get_by_role("status").first).to_have_text("통화 중")
        await browser.screenshot(chat.page, "chat-linked")
        assert not await accessible(chat.page)

        browser.expect("410")
        again = await site.open_link(browser, link, DESKTOP)
        await expect(again.page.get_by_role("heading", name="이미 사용한 링크입니다")).to_be_visible()
        await browser.screenshot(again.page, "chat-link-used")
        assert not await accessible(again.page)
        assert ORDER not in await again.page.content()
        call.peer.rtp.press("#")  # the rest need not be said
        ended = await call.until("call.ended")
        assert (ended["cause"], ended["outcome"]) == ("flow", "served")
        conversation = call.conversation
    await chat.shows("통화가 끝났습니다.")
    await expect(chat.log.get_by_text("문의하실 내용을 남겨 주세요.")).to_be_in_viewport()
    await browser.screenshot(chat.page, "chat-after-call")
    pin = await chat.code()
    async with calling(site.service, user="0298765432") as second:
        await second.press(f"9{pin}")
        assert SPOKEN in (await second.until("step.entered", step="resumed_return"))["says"]
        await second.press("2")  # no message
        await second.until("call.ended", outcome="served")
        assert not {"number", "which_order", "same_order"} & set(second.steps)
    record = await site.record(conversation)
    assert visits(record) == ["phone", "web-chat", "phone"]
    assert [one["by"] for one in record["continuations"]] == ["link", "pin"]
    assert any("칠 일 이내" in text for text in words(record, "phone"))


async def test_a_link_whose_time_is_over_opens_nothing_and_one_that_was_altered_neither(site, browser):
    async with calling(site.service, user="01034567890") as call:
        await call.until("step.entered")
        conversation = call.conversation
        wish = {"conversation": conversation, "channel": "web-chat", "expires_s": 0.0, "interaction": call.peer.id}
        async with site.control() as control:
            link = (await control.request("issue_token", wish, timeout_s=desk.WAIT_S))["link"]
        browser.expect("410")
        late = await site.open_link(browser, link)
        await expect(late.page.get_by_role("heading", name="기간이 지난 링크입니다")).to_be_visible()
        await browser.screenshot(late.page, "chat-link-expired")
        wrong = await site.open_link(browser, link[:-2] + ("aa" if link[-2:] != "aa" else "bb"))
        await expect(wrong.page.get_by_role("heading", name="열 수 없는 링크입니다")).to_be_visible()
        await late.page.get_by_role("button", name="새 상담 시작하기").click()
        await shop.ChatPage(late.page).shows("무엇을 도와드릴까요?")
        await call.press("3")
        await call.until("step.entered", step="hours")
        await call.press("2")
        await call.until("call.ended", outcome="served")
    assert visits(await site.record(conversation)) == ["phone"]


async def test_call_and_screen_at_once_what_is_tapped_or_typed_is_heard_by_the_voice(site, browser):
    chat = await site.page(browser)
    await chat.asks_for_the_order()
    pin = await chat.code()
    await chat.close_sheet()
    async with calling(site.service, user="0311234567") as call:
        await call.press(f"9{pin}")
        await call.until("step.entered", step="resumed_delivery")
        await call.press("1")
        await call.asked("menu", 2)
        await expect(chat.page.get_by_role("status").first).to_have_text("통화 중")
        await chat.shows(f"앞서 말씀하신 주문 번호 {SPOKEN}번으로")
        await chat.shows("배송 조회는 일 번")
        await browser.screenshot(chat.page, "chat-beside-call")
        assert not await accessible(chat.page)
        await chat.choose("배송 조회")
        await call.asked("number")
        await chat.shows("주문 번호를 한 자리씩 말씀해 주시거나")
        await chat.write(ORDER)
        await call.until("step.entered", step="wait")
        await call.press("2")
        await call.until("call.ended", outcome="served")
        heard = [(data["by"], data["value"]) for data in call.of("turn.heard") if data["decision"] == "accept"]
        assert heard[2:] == [("keys", "more"), ("text", "delivery"), ("text", ORDER), ("keys", "done")]
    await chat.shows("통화가 끝났습니다.")
    assert await chat.log.get_by_text(ORDER, exact=True).count() == 2


@pytest.fixture
async def evening(site):
    yield
    await site.out()


@pytest.mark.usefixtures("evening")  # the agent goes home when the browser is closed
async def test_an_agent_sees_what_was_written_in_the_chat_before_the_call(site, browser):
    chat = await site.page(browser)
    await chat.asks_for_the_order()
    await chat.write("오늘 안에 꼭 받아야 해요")
    pin = await chat.code()
    async with Peer(user="kim", port=site.ports["kim"]) as kim:
        page = await site.desk(browser, "kim")
        async with calling(site.service, shop.DESK_NUMBER, user="01045678901") as call:
            await call.asked("back")
            await call.press(pin)
            await call.until("queue.joined")
            ringing = await kim.incoming()
            story = page.get_by_role("log")
            await expect(story).to_contain_text("오늘 안에 꼭 받아야 해요")
            await expect(story).to_contain_text("한빛택배를 통해 배송 중")
            await ringing.answer()
            side = page.get_by_role("region", name="고객", exact=True)
            await expect(side.get_by_text(ORDER, exact=True)).to_be_visible()
            await browser.screenshot(page, "desk-story")
            assert not await accessible(page)


@asynccontextmanager
async def with_an_agent(site, user):
    """A call that kim has answered at the table."""
    async with (
        Peer(user="kim", port=site.ports["kim"]) as kim,
        calling(site.service, shop.DESK_NUMBER, user=user) as call,
    ):
        await call.asked("back")
        await call.press("*")  # no code
        await call.until("queue.joined")
        await (await kim.incoming()).answer()
        yield call


@pytest.mark.usefixtures("evening")
async def test_an_agent_sends_a_link_by_text_message_and_the_call_goes_on_beside_the_chat(site, browser):
    number = "01056789012"
    page = await site.desk(browser, "kim")
    async with with_an_agent(site, number) as call:
        await expect(page.get_by_role("region", name="내 상담")).to_contain_text("통화 중")
        await page.keyboard.press("Alt+k")
        sheet = page.get_by_role("dialog")
        await expect(sheet.get_by_role("button", name="링크 만들기")).to_be_visible()
        await sheet.get_by_label("어디로").select_option("sms")
        await expect(sheet.get_by_text("비우면 고객의 번호로 보냅니다.")).to_be_visible()
        assert not await accessible(page)
        await sheet.get_by_role("button", name="보내기").click()
        await expect(sheet.get_by_text("보냈습니다.")).to_be_visible()
        await browser.screenshot(page, "desk-sends-link")
        chat = await site.open_link(browser, await site.link_sent_to(number))
        await expect(chat.page.get_by_role("status").first).to_have_text("통화 중")
        sent = await call.until("conversation.link_sent", result="sent")
        assert (sent["via"], sent["channel"]) == ("sms", "web-chat")
        assert number not in str(sent)
        await sheet.get_by_role("button", name="닫기").click()
        story = page.get_by_role("log")
        await expect(story).to_contain_text("이어 갈 링크를 보냈습니다 (문자)")
        await chat.write("문자 받았어요")
        await expect(story).to_contain_text("문자 받았어요")  # in the one story that the agent has before them
        assert not call.of("call.ended")
    assert visits(await site.record(call.conversation)) == ["phone", "web-chat"]


@pytest.mark.usefixtures("evening")
async def test_the_desk_speaks_english_to_who_wants_it_from_the_login_on(site, browser):
    page = await site.at_the_door(browser)
    await page.get_by_role("button", name="English").click()
    assert await page.evaluate("document.documentElement.lang") == "en"
    await expect(page).to_have_title("VoiceEdge desk")
    assert not await accessible(page)
    await page.get_by_label("Name").fill("boss")
    await page.get_by_label("Code").fill(desk.CODES["boss"])
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_text("No contacts at the moment.")).to_be_visible()
    kim = await site.desk(browser, "kim")
    await kim.get_by_role("button", name="English").click()
    async with with_an_agent(site, "01067890123"):
        await expect(kim.get_by_role("region", name="My contacts")).to_contain_text("On a call")
        await kim.reload()
        await expect(kim.get_by_role("button", name="Log out")).to_be_visible()  # it is remembered
        await expect(kim.get_by_role("log")).to_contain_text("Phone began")
        await browser.screenshot(kim, "desk-english")
        assert not await accessible(kim)
        for keys, title in (("Alt+t", "Transfer"), ("Alt+k", "Other channel"), ("Alt+/", "Shortcuts")):
            await kim.keyboard.press(keys)
            await expect(kim.get_by_role("dialog", name=title)).to_be_visible()
            await browser.screenshot(kim, f"desk-english-{title.lower().replace(' ', '-')}")
            assert not await accessible(kim)
            left = (await kim.get_by_role("dialog").inner_text()).replace("주문·배송", "")  # the queue's own name
            assert not HANGUL_SYLLABLES.search(left)
            await kim.keyboard.press("Escape")
        await page.get_by_role("button", name="Floor").click()
        await expect(page.get_by_text("Calls handled").first).to_be_visible()
        await page.get_by_role("button", name="Show entries").click()
        await expect(page.get_by_text("logged in").first).to_be_visible()
        await browser.screenshot(page, "desk-english-floor")
        assert not await accessible(page)
    await kim.get_by_role("button", name="한국어").click()
    await expect(kim.get_by_role("region", name="내 상담")).to_contain_text("마무리")
