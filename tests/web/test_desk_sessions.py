"""How long somebody is logged in at the desk, and whom they have talked with."""

import pytest
from sqlalchemy import select

from voiceedge.clock import VirtualClock
from voiceedge.config import Config
from voiceedge.context.database import Database
from voiceedge.context.desk_tables import desk_sessions
from voiceedge.web.desk.sessions import IDLE_S, LONGEST_S, Sessions


@pytest.fixture
async def database(tmp_path):
    database = Database.of(Config.model_validate({"site": {"data_dir": str(tmp_path), "run_dir": str(tmp_path)}}))
    await database.open()
    yield database
    await database.close()


async def test_a_session_ends_by_idleness_by_age_and_by_logging_out(database):
    clock = VirtualClock()
    sessions = Sessions(database, clock)
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
    secret = await Sessions(database, VirtualClock()).open("kim")
    async with database.begin() as connection:
        (row,) = (await connection.execute(select(desk_sessions))).all()
    assert secret not in row
    assert len(secret) >= 43  # 256 bits
