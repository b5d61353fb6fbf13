"""How long recordings and records are kept and under which key, with real files and the command that opens them."""

import asyncio
import contextlib
import os
from datetime import timedelta

import pytest
from sqlalchemy import insert, select
from typer.testing import CliRunner

from voiceedge.audio.sealed import CHUNK, Sealer, load_site_key
from voiceedge.cli import app
from voiceedge.clock import VirtualClock
from voiceedge.config import Config
from voiceedge.context.events.call import RecordingDeleted
from voiceedge.context.storage.api_tables import api_answers
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.tables import legs
from voiceedge.edge.rooms import keeping
from voiceedge.errors import StoreError
from voiceedge.web.api.once import Answers

ID = "01945a3c-8f7e-7abc-8def-0123456789ab"
WAIT_S = 60


@pytest.fixture
def site(tmp_path):
    key = tmp_path / "key"
    key.write_text("ab" * 32)
    data = {"data_dir": tmp_path / "data", "run_dir": tmp_path / "run"}
    return Config.model_validate({"site": data, "recording": {"key_file": key, "keep_days": 30}})


@pytest.fixture
async def database(site):
    database = Database.of(site)
    site.site.data_dir.mkdir(parents=True)
    await database.open()
    yield database
    await database.close()


@contextlib.asynccontextmanager
async def sweeping(*given, erase_old=()):
    """`sweep_forever`, ended and waited for."""

    task = asyncio.create_task(keeping.sweep_forever(*given, *erase_old))
    yield task
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def asleep(clock):
    """Until the sweep is over."""
    async with asyncio.timeout(WAIT_S):
        while not clock._timers:  # noqa: ASYNC110 - in threads
            await asyncio.sleep(0.01)


def recorded(config, name, clock, *, days_ago):
    file = config.site.data_dir / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"sound")
    when = (clock.now() - timedelta(days=days_ago)).timestamp()
    os.utime(file, (when, when))
    return file


async def test_what_is_too_old_goes_once_an_hour_and_is_told(site, database):
    clock, told = VirtualClock(), []
    old = recorded(site, f"recordings/2025-11-01/{ID}-2.wav.sealed", clock, days_ago=31)
    message = recorded(site, "voicemail/orders/message.wav", clock, days_ago=29.99)
    young = recorded(site, "recordings/2025-12-31/new.wav", clock, days_ago=1)

    async def ingest(events):
        told.extend(events)

    async with sweeping(site, clock, database, ingest):
        async with asyncio.timeout(WAIT_S):
            while old.exists() or not told:  # noqa: ASYNC110 - in a thread
                await asyncio.sleep(0.01)
        assert (old.parent.exists(), message.exists(), young.exists()) == (False, True, True)
        assert told[0].conversation == ID
        assert told[0].data == RecordingDeleted(path=f"recordings/2025-11-01/{ID}-2.wav.sealed", age_days=31.0)
        await asleep(clock)
        await clock.advance(keeping.SWEEP_S)
        async with asyncio.timeout(WAIT_S):
            while message.exists() or len(told) < 2:  # noqa: ASYNC110 - in a thread
                await asyncio.sleep(0.01)
        assert young.exists()


async def test_a_store_that_fails_stops_no_deletion(site, database):
    clock = VirtualClock()
    old = recorded(site, "recordings/2025-11-01/a.wav", clock, days_ago=31)

    async def ingest(_):
        raise StoreError("full")

    async with sweeping(site, clock, database, ingest) as task:
        async with asyncio.timeout(WAIT_S):
            while old.exists():  # noqa: ASYNC110 - in a thread
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert not task.done()


async def add_record(database, name, ended_at):
    row = {"id": name, "conversation_id": name, "node": "", "number": "01012345678", "record": "{}"}
    async with database.begin() as connection:
        await connection.execute(insert(legs).values(row | {"ended_ms": int(ended_at.timestamp() * 1000)}))


async def test_records_older_than_allowed_are_forgotten_once_an_hour(site, database):
    clock = VirtualClock()
    site = site.model_copy(update={"records": site.records.model_copy(update={"keep_days": 10})})
    await add_record(database, "old", clock.now() - timedelta(days=10, minutes=1))
    await add_record(database, "ageing", clock.now() - timedelta(days=10, minutes=-30))
    await add_record(database, "young", clock.now())

    async def left(names):
        async with asyncio.timeout(WAIT_S):
            while True:
                async with database.begin() as connection:
                    if set(await connection.scalars(select(legs.c.id))) == names:
                        return
                await asyncio.sleep(0.01)

    async with sweeping(site, clock, database, None) as task:
        await left({"ageing", "young"})
        await asleep(clock)
        await clock.advance(keeping.SWEEP_S)
        await left({"young"})
        assert not task.done()


def test_a_credential_of_the_service_is_the_key_unless_another_is_configured(site, tmp_path, monkeypatch):
    assert keeping.key_file(site) == tmp_path / "key"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert keeping.key_file(Config()) is None
    (tmp_path / keeping.CREDENTIAL).write_text("cd" * 32)
    assert keeping.key_file(Config()) == tmp_path / keeping.CREDENTIAL
    assert keeping.vault(Config()).key.secret == bytes.fromhex("cd" * 32)


class Command:
    """`voiceedge recordings` on a site with one sealed recording."""

    def __init__(self, tmp_path):
        (tmp_path / "voiceedge.toml").write_text(
            f'[site]\ndata_dir = "{tmp_path}/data"\n[recording]\nkey_file = "{tmp_path}/key"\n'
        )
        self.key, self.to, self._draft = tmp_path / "key", tmp_path / "out" / "clear.wav", tmp_path / "draft"
        self.to.parent.mkdir()
        self._options = ["--config", str(tmp_path / "voiceedge.toml")]
        self.data = tmp_path / "data"
        self.path = self.data / f"recordings/2026-01-01/{ID}.wav.sealed"
        self.path.parent.mkdir(parents=True)
        self.add(self.path)

    def add(self, path, contents=b"RIFF and the rest"):
        self._draft.write_bytes(contents)
        Sealer(load_site_key(self.key), self._draft, path).finish()

    def lists(self):
        return CliRunner().invoke(app, ["recordings", "list", *self._options]).output

    def exports(self, name):
        ran = CliRunner().invoke(app, ["recordings", "export", name, "--to", str(self.to), *self._options])
        return ran.exit_code, ran.output


@pytest.fixture
def command(site, tmp_path):
    return Command(tmp_path)


def test_the_command_lists_recordings_and_opens_sealed_ones(command):
    name = str(command.path.relative_to(command.data))
    assert name in command.lists()
    assert command.exports(name) == (0, "")
    assert command.to.read_bytes() == b"RIFF and the rest"
    assert command.to.stat().st_mode & 0o777 == 0o600
    code, told = command.exports(name)
    assert (code, "File exists" in told) == (1, True)


def test_a_recording_may_be_named_by_its_file_or_conversation_alone(command):
    for name in (command.path.name, ID):
        assert command.exports(name)[0] == 0
        command.to.unlink()
    command.add(command.path.with_name(f"{ID}-2.wav.sealed"))
    code, told = command.exports(ID)
    assert (code, f"{ID}-2.wav.sealed" in told, command.to.exists()) == (1, True, False)
    assert "no recording" in command.exports("nobody.wav.sealed")[1]


def test_what_could_not_be_exported_leaves_nothing_in_the_way_of_the_next_try(command):
    right = command.key.read_text()
    command.key.write_text("00" * 32)
    code, told = command.exports(ID)
    assert (code, "another key" in told, list(command.to.parent.iterdir())) == (1, True, [])
    command.key.write_text(right)
    assert command.exports(ID)[0] == 0


def test_of_a_recording_whose_end_is_missing_what_there_is_is_exported(command):
    command.path.unlink()
    command.add(command.path, bytes(CHUNK) + b"the rest")
    os.truncate(command.path, command.path.stat().st_size - len(b"the rest") - 28)
    code, told = command.exports(ID)
    assert (code, command.to.read_bytes()) == (1, bytes(CHUNK))
    assert "ends early" in told


def test_a_recording_of_which_nothing_was_sealed_is_said_to_be_empty(command):
    command.path.write_bytes(b"")
    assert "empty" in command.lists()
    code, told = command.exports(ID)
    assert (code, "nothing of it was kept" in told, command.to.exists()) == (1, True, False)


async def test_old_conversations_are_erased_once_an_hour_whatever_goes_wrong(site, database):
    clock, sweeps = VirtualClock(), []

    async def erase_old():
        sweeps.append(clock.now())
        raise StoreError("the disk is full")

    async with sweeping(site, clock, database, None, erase_old=(erase_old, erase_old)):
        await asleep(clock)
        await clock.advance(keeping.SWEEP_S)
        await asleep(clock)
    assert len(sweeps) == 4


async def test_answers_of_the_api_are_kept_for_a_day(database):
    now_ms = int(VirtualClock().now().timestamp() * 1000)
    async with database.begin() as connection:
        for name, age_h in (("old", 25), ("new", 23)):
            row = {"key_id": "k", "name": name, "request": "", "at_ms": now_ms - age_h * 3_600_000}
            await connection.execute(insert(api_answers).values(row))
    await Answers(database, VirtualClock()).prune()
    async with database.begin() as connection:
        assert (await connection.scalars(select(api_answers.c.name))).all() == ["new"]
