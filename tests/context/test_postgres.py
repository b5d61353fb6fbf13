"""A store on PostgreSQL: what the server and the way to it can do to it, and that no password is ever told."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from making import step
from postgres import PostgresServer
from sqlalchemy import text

from voiceedge.context.storage import postgres as module
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.postgres import Postgres, RefusedError
from voiceedge.context.storage.store import Store
from voiceedge.errors import StoreError

NewDatabase = Callable[..., Database]


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """One that a test may stop, freeze and set up as it likes."""
    with PostgresServer() as server:
        yield server


@asynccontextmanager
async def opened(server: PostgresServer) -> AsyncIterator[Store]:
    database = Database(Postgres(server.url(server.new_database()), server.password_file, "node-1"))
    await database.open()
    yield Store(database, "seoul")
    await database.close()


async def refusal(url: str, password_file: Path | None) -> str:
    database = Database(Postgres(url, password_file, "node-1"))
    with pytest.raises(StoreError) as caught:
        await database.open()
    await database.close()
    assert caught.value.can_retry
    told = str(caught.value)
    assert "battery" not in told
    return told


async def test_a_server_that_is_not_there_is_told(postgres: PostgresServer, unused_tcp_port: int) -> None:
    told = await refusal(f"postgresql://edge@127.0.0.1:{unused_tcp_port}/voiceedge", postgres.password_file)
    assert told.startswith(f"PostgreSQL voiceedge at 127.0.0.1:{unused_tcp_port}: the server does not answer")
    assert "store.url" in told
    assert "does not answer" in await refusal("postgresql://edge@nowhere.invalid/voiceedge", None)
    assert "does not answer" in await refusal("postgresql://edge@/voiceedge?host=/nowhere", None)


async def test_a_wrong_password_is_told_and_not_shown(postgres: PostgresServer, tmp_path: Path) -> None:
    wrong = tmp_path / "password"
    wrong.write_text("wrong-battery")
    assert "store.password_file" in await refusal(postgres.url(), wrong)
    assert f"store.password_file: {tmp_path / 'none'} cannot be read" in await refusal(
        postgres.url(), tmp_path / "none"
    )
    assert "store.password_file" in await refusal(postgres.url().replace("voiceedge@", "stranger@"), wrong)


async def test_no_password_at_all_is_told(postgres: PostgresServer) -> None:
    assert "store.password_file" in await refusal(postgres.url(), None)


async def test_a_database_that_is_not_there_is_told(postgres: PostgresServer) -> None:
    assert "createdb" in await refusal(postgres.url("none"), postgres.password_file)


async def test_a_server_that_is_too_old_is_told(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OLDEST", 99)
    assert "upgrade it to 99" in await refusal(postgres.url(), postgres.password_file)


async def test_a_replica_is_told(postgres: PostgresServer) -> None:
    name = postgres.new_database()
    postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert "target_session_attrs" in await refusal(postgres.url(name), postgres.password_file)


async def test_a_parameter_it_does_not_know_is_told(postgres: PostgresServer) -> None:
    assert "libpq" in await refusal(postgres.url(parameters="?sslmode=perhaps"), postgres.password_file)


async def test_a_user_without_rights_is_told(postgres: PostgresServer) -> None:
    name = postgres.new_database()
    postgres.execute(f"CREATE ROLE guest_{name} LOGIN PASSWORD '{postgres.password}'")
    url = postgres.url(name).replace("voiceedge@", f"guest_{name}@")
    assert "owner" in await refusal(url, postgres.password_file)


async def test_a_value_that_is_none_for_it_can_not_be_retried(new_node: NewDatabase) -> None:
    database = new_node()
    await database.open()
    with pytest.raises(RefusedError) as caught:
        async with database.begin() as connection:
            await connection.execute(text("SELECT CAST(:value AS text)"), {"value": "secret\0"})
    assert not caught.value.can_retry
    assert "secret" not in str(caught.value)
    await database.close()


async def test_a_server_that_was_restarted_is_reached_again_by_the_next_who_asks(own_server: PostgresServer) -> None:
    async with opened(own_server) as store:
        await asyncio.gather(*(store.count_pending() for _ in range(10)))  # several connections are open
        await store.ingest([step(1)])
        own_server.stop()
        with pytest.raises(StoreError, match="calls go on"):
            await store.ingest([step(2)])
        own_server.start()
        assert await store.ingest([step(2)]) == 1
        assert await store.count_pending() == 2


@pytest.mark.slow
async def test_a_server_that_stands_still_keeps_nobody_waiting(
    own_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(own_server) as store:
        await store.ingest([step(1)])
        own_server.freeze()
        began = time.monotonic()
        with monkeypatch.context() as impatient:
            impatient.setattr(Postgres, "deadline_s", 0.5)
            impatient.setattr(module, "CONNECT_S", 0.5)
            for _ in range(2):  # by a connection that is open, and by a new one
                with pytest.raises(StoreError, match="does not answer"):
                    await store.ingest([step(2)])
        assert time.monotonic() - began < 20
        own_server.thaw()
        assert await store.ingest([step(2)]) == 1
        own_server.freeze()
    own_server.thaw()


async def test_a_server_that_is_away_at_the_start_is_used_when_it_comes(own_server: PostgresServer) -> None:
    name = own_server.new_database()
    own_server.stop()
    database = Database(Postgres(own_server.url(name), own_server.password_file, "node-1"))
    with pytest.raises(StoreError, match="start it"):
        await database.open()
    store = Store(database, "seoul")
    with pytest.raises(StoreError, match="start it"):
        await store.count_pending()
    own_server.start()
    assert await store.count_pending() == 0
    await database.close()


async def test_a_node_that_stops_in_mid_transaction_does_not_hold_up_the_others(
    new_node: NewDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped, other = new_node("stopped"), new_node("other")
    await stopped.open()
    await other.open()
    await stopped.close()
    monkeypatch.setitem(module._SESSION, "idle_in_transaction_session_timeout", "300ms")
    await stopped.open()  # its next connection is a new one
    with pytest.raises(StoreError):  # noqa: PT012 - the end of the outer block fails too
        async with stopped.begin() as holding:
            await holding.execute(text("LOCK TABLE outbox"))
            assert await Store(other, "seoul").ingest([step(1)]) == 1  # waits until the server has ended the other
    await stopped.close()
    await other.close()


def certificate(directory: Path, name: str) -> tuple[Path, Path]:
    files = directory / f"{name}.pem", directory / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
         "-addext", "subjectAltName=IP:127.0.0.1", "-out", files[0], "-keyout", files[1]],
        check=True, capture_output=True,
    )  # fmt: skip
    return files


async def test_tls_is_asked_for_by_the_url_and_a_strange_certificate_is_told(
    own_server: PostgresServer, tmp_path: Path
) -> None:
    theirs, key = certificate(tmp_path, "theirs")
    strange, _ = certificate(tmp_path, "strange")
    told = await refusal(own_server.url(parameters="?sslmode=require"), own_server.password_file)
    assert "does not answer" in told or "TLS" in told
    own_server.stop()
    for path in (theirs, key):
        own_server.take(path)
    own_server.start("ssl=on", f"ssl_cert_file={theirs.name}", f"ssl_key_file={key.name}")
    verified = f"?sslmode=verify-full&sslrootcert={theirs}"
    database = Database(Postgres(own_server.url(parameters=verified), own_server.password_file, "node-1"))
    await database.open()
    async with database.begin() as connection:
        used = await connection.execute(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
        assert used.scalar_one() is True
    await database.close()
    told = await refusal(
        own_server.url(parameters=verified.replace(str(theirs), str(strange))), own_server.password_file
    )
    assert "sslrootcert" in told
