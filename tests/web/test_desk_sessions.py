"""How long somebody is logged in at the desk, and whom they have talked with."""

from types import SimpleNamespace

import pytest
from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import Response

from voiceedge.clock import VirtualClock
from voiceedge.config import Config
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.desk_tables import desk_sessions
from voiceedge.web.arrival import is_safe
from voiceedge.web.chat_door import remember
from voiceedge.web.desk.sessions import IDLE_S, LONGEST_S, Sessions

CODES = {"kim": "102030"}


@pytest.fixture
async def database(tmp_path):
    database = Database.of(Config.model_validate({"site": {"data_dir": str(tmp_path), "run_dir": str(tmp_path)}}))
    await database.open()
    yield database
    await database.close()


async def test_a_session_ends_by_idleness_by_age_and_by_logging_out(database):
    clock = VirtualClock()
    sessions = Sessions(database, clock, CODES.get)
    idle, busy, left = [await sessions.open("kim") for _ in range(3)]
    await sessions.close(await sessions.find(left))
    assert await sessions.find(left) is None
    for _ in range(int(LONGEST_S / (IDLE_S - 1))):
        assert (await sessions.find(busy)).agent == "kim"
        await clock.advance(IDLE_S - 1)
    assert await sessions.find(idle) is None
    await clock.advance(IDLE_S - 1)
    assert await sessions.find(busy) is None


async def test_the_database_does_not_know_the_cookie(database):
    secret = (await Sessions(database, VirtualClock(), CODES.get).open("kim")).removeprefix("kim.")
    async with database.begin() as connection:
        (row,) = (await connection.execute(select(desk_sessions))).all()
    assert secret not in row
    assert len(secret) >= 43  # 256 bits


async def test_who_gets_another_code_or_leaves_is_logged_out(database):
    codes = dict(CODES)
    sessions = Sessions(database, VirtualClock(), codes.get)
    cookie = await sessions.open("kim")
    session = await sessions.find(cookie)
    assert await sessions.goes_on(session)
    codes["kim"] = "405060"
    assert (await sessions.find(cookie), await sessions.goes_on(session)) == (None, False)
    del codes["kim"]
    assert (await sessions.find(cookie), await sessions.goes_on(session)) == (None, False)


@pytest.mark.parametrize(
    ("scheme", "public_url", "safe"),
    [("https", None, True), ("http", None, False), ("http", "https://talk.example", True), ("http", "http://a", False)],
)
def test_cookies_are_for_tls_where_browsers_come_by_it(scheme, public_url, safe):
    config = Config.model_validate({"site": {}, "web": {"public_url": public_url}})
    services = SimpleNamespace(config=config)
    app = SimpleNamespace(state=SimpleNamespace(services=services))
    request = Request({"type": "http", "scheme": scheme, "app": app, "path": "/", "headers": [], "server": ("a", 1)})
    response = Response()
    remember(request, response, "x")
    assert ("secure" in response.headers["set-cookie"].lower()) == is_safe(request) == safe
