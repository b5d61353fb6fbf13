"""Conversations that move: tokens from one channel to another, calls that know what was said, and whose they are."""

from datetime import timedelta

import pytest
from api_site import Site, opened
from sqlalchemy import func, select

from voiceedge.context.storage.tables import outbox
from voiceedge.errors import StoreError

OPEN = {
    "channel": "kakao",
    "reference": "room-1",
    "customer": {"phone": "010-1234-5678", "verified": True},
    "slots": {"order": {"value": "A-20231", "personal_data": "none"}, "name": {"value": "김민지"}},
}


async def test_a_token_opens_the_conversation_once_in_its_channel(any_site: Site):
    client = await any_site.client("conversations:read", "conversations:write", "tokens")
    trusted = await any_site.client("tokens", "slots:clear")
    name = (await client.post("/conversations", json=OPEN)).json()["id"]
    ticket = (await client.post(f"/conversations/{name}/tokens", json={"channel": "line", "pin": True})).json()
    assert len(ticket["pin"]) == 6
    foreign = await client.post(
        "/tokens/resolve", json={"token": ticket["token"], "channel": "kakao", "reference": "room-2"}
    )
    assert (foreign.status_code, foreign.json()["code"]) == (409, "token_foreign_channel")
    here = {"token": ticket["token"], "channel": "line", "reference": "line-1"}
    resolved = (await client.post("/tokens/resolve", json=here)).json()
    assert (resolved["by"], resolved["trust"], resolved["conversation"]["id"]) == ("link", "proved", name)
    slots = resolved["conversation"]["slots"]
    assert (slots["order"]["value"], slots["name"]["value"]) == ("A-20231", "***")
    assert [visit["channel"] for visit in resolved["conversation"]["channels"]] == ["kakao", "line"]
    again = await client.post("/tokens/resolve", json=here)
    assert again.json()["code"] == "token_used"
    there = {
        **here,
        "token": (await client.post(f"/conversations/{name}/tokens", json={"channel": "line"})).json()["token"],
    }
    clear = (await trusted.post("/tokens/resolve", json=there)).json()["conversation"]["slots"]
    assert clear["name"]["value"] == "김민지"
    made_up = await client.post("/tokens/resolve", json={**here, "token": "x.y.z"})
    assert made_up.json()["code"] == "token_unknown"


async def test_links_lead_to_chats_alone_and_a_channel_that_is_not_there_is_told(any_site: Site):
    client = await any_site.client()
    name = (await client.post("/conversations", json=OPEN)).json()["id"]
    url = f"/conversations/{name}/tokens"
    wrong = await client.post(url, json={"channel": "kakoa"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "unknown_channel")
    assert all(there in wrong.json()["detail"] for there in ("phone", "kakao", "line"))
    assert (await client.post(url, json={"channel": "line"})).json()["link"] is None


async def test_a_token_for_the_chat_has_a_link_and_one_for_the_phone_none(tmp_path):
    async with opened(tmp_path, web={"public_url": "https://talk.example"}) as site:
        ours, theirs = await site.client(), await site.client(tenant="shop")
        for client, channel, status in ((ours, "web-chat", 201), (ours, "phone", 201), (theirs, "web-chat", 422)):
            name = (await client.post("/conversations", json=OPEN)).json()["id"]
            answer = await client.post(f"/conversations/{name}/tokens", json={"channel": channel})
            assert answer.status_code == status
            assert bool(answer.json().get("link")) == (client is ours and channel == "web-chat")


async def test_a_token_whose_answer_was_lost_opens_under_the_same_idempotency_key_again(
    any_site: Site, monkeypatch: pytest.MonkeyPatch
):
    client, context = await any_site.client(), any_site.services.context
    name = (await client.post("/conversations", json=OPEN)).json()["id"]
    token = (await client.post(f"/conversations/{name}/tokens", json={"channel": "line"})).json()["token"]
    wish = {"token": token, "channel": "line", "reference": "line-1"}

    async def away(_: object) -> None:
        raise StoreError("away for a moment")

    with monkeypatch.context() as for_a_moment:
        for_a_moment.setattr(context, "ingest_now", away)
        lost = await client.post("/tokens/resolve", json=wish, headers={"Idempotency-Key": "one"})
    assert lost.status_code == 503
    other = await client.post("/tokens/resolve", json=wish, headers={"Idempotency-Key": "another"})
    assert other.json()["code"] == "token_used"
    again = await client.post("/tokens/resolve", json=wish, headers={"Idempotency-Key": "one"})
    assert (again.status_code, again.json()["conversation"]["id"]) == (200, name)
    async with context.database.begin() as connection:
        query = select(func.count()).where(outbox.c.conversation_id == name, outbox.c.body.contains("continued"))
        assert (await connection.execute(query)).scalar_one() == 1


async def test_a_visit_that_was_opened_before_its_token_came_becomes_a_part(site: Site):
    client = await site.client()
    earlier = (await client.post("/conversations", json=OPEN)).json()["id"]
    later = (await client.post("/conversations", json={"channel": "line", "reference": "line-1"})).json()["id"]
    token = (await client.post(f"/conversations/{earlier}/tokens", json={"channel": "line"})).json()["token"]
    wish = {"token": token, "channel": "line", "reference": "line-1", "conversation_id": later}
    assert (await client.post("/tokens/resolve", json=wish)).status_code == 200
    by_old_id = (await client.get(f"/conversations/{later}")).json()
    assert by_old_id["id"] == earlier
    assert [visit["channel"] for visit in by_old_id["channels"]] == ["kakao", "line"]


async def test_another_tenants_token_is_unknown(site: Site):
    ours, theirs = await site.client(), await site.client(tenant="shop")
    name = (await ours.post("/conversations", json=OPEN)).json()["id"]
    token = (await ours.post(f"/conversations/{name}/tokens", json={"channel": "line"})).json()["token"]
    wish = {"token": token, "channel": "line", "reference": "line-1"}
    assert (await theirs.post("/tokens/resolve", json=wish)).json()["code"] == "token_unknown"
    assert (await ours.post("/tokens/resolve", json=wish)).status_code == 200


async def test_a_customer_is_called_back_with_what_is_known(any_site: Site):
    client, theirs = await any_site.client(), await any_site.client(tenant="shop")
    name = (await client.post("/conversations", json=OPEN)).json()["id"]
    answer = await client.post(f"/conversations/{name}/call-back", json={"campaign": "remind"})
    assert answer.status_code == 202, answer.text
    call = answer.json()
    assert (call["conversation_id"], call["number"], call["state"]) == (name, "***5678", "waiting")
    order = await any_site.services.outbound.show(call["id"])
    assert (order.number, order.slots) == ("+821012345678", {"order": "A-20231", "name": "김민지"})
    assert (await client.get(f"/calls/{call['id']}")).json() == call
    assert (await theirs.get(f"/calls/{call['id']}")).status_code == 404


async def test_a_call_of_another_tenant_is_that_tenants(site: Site):
    ours, theirs = await site.client(), await site.client(tenant="shop")
    wish = {"campaign": "remind", "number": "010-9876-5432", "values": {"name": "이서준"}}
    call = (await theirs.post("/calls", json=wish)).json()
    assert (await theirs.get(f"/calls/{call['id']}")).status_code == 200
    assert (await ours.get(f"/calls/{call['id']}")).status_code == 404
    assert (await ours.get(f"/conversations/{call['conversation_id']}")).status_code == 404


async def test_a_call_ordered_twice_by_one_idempotency_key_is_one(site: Site):
    client = await site.client()
    wish = {"campaign": "remind", "number": "010-9876-5432"}
    calls = [
        (await client.post("/calls", json=wish, headers={"Idempotency-Key": "call-1"})).json()["id"] for _ in range(2)
    ]
    assert calls[0] == calls[1]


async def test_a_call_that_cannot_be_is_refused_with_the_reason(site: Site):
    client = await site.client()
    now = site.services.clock.now()
    refused = {
        "no_number": {"campaign": "remind"},
        "call_refused": {"campaign": "nobody", "number": "010-1234-5678"},
        "no_such_customer": {"campaign": "remind", "customer_id": "nobody"},
    }
    for code, wish in refused.items():
        assert (await client.post("/calls", json=wish)).json()["code"] == code
    wish = {"campaign": "remind", "number": "010-1234-5678", "until": (now - timedelta(days=1)).isoformat()}
    assert (await client.post("/calls", json={**wish, "not_before": now.isoformat()})).json()["code"] == "call_refused"


async def test_customers_are_found_merged_and_split_by_their_tenant_only(any_site: Site):
    client, theirs = await any_site.client("customers:read", "customers:write", "conversations:write"), None
    theirs = await any_site.client(tenant="shop")
    for customer in ({"phone": "010-1234-5678", "verified": True}, {"email": "minji@example.com", "verified": True}):
        await client.post("/conversations", json={"channel": "kakao", "reference": "r", "customer": customer})
    (one,) = (await client.post("/customers/search", json={"phone": "+82 10-1234-5678"})).json()["customers"]
    (other,) = (await client.post("/customers/search", json={"email": "minji@example.com"})).json()["customers"]
    assert one["identities"][0]["value"] == "***5678"
    for method, path, body in (
        ("GET", "", None),
        ("GET", "/trail", None),
        ("POST", "/merge", {"other": other["id"], "why": "x"}),
        ("POST", "/split", {"why": "x"}),
    ):
        assert (await theirs.request(method, f"/customers/{one['id']}{path}", json=body)).status_code == 404
    merged = await client.post(f"/customers/{one['id']}/merge", json={"other": other["id"], "why": "같은 분"})
    assert (merged.json()["id"], merged.json()["merged"]) == (one["id"], [other["id"]])
    assert (await client.get(f"/customers/{other['id']}")).json()["id"] == one["id"]
    again = await client.post(f"/customers/{one['id']}/merge", json={"other": other["id"], "why": "x"})
    assert again.json()["code"] == "not_merged"
    split = await client.post(f"/customers/{other['id']}/split", json={"why": "가족"})
    assert split.json()["id"] == other["id"]
    trail = (await client.get(f"/customers/{one['id']}/trail")).json()["entries"]
    assert [entry["action"] for entry in trail][-2:] == ["merged", "split"]


@pytest.mark.parametrize("customer", [{"phone": "전화 없음"}, {"email": "x"}])
async def test_an_identity_that_is_none_is_refused(site: Site, customer):
    client = await site.client()
    answer = await client.post("/conversations", json={"channel": "kakao", "reference": "r", "customer": customer})
    assert (answer.status_code, answer.json()["code"]) == (422, "wrong_identity")
