"""The agent desk in a real browser: calls that ring a real phone, chats, what others may not see, and the floor."""

import asyncio
import re

import desk
import pytest
from browser import PHONE, accessible
from peer import Peer
from playwright.async_api import expect

pytestmark = pytest.mark.slow

SCRIPT = '<img src=x onerror="document.title=1"><script>document.title = 1</script>'
WAIT_MS = 60_000


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    service, ports = desk.running(tmp_path_factory.mktemp("desk"))
    with service:
        yield desk.Site(service, ports)


@pytest.fixture
async def phones(site):
    async with Peer(user="kim", port=site.ports["kim"]) as kim, Peer(user="lee", port=site.ports["lee"]) as lee:
        yield kim, lee


@pytest.fixture(autouse=True)
async def _evening(site):
    yield
    await site.out()


class Customer:
    """Somebody who phones, keys an order and a number, and waits."""

    def __init__(self, site):
        self._site = site

    async def __aenter__(self):
        self._peer = await Peer(user="01012345678").__aenter__()
        self.call = await self._peer.invite(self._site.service.uri())
        assert (await self.call.final()).status == 200
        return self

    async def __aexit__(self, *_):
        if not any(request.method == "BYE" for request in self.call.requests):
            await self.call.bye()
        await self._peer.__aexit__()

    async def keys(self, events):
        """Until the queue has them; the conversation's id."""
        await events.until("step.entered", lambda data: data["step"] == "order" and data["call_id"] == self.call.id)
        for key in "1234":
            await self.call.press(key)
        await events.until("step.entered", lambda data: data["step"] == "wish" and data["call_id"] == self.call.id)
        for key in "01099998888":
            await self.call.press(key)
        await events.until("queue.joined", lambda data: data["call_id"] == self.call.id)
        return next(event["subject"] for event in events.all if event["data"].get("call_id") == self.call.id)


def contact(page, words):
    return page.get_by_role("region", name="내 상담").locator(".contact", has_text=words)


async def test_a_call_is_on_the_desk_from_its_ring_to_the_wrap_up_of_whoever_had_it_last(site, browser, phones):
    kim, lee = phones
    async with site.service.events() as events:
        page = await site.desk(browser, "kim")
        await expect(page.get_by_text("지금은 상담이 없습니다.")).to_be_visible()
        async with Customer(site) as customer:
            conversation = await customer.keys(events)
            ringing = await kim.incoming()
            await expect(contact(page, "***5678")).to_contain_text("벨 울림", timeout=WAIT_MS)
            await expect(page.get_by_text("등록된 전화(kim)가 울립니다")).to_be_visible()
            story = page.get_by_role("log")
            await expect(story).to_contain_text("주문 번호를 알려 주세요.")
            await browser.screenshot(page, "desk-ringing")
            await ringing.answer()
            await expect(contact(page, "***5678")).to_contain_text("통화 중", timeout=WAIT_MS)
            assert not await accessible(page)

            await site.heard(conversation, customer.call.id, "caller", "배송이 언제 되나요")
            await expect(story).to_contain_text("배송이 언제 되나요")
            side = page.get_by_role("region", name="고객", exact=True)
            await expect(side.get_by_text("1234", exact=True)).to_be_visible()
            await expect(side.get_by_text("VIP")).to_be_visible()
            assert "01099998888" not in await page.content()
            assert "홍길동" not in await page.content()
            await side.get_by_role("button", name="연락처 보기").click()
            await expect(side.get_by_text("01099998888")).to_be_visible()
            await side.get_by_role("button", name="name 보기").click()
            await expect(side.get_by_text("홍길동")).to_be_visible()

            wish = {"kind": "number", "to": "+19005550100", "note": ""}
            refused = await page.request.post(
                f"{site.url}/desk/api/conversations/{conversation}/send_on",
                data=wish,
                headers={"X-VoiceEdge-Desk": "1"},
            )
            assert (refused.status, (await refused.json())["code"]) == (403, "refused")

            other = await site.desk(browser, "lee")
            await page.keyboard.press("Alt+t")
            await page.get_by_label("보낼 곳").select_option("agent")
            await page.get_by_label("누구에게").select_option("lee")
            await page.get_by_label("다음 상담원에게 남길 말").fill("배송 지연 사과 부탁드려요")
            await page.get_by_role("dialog").get_by_role("button", name="넘기기").click()
            second = await lee.incoming()
            await expect(other.get_by_text("김상담의 메모", exact=True)).to_be_visible(timeout=WAIT_MS)
            await expect(contact(other, "***5678")).to_contain_text("벨 울림")
            await second.answer()
            await expect(contact(other, "***5678")).to_contain_text("통화 중", timeout=WAIT_MS)
            await expect(other.get_by_role("log")).to_contain_text("배송이 언제 되나요")
            await browser.screenshot(other, "desk-transferred")

            await expect(contact(page, "***5678")).to_contain_text("마무리", timeout=WAIT_MS)
            await site.becomes("kim", "after_call")
            await page.keyboard.press("Alt+w")
            await page.get_by_label("상담 결과").select_option("follow_up")
            await page.get_by_role("button", name="마무리하기").click()
            await expect(page.get_by_text("지금은 상담이 없습니다.")).to_be_visible()
            await site.becomes("kim", "available")

            await other.keyboard.press("Alt+t")  # back to the queue, before all who wait there
            await other.get_by_role("dialog").get_by_role("button", name="넘기기").click()
            third = await kim.incoming()
            await third.answer()
            await expect(contact(page, "***5678")).to_contain_text("통화 중", timeout=WAIT_MS)
        closed = await events.until("conversation.closed")
        assert (closed["by"], closed["outcome"]) == ("kim", "follow_up")
        noted = await events.until("conversation.noted")
        assert (noted["by"], noted["to"], noted["text"]) == ("kim", "lee", "배송 지연 사과 부탁드려요")
    async with site.agent("boss") as boss:
        log = (await boss.get(f"/desk/api/supervisor/access?subject={conversation}")).json()
    did = {(entry["actor"], entry["action"]) for entry in log}
    assert {("agent:kim", "read"), ("agent:kim", "revealed slot:contact"), ("agent:kim", "revealed data:name")} <= did
    assert "01099998888" not in str(log)


async def test_a_chat_is_taken_answered_and_handed_on_and_script_in_it_stays_text(site, browser):
    page = await site.desk(browser, "kim")
    async with desk.visitor(site) as visitor:
        await visitor.asks_for_an_agent()
        await expect(contact(page, "채팅 요청")).to_be_visible(timeout=WAIT_MS)
        await page.get_by_role("button", name="받기").first.click()
        await expect(contact(page, "채팅 중")).to_be_visible(timeout=WAIT_MS)
        await visitor.write(SCRIPT)
        await expect(page.get_by_role("log")).to_contain_text(SCRIPT)
        await expect(page).not_to_have_title("1")
        assert await page.locator(".log img, .log script").count() == 0
        await page.get_by_role("textbox", name="메시지").fill("안녕하세요, 바로 확인해 드릴게요.")
        await page.keyboard.press("Enter")
        await visitor.hears("바로 확인해")
        await expect(page.get_by_role("log")).to_contain_text("바로 확인해 드릴게요.")
        await expect(page.get_by_role("textbox", name="메시지")).to_have_value("")
        await browser.screenshot(page, "desk-chat")
        assert not await accessible(page)

        async with site.agent("lee") as lee:
            conversation = (await _desk(lee.get))["contacts"]
            assert conversation == []
        other = await site.desk(browser, "lee", PHONE)
        await page.keyboard.press("Alt+t")
        await page.get_by_label("보낼 곳").select_option("agent")
        await page.get_by_label("누구에게").select_option("lee")
        await page.get_by_label("다음 상담원에게 남길 말").fill("교환 문의입니다")
        await page.get_by_role("dialog").get_by_role("button", name="넘기기").click()
        await other.get_by_role("button", name="받기").first.click(timeout=WAIT_MS)
        await other.get_by_role("button", name="대화").click()
        await expect(other.get_by_role("log")).to_contain_text(SCRIPT)
        await expect(other.get_by_text("교환 문의입니다").first).to_be_visible()
        await browser.screenshot(other, "desk-chat-phone")
        assert not await accessible(other)
        await other.get_by_role("button", name="마무리").click()
        await other.get_by_label("고객 만족도").select_option("5")
        await other.get_by_role("button", name="채팅을 끝내고 마무리").click()
        await visitor.hears("감사합니다")


async def test_the_newest_message_is_in_view_and_the_floor_counts_the_chat(site, browser):
    page = await site.desk(browser, "kim")
    async with desk.visitor(site) as visitor, site.agent("boss") as boss:
        before = await _chats_on(boss)
        await visitor.asks_for_an_agent()
        await expect(contact(page, "채팅 요청")).to_be_visible(timeout=WAIT_MS)
        assert (await _chats_on(boss))["waiting"] == 1
        for number in range(12):
            await visitor.write(f"질문 {number}: 010-2222-3333\n두 번째 줄")
        newest = page.get_by_text("질문 11: 010-2222-3333")  # in full, as it is offered
        await expect(newest).to_be_in_viewport(timeout=WAIT_MS)
        await page.get_by_role("button", name="받기").first.click()
        await expect(page.get_by_role("textbox", name="메시지")).to_be_visible(timeout=WAIT_MS)
        await expect(newest).to_be_in_viewport()
        await expect(page.get_by_role("region", name="고객", exact=True).get_by_text("주문 번호")).to_be_visible()
        log = page.get_by_role("log")
        await log.evaluate("log => { log.scrollTop = 0; }")
        await expect(newest).not_to_be_in_viewport()
        await visitor.write("마지막")
        await expect(log).to_contain_text("마지막")
        await expect(page.get_by_text("마지막").last).not_to_be_in_viewport()  # whoever reads above stays there
        await page.get_by_role("textbox", name="메시지").fill("확인했습니다")
        await page.keyboard.press("Enter")
        await expect(log.get_by_text("확인했습니다")).to_be_in_viewport()
        await page.set_viewport_size({"width": 1024, "height": 500})
        await expect(log.get_by_text("확인했습니다")).to_be_in_viewport()
        await page.get_by_role("button", name="마무리").click()
        await page.get_by_role("button", name="채팅을 끝내고 마무리").click()
        await visitor.hears("감사합니다")
        async with asyncio.timeout(desk.WAIT_S):
            while True:
                now = await _chats_on(boss)
                if now["handled"] > before["handled"]:
                    break
                await asyncio.sleep(0.1)
        assert (now["waiting"], now["of_kim"]) == (0, before["of_kim"] + 1)


async def _chats_on(boss):
    floor = (await boss.get("/desk/api/supervisor")).json()
    queue = next(one for one in floor["queues"] if one["name"] == "orders")
    kim = next(one for one in floor["agents"] if one["name"] == "kim")
    return {"waiting": queue["chats"], "handled": queue["chats_handled"], "of_kim": kim["chats_handled"]}


async def _desk(get):
    return (await get("/desk/api/desk")).json()


async def test_an_agent_who_is_gone_leaves_the_chat_to_another_by_logging_out(site):
    async with site.agent("kim") as kim, desk.visitor(site) as visitor, kim.stream("GET", "/desk/stream"):
        await visitor.asks_for_an_agent()
        chat = await _offered(kim)
        assert (await kim.post(f"/desk/api/chats/{chat}/take")).status_code == 204
        assert (await kim.post("/desk/api/logout")).status_code == 204
        async with site.agent("lee") as lee, lee.stream("GET", "/desk/stream"):
            assert await _offered(lee) == chat
            await lee.post(f"/desk/api/chats/{chat}/take")


async def _offered(client):
    async with asyncio.timeout(desk.WAIT_S):
        while True:
            for one in (await _desk(client.get))["contacts"]:
                if one["state"] == "offered":
                    return one["chat"]
            await asyncio.sleep(0.1)


async def test_nobody_opens_or_acts_in_a_conversation_of_somebody_else_or_of_another_tenant(site):
    async with site.agent("kim") as kim, desk.visitor(site) as visitor, kim.stream("GET", "/desk/stream"):
        await visitor.asks_for_an_agent()
        chat = await _offered(kim)
        await kim.post(f"/desk/api/chats/{chat}/take")
        (mine,) = (await _desk(kim.get))["contacts"]
        name = mine["conversation"]
        assert (await kim.get(f"/desk/api/conversations/{name}")).status_code == 200
        for agent in ("lee", "other"):
            async with site.agent(agent) as stranger:
                about = f"/desk/api/conversations/{name}"
                for path in (about, f"{about}/earlier", f"{about}/data", f"/desk/api/chats/{chat}/messages"):
                    answer = await stranger.get(path)
                    assert (answer.status_code, "1234" in answer.text) == (404, False), path
                for path, body in (
                    (f"{about}/reveal", {"what": "slot:contact"}),
                    (f"{about}/notes", {"text": "x"}),
                    (f"{about}/send_on", {"kind": "queue", "to": "orders"}),
                    (f"{about}/continue", {"channel": "phone"}),
                    (f"{about}/close", {}),
                ):
                    assert (await stranger.post(path, json=body)).status_code == 404, path
                assert (await stranger.post(f"/desk/api/chats/{chat}/say", json={"text": "x"})).status_code in {
                    404,
                    409,
                }
                assert (await stranger.get("/desk/api/supervisor")).status_code == 403
        async with site.agent("boss") as boss:
            assert (await boss.get(f"/desk/api/conversations/{name}")).status_code == 200
            assert (await boss.post(f"/desk/api/conversations/{name}/close", json={})).status_code == 404


async def test_a_customer_is_given_a_code_for_the_phone_by_whoever_has_the_chat(site):
    async with site.agent("kim") as kim, desk.visitor(site) as visitor, kim.stream("GET", "/desk/stream"):
        await visitor.asks_for_an_agent()
        chat = await _offered(kim)
        await kim.post(f"/desk/api/chats/{chat}/take")
        (mine,) = (await _desk(kim.get))["contacts"]
        told = await kim.post(f"/desk/api/conversations/{mine['conversation']}/continue", json={"channel": "phone"})
        assert re.fullmatch(r"\d{6}", told.json()["pin"])
        link = await kim.post(f"/desk/api/conversations/{mine['conversation']}/continue", json={"channel": "web-chat"})
        assert link.json()["link"].startswith("http://127.0.0.1:1/c#")


async def test_who_guesses_codes_is_locked_out_and_changes_need_the_desks_own_header(site):
    async with site.client() as client:
        login = {"agent": "lee", "code": desk.CODES["lee"]}
        foreign = await client.post("/desk/api/login", json=login, headers={"X-VoiceEdge-Desk": "0"})
        assert foreign.status_code == 403
        welcome = await client.post("/desk/api/login", json=login)
        cookie = welcome.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert (
            await client.post("/desk/api/state", json={"state": "break"}, headers={"X-VoiceEdge-Desk": ""})
        ).status_code == 403
        short = await client.post("/desk/api/login", json={"agent": "short", "code": desk.CODES["short"]})
        assert (short.status_code, short.json()["code"]) == (403, "code_too_short")
        wrong = {"agent": "other", "code": "000000"}
        codes = [(await client.post("/desk/api/login", json=wrong)).status_code for _ in range(6)]
        assert codes == [401] * 5 + [429]
        right = await client.post("/desk/api/login", json={"agent": "other", "code": desk.CODES["other"]})
        assert right.status_code == 429
        assert int(right.headers["retry-after"]) > 60
        assert (await client.post("/desk/api/login", json=login)).status_code == 204
        assert (await client.post("/desk/api/logout")).status_code == 204
        assert (await client.get("/desk/api/desk")).status_code == 401


async def test_a_supervisor_sees_the_floor_follows_a_talk_and_whispers_to_its_agent(site, browser, phones):
    kim, _ = phones
    async with site.service.events() as events:
        page = await site.desk(browser, "kim")
        boss = await site.desk(browser, "boss")
        async with Customer(site) as customer:
            conversation = await customer.keys(events)
            await (await kim.incoming()).answer()
            await boss.get_by_role("button", name="관제").click()
            await boss.get_by_role("button", name=re.compile(r"\*\*\*5678")).click(timeout=WAIT_MS)
            await site.heard(conversation, customer.call.id, "caller", "환불해 주세요")
            await expect(boss.get_by_role("log").last).to_contain_text("환불해 주세요")
            await boss.get_by_label("귓속말").fill("오늘 안에 처리해 주세요")
            await boss.get_by_role("button", name="귓속말").click()
            await expect(page.get_by_text("박팀장의 귓속말").first).to_be_visible()
            await expect(page.get_by_text("오늘 안에 처리해 주세요").first).to_be_visible()
            await boss.get_by_placeholder("phone").fill("010-1234-5678")
            await boss.get_by_role("button", name="시험 조회").click()
            await expect(boss.get_by_text("찾음")).to_be_visible()
            await boss.get_by_role("button", name="기록 보기").click()
            await expect(boss.get_by_text("kim에게 귓속말")).to_be_visible()
            await browser.screenshot(boss, "desk-floor")
            assert not await accessible(boss)
    assert "오늘 안에" not in str(events.all)
