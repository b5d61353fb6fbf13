"""Keys of the API: what opens, what does not, and how often."""

import httpx
import pytest
from api_site import Site, holding, opened
from starlette.requests import HTTPConnection

from voiceedge.clock import VirtualClock
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.sqlite import Sqlite
from voiceedge.web.api import door
from voiceedge.web.keys import KeyRefusedError, Keys, Scope
from voiceedge.web.limits import Buckets
from voiceedge.web.problems import Problem


async def got(site: Site, key: str | None, path: str = "/conversations/search") -> httpx.Response:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=f"{site.url}/v1", timeout=60) as client:
        return await client.post(path, json={}, headers=headers)


async def test_without_a_good_key_nothing_opens(any_site: Site):
    key = await any_site.key()
    other = await any_site.key()
    half = key.split("_")[1]
    wrong = [
        None,
        "x",
        key[:-1],
        key + "0",
        key.upper(),
        f"ve_{half}_{'0' * 48}",
        f"ve_{half}_{other.split('_')[2]}",
    ]
    for text in wrong:
        answer = await got(any_site, text)
        assert answer.status_code == 401, text
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["content-type"] == "application/problem+json"
    assert (await got(any_site, key)).status_code == 200


async def test_a_missing_scope_is_named(site: Site):
    answer = await got(site, await site.key("events"))
    assert (answer.status_code, answer.json()["code"], answer.json()["scope"]) == (
        403,
        "missing_scope",
        "conversations:read",
    )


async def test_no_secret_is_kept(tmp_path):
    async with opened(tmp_path) as site:
        key = await site.key()
        assert (await got(site, key)).status_code == 200
    assert holding(tmp_path, key.split("_")[1])
    assert not holding(tmp_path, key.split("_")[2])


async def test_a_revoked_key_opens_nothing_any_more(site: Site):
    key = await site.key()
    assert (await got(site, key)).status_code == 200
    assert await site.services.keys.revoke(key.split("_")[1]) == 1
    assert (await got(site, key)).status_code == 401
    with pytest.raises(KeyRefusedError, match="key list"):
        await site.services.keys.revoke("nobody")


async def test_a_key_ends_with_its_time_and_another_node_soon_knows_it_was_revoked(tmp_path):
    clock, database = VirtualClock(), Database(Sqlite(tmp_path / "keys.db"))
    await database.open()
    keys, elsewhere = Keys(database, clock), Keys(database, clock)
    _, short = await keys.add("short", "main", [Scope.EVENTS], 1)
    _, long = await keys.add("long", "main", [Scope.EVENTS], None)
    assert await elsewhere.opened(short)
    assert await elsewhere.opened(long)
    await keys.revoke("long")
    await clock.advance(6)
    assert await elsewhere.opened(long) is None
    await clock.advance(86_400)
    assert await elsewhere.opened(short) is None
    await database.close()


async def test_who_asks_too_often_is_told_for_how_long_to_wait(tmp_path):
    async with opened(tmp_path, web={"requests_per_min": 3}) as site:
        key = await site.key()
        answers = [await got(site, key) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[0].headers["ratelimit-policy"] == '"requests";q=3;w=60'
        assert answers[0].headers["ratelimit"].startswith('"requests";r=2')
        assert 1 <= int(answers[3].headers["retry-after"]) <= 20
        assert (await got(site, await site.key())).status_code == 200


async def test_who_guesses_keys_is_stopped_and_whose_key_was_good_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(door, "FAILURES_PER_MIN", 2)  # so that none comes back while this is tried
    async with opened(tmp_path) as site:
        await guess(site)


async def guess(site: Site) -> None:
    good, late = await site.key(), await site.key()
    assert (await got(site, good)).status_code == 200
    wrong = f"ve_{'0' * 12}_{'0' * 48}"
    statuses = [(await got(site, wrong)).status_code for _ in range(4)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    assert (await got(site, late)).status_code == 429
    assert (await got(site, good)).status_code == 200


async def test_who_guesses_from_ever_other_addresses_of_one_network_is_stopped(site: Site):
    entrance = door.Door(site.services.keys, site.services.context.database, VirtualClock(), 60)
    wrong = f"Bearer ve_{'0' * 12}_{'0' * 48}".encode()
    codes = []
    for number in range(door.FAILURES_PER_MIN + 1):
        address = f"2001:db8:1:2:{number:x}::1", 1
        with pytest.raises(Problem) as refused:
            await entrance.entered(
                HTTPConnection({"type": "http", "headers": [(b"authorization", wrong)], "client": address})
            )
        codes.append(refused.value.code)
    assert (codes[0], codes[-1]) == ("wrong_key", "too_many_requests")


async def test_tokens_come_back_evenly():
    clock = VirtualClock()
    buckets = Buckets(60, clock)
    for _ in range(60):
        assert buckets.take("a").allowed
    assert not buckets.take("a").allowed
    assert buckets.take("b").allowed
    await clock.advance(1.5)
    assert buckets.take("a").allowed
    assert not buckets.take("a").allowed
    await clock.advance(3600)
    assert buckets.look("a").left == 60
