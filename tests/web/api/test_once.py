"""Idempotency-Key: one effect and one answer, however often and however many at once."""

import asyncio
from pathlib import Path

import api_site
from api_site import Site, holding

OPEN = {"channel": "kakao", "reference": "room-1", "slots": {"name": {"value": "김민지"}}}


async def test_a_request_sent_again_gets_the_first_answer(any_site: Site):
    client = await any_site.client()
    headers = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
    first = await client.post("/conversations", json=OPEN, headers=headers)
    again = await client.post("/conversations", json=OPEN, headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    assert (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (None, "true")
    assert len((await client.post("/conversations/search", json={})).json()["conversations"]) == 1


async def test_the_same_key_for_something_else_is_refused(site: Site):
    client, other = await site.client(), await site.client()
    headers = {"Idempotency-Key": "one"}
    await client.post("/conversations", json=OPEN, headers=headers)
    changed = await client.post("/conversations", json={**OPEN, "reference": "room-2"}, headers=headers)
    assert (changed.status_code, changed.json()["code"]) == (422, "idempotency_key_reused")
    theirs = await other.post("/conversations", json={**OPEN, "reference": "room-2"}, headers=headers)
    assert theirs.status_code == 201
    for wrong in ("", "x" * 256):
        assert (await client.post("/conversations", json=OPEN, headers={"Idempotency-Key": wrong})).status_code == 400


async def test_of_many_at_once_one_is_done(any_site: Site):
    client = await any_site.client()
    headers = {"Idempotency-Key": "race"}
    answers = await asyncio.gather(*(client.post("/conversations", json=OPEN, headers=headers) for _ in range(20)))
    statuses = {answer.status_code for answer in answers}
    assert statuses <= {201, 409}
    assert {answer.json()["id"] for answer in answers if answer.status_code == 201}
    assert all(answer.json()["code"] == "still_at_work" for answer in answers if answer.status_code == 409)
    assert len((await client.post("/conversations/search", json={})).json()["conversations"]) == 1


async def test_what_was_refused_may_be_sent_again(site: Site):
    client = await site.client()
    headers = {"Idempotency-Key": "again"}
    name = (await client.post("/conversations", json=OPEN)).json()["id"]
    path = f"/conversations/{name}/turns"
    await client.post(f"/conversations/{name}/close", json={})
    body = {"by": "customer", "text": "여보세요"}
    for _ in range(2):
        assert (await client.post(path, json=body, headers=headers)).json()["code"] == "no_open_visit"


async def test_kept_answers_tell_nothing_without_the_key(tmp_path: Path):
    async with api_site.opened(tmp_path) as site:
        client = await site.client()
        name = (await client.post("/conversations", json=OPEN)).json()["id"]
        path, once = f"/conversations/{name}/tokens", {"Idempotency-Key": "token"}
        tokens = [
            (await client.post(path, json={"channel": "web-chat"}, headers=once)).json()["token"] for _ in range(2)
        ]
        assert tokens[0] == tokens[1]
        assert not holding(tmp_path, tokens[0])


async def test_what_was_done_before_a_crash_is_not_done_again(tmp_path: Path):
    """The answer was never kept: events are known by ids that the same request makes again."""
    async with api_site.opened(tmp_path) as site:
        client = await site.client()
        headers = {"Idempotency-Key": "crash"}
        first = await client.post("/conversations", json=OPEN, headers=headers)
        async with site.services.context.database.begin() as connection:
            await connection.exec_driver_sql("DELETE FROM api_answers")
        again = await client.post("/conversations", json=OPEN, headers=headers)
        assert again.json()["id"] == first.json()["id"]
        assert len(again.json()["channels"]) == 1
