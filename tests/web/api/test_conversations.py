"""Conversations by the API: opened in a channel, found and read by their tenant only, added to and closed."""

import threading
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from api_site import Site

from voiceedge.context.privacy import pii
from voiceedge.context.privacy.beside import LONG
from voiceedge.context.privacy.identifiers import Identifier, identifiers

OPEN = {
    "channel": "kakao",
    "reference": "room-8812",
    "language": "ko",
    "intent": "delivery",
    "customer": {"phone": "010-1234-5678", "verified": True},
    "slots": {
        "order": {"value": "A-20231", "personal_data": "none"},
        "name": {"value": "김민지"},
        "card": {"value": "9490-1234-5678-9012", "personal_data": "card"},
    },
}


async def opened(client: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    answer = await client.post("/conversations", json={**OPEN, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_conversation_is_opened_added_to_and_closed(any_site: Site):
    client = await any_site.client()
    conversation = await opened(client)
    path = f"/conversations/{conversation['id']}"
    assert conversation["intent"] == "delivery"
    assert [visit["channel"] for visit in conversation["channels"]] == ["kakao"]
    await client.post(f"{path}/turns", json={"by": "customer", "text": "아직 안 왔어요"})
    await client.post(f"{path}/turns", json={"by": "agent", "agent": "kim", "text": "확인해 볼게요"})
    await client.patch(path, json={"intent": "refund", "slots": {"order": {"value": "A-1", "personal_data": "none"}}})
    closed = await client.post(f"{path}/close", json={"outcome": "solved", "note": "환불 접수", "satisfaction": 5})
    assert closed.status_code == 200
    read = (await client.get(path)).json()
    assert [(turn["speaker"], turn["text"]) for turn in read["turns"]] == [
        ("caller", "아직 안 왔어요"),
        ("agent", "확인해 볼게요"),
    ]
    assert (read["intent"], read["outcome"], read["note"], read["satisfaction"]) == ("refund", "solved", "환불 접수", 5)
    assert read["slots"]["order"]["value"] == "A-1"
    assert read["ended_at"]
    late = await client.post(f"{path}/turns", json={"by": "customer", "text": "한 가지 더요"})
    assert (late.status_code, late.json()["code"]) == (409, "no_open_visit")


async def test_a_change_is_answered_with_what_was_written_and_reads_nothing_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    client = await site.client()
    store, read = site.services.context.archive._store, []
    monkeypatch.setattr(store, "conversation", _noting(store.conversation, read))
    for verified in (True, False):
        answer = await opened(client, customer={"phone": "010-5555-6666", "verified": verified})
        path = f"/conversations/{answer['id']}"
        read.clear()
        for change, wish in (
            (client.patch, {"slots": {"name": {"value": "이민호"}}}),
            (client.post, {"by": "customer", "text": "여보세요"}),
            (client.post, {"outcome": "solved"}),
        ):
            end = {"by": "/turns", "slots": "", "outcome": "/close"}[next(iter(wish))]
            answer = (await change(path + end, json=wish)).json()
            assert read == [answer["id"]]  # before the change: whose it is
            read.clear()
            assert (await client.get(path)).json() == answer
            read.clear()


async def test_long_texts_are_searched_beside_the_loop(site: Site, monkeypatch: pytest.MonkeyPatch):
    where = {}

    def searching(text: str) -> list[Identifier]:
        where[len(text)] = threading.current_thread() is threading.main_thread()
        return identifiers(text)

    client = await site.client()
    path = f"/conversations/{(await opened(client))['id']}/turns"
    monkeypatch.setattr(pii, "identifiers", searching)
    for length in (LONG, 4000):
        said = "010-1234-5678 " + "일" * (length - 14)
        answer = await client.post(path, json={"by": "customer", "text": said})
        assert "1234" not in answer.text
    assert (where[LONG], where[4000]) == (True, False)


def _noting(method: Callable[[str], Awaitable[Any]], names: list[str]) -> Callable[[str], Awaitable[Any]]:
    async def noting(name: str) -> Any:
        names.append(name)
        return await method(name)

    return noting


async def test_values_show_by_their_class_unless_the_key_may_see_them(site: Site):
    careful = await site.client("conversations:read", "conversations:write")
    trusted = await site.client("conversations:read", "slots:clear")
    conversation = await opened(careful)
    assert conversation["slots"]["order"]["value"] == "A-20231"
    assert conversation["slots"]["name"]["value"] == "***"
    clear = (await trusted.get(f"/conversations/{conversation['id']}")).json()["slots"]
    assert clear["name"]["value"] == "김민지"
    assert clear["card"]["value"] == "***9012"


async def test_a_number_written_in_a_turn_is_masked(site: Site):
    client = await site.client()
    conversation = await opened(client)
    said = {"by": "customer", "text": "제 번호는 010-9876-5432예요"}
    turns = (await client.post(f"/conversations/{conversation['id']}/turns", json=said)).json()["turns"]
    assert "9876" not in turns[0]["text"]


async def test_nothing_of_another_tenant_is_there(any_site: Site):
    ours, theirs = await any_site.client(), await any_site.client(tenant="shop")
    name = (await opened(ours))["id"]
    tries = [
        ("GET", f"/conversations/{name}", None),
        ("PATCH", f"/conversations/{name}", {"intent": "x"}),
        ("POST", f"/conversations/{name}/turns", {"by": "agent", "text": "x"}),
        ("POST", f"/conversations/{name}/close", {}),
        ("POST", f"/conversations/{name}/tokens", {"channel": "phone"}),
        ("POST", f"/conversations/{name}/call-back", {"campaign": "remind", "number": "010-1234-5678"}),
        ("GET", f"/conversations/{name}/events", None),
    ]
    for method, path, body in tries:
        answer = await theirs.request(method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "no_such_conversation"), path
    assert (await theirs.post("/conversations/search", json={})).json() == {"conversations": [], "next": None}
    assert (await theirs.post("/customers/search", json={"phone": "010-1234-5678"})).json()["customers"] == []
    assert (await ours.get(f"/conversations/{name}")).json()["intent"] == "delivery"


async def test_conversations_are_found_page_by_page(any_site: Site):
    client = await any_site.client()
    names = [(await opened(client, reference=f"room-{number}"))["id"] for number in range(5)]
    found, cursor = [], None
    while True:
        asked = {"channel": "kakao", "limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await client.post("/conversations/search", json=asked)).json()
        found += [one["id"] for one in page["conversations"]]
        cursor = page["next"]
        if not cursor:
            break
    assert found == names[::-1]
    assert (await client.post("/conversations/search", json={"outcome": "solved"})).json()["conversations"] == []
    by_phone = (await client.post("/conversations/search", json={"phone": "+82 10 1234 5678"})).json()
    assert len(by_phone["conversations"]) == 5
    wrong = await client.post("/conversations/search", json={"cursor": "%%%"})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "wrong_cursor")


async def test_each_reading_is_in_the_access_log(site: Site):
    client = await site.client()
    name = (await opened(client))["id"]
    await client.get(f"/conversations/{name}")
    entries = await site.services.context.access.listed(10, subject=name)
    assert [entry.action for entry in entries] == ["read", "open"]
    assert all(entry.actor.startswith("key:") and entry.actor.endswith(":channel") for entry in entries)


async def test_a_person_is_told_who_read_what_of_them(site: Site):
    client = await site.client()
    conversation = await opened(client)
    for path in (f"/conversations/{conversation['id']}", f"/customers/{conversation['customer_id']}"):
        await client.get(path)
    told = (await client.get(f"/customers/{conversation['customer_id']}/export")).json()
    assert [one["action"] for one in told["accesses"]] == ["open", "read", "read", "export"]


async def test_what_no_database_would_take_is_refused_before(any_site: Site):
    client = await any_site.client()
    conversation = (await opened(client))["id"]
    wrong = [
        {"by": "customer", "text": "a\u0000b"},
        {"by": "customer", "text": ""},
        {"by": "customer", "text": "가" * 4001},
        {"by": "nobody", "text": "x"},
        {"by": "customer", "text": "x", "more": 1},
    ]
    for body in wrong:
        answer = await client.post(f"/conversations/{conversation}/turns", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), body
    raw = {"content": b'{"by": "customer", "text": "\\ud800"}', "headers": {"Content-Type": "application/json"}}
    assert (await client.post(f"/conversations/{conversation}/turns", **raw)).status_code == 422
    named = {"content": b'{"\\ud800": 1}', "headers": {"Content-Type": "application/json"}}
    assert (await client.post("/conversations", **named)).status_code == 422
    strange = {f"{'이름' * 150}{number}": 1 for number in range(100)}
    refused = await client.post("/conversations", json=strange)
    assert refused.status_code == 422
    assert len(refused.text) < 20_000
    deep = {"content": b"[" * 200_000, "headers": {"Content-Type": "application/json"}}
    assert (await client.post("/conversations", **deep)).status_code == 400
    large = {"content": b" " * 300_000, "headers": {"Content-Type": "application/json"}}
    assert (await client.post("/conversations", **large)).json()["code"] == "too_large"


async def test_slots_do_not_grow_without_end(site: Site):
    client = await site.client()
    path = f"/conversations/{(await opened(client))['id']}"
    many = {f"slot{number}": {"value": "x"} for number in range(98)}
    answer = await client.patch(path, json={"slots": many})
    assert (answer.status_code, answer.json()["code"]) == (422, "too_many_slots")
