"""Webhooks: signed, in order, once by one node, again when it fails, and to nobody whom the site has not listed."""

import asyncio
import hashlib
import hmac
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from api_site import Site, holding, opened
from receiver import receiving
from sqlalchemy import func, select

from voiceedge.clock import RealClock, VirtualClock
from voiceedge.context.storage.api_tables import webhook_deliveries
from voiceedge.web.webhooks import sending, store
from voiceedge.web.webhooks.sending import Sender

OPEN = {"channel": "kakao", "reference": "room-1"}


async def subscribed(client: httpx.AsyncClient, url: str, **more: Any) -> dict[str, Any]:
    answer = await client.post("/webhooks", json={"url": url, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def turn(client: httpx.AsyncClient, name: str, text: str) -> None:
    answer = await client.post(f"/conversations/{name}/turns", json={"by": "customer", "text": text})
    assert answer.status_code == 200, answer.text


async def state_of(client: httpx.AsyncClient, webhook: str, wanted: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            view = (await client.get(f"/webhooks/{webhook}")).json()
            if view["state"] == wanted:
                return view
            await asyncio.sleep(0.02)


async def delivered(client: httpx.AsyncClient, webhook: str, state: str, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(60):
        while True:
            listed = (await client.get(f"/webhooks/{webhook}/deliveries")).json()["deliveries"]
            found = [one for one in listed if one["state"] == state]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_events_come_signed_and_in_order(tmp_path, kind: str, request: pytest.FixtureRequest):
    tables: dict[str, Any] = {}
    if kind == "postgres":
        server = request.getfixturevalue("postgres")
        tables["store"] = {"url": server.url(server.new_database()), "password_file": server.password_file}
    async with receiving() as (receiver, origin), opened(tmp_path, web={"webhook_targets": [origin]}, **tables) as site:
        client, theirs = await site.client(), await site.client(tenant="shop")
        webhook = await subscribed(client, f"{origin}/hook", types=["voiceedge.message.sent"])
        name = (await client.post("/conversations", json=OPEN)).json()["id"]
        other = (await theirs.post("/conversations", json=OPEN)).json()["id"]
        await turn(theirs, other, "남의 말")
        for number in range(10):
            await turn(client, name, str(number))
        got = await receiver.until(10)
        assert [one.event["data"]["text"] for one in got] == [str(number) for number in range(10)]
        first = got[0]
        parts = dict(part.split("=") for part in first.headers["webhook-signature"].split(","))
        signed = f"{parts['t']}.{first.headers['webhook-id']}.".encode() + first.body
        assert parts["v1"] == hmac.new(webhook["secret"].encode(), signed, hashlib.sha256).hexdigest()
        assert first.headers["webhook-id"] == first.event["id"]
        assert first.headers["content-type"] == "application/cloudevents+json"
        assert not holding(tmp_path, webhook["secret"])
        assert len(await delivered(client, webhook["id"], "delivered", 10)) == 10


async def test_what_fails_is_sent_again_and_the_next_waits_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sending, "FIRST_PAUSE_S", 0.05)
    async with receiving() as (receiver, origin), opened(tmp_path, web={"webhook_targets": [origin]}) as site:
        client = await site.client()
        await subscribed(client, origin, types=["voiceedge.message.sent"])
        names = [(await client.post("/conversations", json=OPEN)).json()["id"] for _ in range(2)]
        tries: list[str] = []

        def answer(received) -> int:
            tries.append(received.event["subject"])
            return 500 if received.event["subject"] == names[0] and tries.count(names[0]) < 3 else 204

        receiver.answer = answer
        for number in range(3):
            await turn(client, names[0], str(number))
        await turn(client, names[1], "anderswo")
        got = await receiver.until(6)
        of_first = [one.event["data"]["text"] for one in got if one.event["subject"] == names[0]]
        assert of_first == ["0", "0", "0", "1", "2"]


@pytest.mark.parametrize("trouble", ["redirect", "hang", "refused"])
async def test_a_receiver_that_does_not_take_it_harms_nobody_else(tmp_path, monkeypatch, trouble: str):
    if trouble == "hang":
        monkeypatch.setattr(sending, "ANSWER_S", 0.5)
    async with AsyncExitStack() as stack:
        bad, bad_origin = await stack.enter_async_context(receiving())
        good, good_origin = await stack.enter_async_context(receiving())
        targets = [bad_origin, good_origin, "http://127.0.0.1:9"]
        site = await stack.enter_async_context(opened(tmp_path, web={"webhook_targets": targets}))
        client = await site.client()
        url = "http://127.0.0.1:9/closed" if trouble == "refused" else f"{bad_origin}/hook"
        webhook = await subscribed(client, url)
        await subscribed(client, good_origin)
        bad.location = f"{good_origin}/elsewhere" if trouble == "redirect" else ""
        bad.answer = lambda _: 307 if trouble == "redirect" else None
        await client.post("/conversations", json=OPEN)
        got = await good.until(1)
        assert [one.path for one in got] == ["/"]
        async with asyncio.timeout(60):
            while True:
                (waiting, *_) = (await client.get(f"/webhooks/{webhook['id']}/deliveries")).json()["deliveries"]
                if waiting["tries"]:
                    break
                await asyncio.sleep(0.02)
        problem = {"redirect": "answered 307", "hang": "no answer within 0 s", "refused": "not reached (ConnectError)"}
        assert (waiting["state"], waiting["problem"]) == ("waiting", problem[trouble])
        assert waiting["again_at"]


async def test_after_a_day_of_failures_it_is_disabled_and_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(sending, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(sending, "LONGEST_PAUSE_S", 0.01)
    async with receiving() as (receiver, origin), opened(tmp_path, web={"webhook_targets": [origin]}) as site:
        client = await site.client()
        receiver.answer = lambda _: 503
        webhook = await subscribed(client, origin)
        name = (await client.post("/conversations", json=OPEN)).json()["id"]
        view = await state_of(client, webhook["id"], "disabled")
        assert view["why"] == "nothing got through for a day: answered 503"
        assert len(receiver.got) >= sending.TRIES
        before = len(receiver.got)
        await turn(client, name, "umsonst")
        listed = (await client.get(f"/webhooks/{webhook['id']}/deliveries")).json()["deliveries"]
        assert {one["state"] for one in listed} == {"failed"}
        assert len(receiver.got) == before


def test_the_pauses_are_those_of_a_day():
    assert 86_000 < sum(sending.pause_s(tries) for tries in range(1, sending.TRIES)) < 90_000


async def test_who_says_gone_is_asked_no_more(tmp_path):
    async with receiving() as (receiver, origin), opened(tmp_path, web={"webhook_targets": [origin]}) as site:
        client = await site.client()
        receiver.answer = lambda _: 410
        webhook = await subscribed(client, origin)
        await client.post("/conversations", json=OPEN)
        assert "410" in (await state_of(client, webhook["id"], "disabled"))["why"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/",
        "https://crm.example:8443/hook",
        "http://crm.example/hook",
        "https://crm.example.evil/hook",
        "https://evil@crm.example/hook",
        "https://crm.example@127.0.0.1/hook",
        "https://CRM.example./hook",
        "http://[::1]/",
    ],
)
async def test_nobody_is_told_whom_the_site_has_not_listed(tmp_path, url: str):
    async with opened(tmp_path, web={"webhook_targets": ["https://crm.example"]}) as site:
        client = await site.client()
        answer = await client.post("/webhooks", json={"url": url})
        assert (answer.status_code, answer.json()["code"]) == (422, "target_not_allowed")
        assert "web.webhook_targets" in answer.json()["detail"]


async def test_a_webhook_is_tried_shown_without_its_secret_and_ended(tmp_path):
    async with receiving() as (receiver, origin), opened(tmp_path, web={"webhook_targets": [origin]}) as site:
        client, theirs = await site.client(), await site.client(tenant="shop")
        webhook = await subscribed(client, origin)
        tried = (await client.post(f"/webhooks/{webhook['id']}/test")).json()
        assert tried == {"delivered": True, "status": 200, "problem": ""}
        assert receiver.got[0].event["type"] == "voiceedge.test"
        listed = (await client.get("/webhooks")).json()["webhooks"]
        assert [(one["id"], "secret" in one) for one in listed] == [(webhook["id"], False)]
        for method, path in (("GET", ""), ("GET", "/deliveries"), ("POST", "/test"), ("DELETE", "")):
            assert (await theirs.request(method, f"/webhooks/{webhook['id']}{path}")).status_code == 404
        assert (await client.delete(f"/webhooks/{webhook['id']}")).status_code == 204
        assert (await client.get(f"/webhooks/{webhook['id']}")).status_code == 404
        wrong = await client.post("/webhooks", json={"url": origin, "types": ["voiceedge.nothing"]})
        assert wrong.json()["code"] == "unknown_event_type"


async def waiting(site: Site) -> int:
    query = select(func.count()).where(webhook_deliveries.c.state == store.WAITING)
    async with site.services.context.database.begin() as connection:
        return (await connection.execute(query)).scalar_one()


async def test_receivers_that_hang_take_no_connection_from_another(tmp_path, monkeypatch):
    monkeypatch.setattr(sending, "ANSWER_S", 120)
    async with receiving() as (receiver, origin):
        receiver.answer = lambda _: None
        sender = Sender((origin,), b"k", RealClock())
        webhook = store.Webhook("w", "main", origin, (), RealClock().now())
        async with asyncio.TaskGroup() as tasks:
            sent = [tasks.create_task(sender.send(webhook, str(number), "{}")) for number in range(105)]
            await receiver.until(105)
            for task in sent:
                task.cancel()
        await sender.close()


async def test_two_nodes_send_each_event_once(tmp_path, postgres):
    database = {"url": postgres.url(postgres.new_database()), "password_file": postgres.password_file}
    (tmp_path / "a/data").mkdir(parents=True)
    (tmp_path / "b/data").mkdir(parents=True)
    async with AsyncExitStack() as stack:
        receiver, origin = await stack.enter_async_context(receiving())
        nodes: list[Site] = []
        for name in ("a", "b"):
            tables = {"store": database, "switch": {"node": name}, "web": {"webhook_targets": [origin]}}
            nodes.append(await stack.enter_async_context(opened(tmp_path / name, **tables)))
            for key in ("token", "pseudonym"):
                for path in (tmp_path / "a/data").glob(f"{key}*"):
                    (tmp_path / "b/data" / path.name).write_bytes(path.read_bytes())
        first = await nodes[0].client()
        second = await nodes[1].client()
        await subscribed(first, origin, types=["voiceedge.message.sent"])
        names = [(await first.post("/conversations", json=OPEN)).json()["id"] for _ in range(5)]
        for number in range(6):
            for name in names:
                await turn(first if number % 2 else second, name, str(number))
        got = await receiver.until(30)
        async with asyncio.timeout(60):
            while await waiting(nodes[0]):  # noqa: ASYNC110 - until either node has written down what it sent
                await asyncio.sleep(0.01)
        async with nodes[0].services.context.database.begin() as connection:
            assert set(await connection.scalars(select(webhook_deliveries.c.tries))) == {1}
        assert len(got) == len({one.headers["webhook-id"] for one in got}) == 30
        for name in names:
            assert [one.event["data"]["text"] for one in got if one.event["subject"] == name] == list("012345")


async def test_what_a_dead_node_had_in_hand_is_sent_by_another(tmp_path):
    clock = VirtualClock()
    async with opened(tmp_path) as site:
        database = site.services.context.database
        client = await site.client()
        now_ms = int(RealClock().now().timestamp() * 1000)
        webhook = store.Webhook("w", "main", "http://127.0.0.1:9", (), clock.now())
        async with database.begin() as connection:
            await store.add(connection, webhook)
        await client.post("/conversations", json=OPEN)
        later_ms = now_ms + 3_600_000
        async with database.begin() as connection:
            (one,) = await store.claim(connection, "w", later_ms, later_ms + 60_000, 4)
            assert not await store.claim(connection, "w", later_ms + 59_999, later_ms + 120_000, 4)
            (again,) = await store.claim(connection, "w", later_ms + 60_000, later_ms + 120_000, 4)
        assert again.event_id == one.event_id
