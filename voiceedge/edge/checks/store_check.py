"""What the doctor says about the database, and about other nodes that share it."""

import ipaddress
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from sqlalchemy import inspect, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from voiceedge.appliance.finding import Finding, broken, fine, reduced
from voiceedge.config import Config
from voiceedge.context.privacy.keys import SHARED_KEYS, fingerprint, keys_fingerprint, load_key
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.lease import LEASE_S, NOW_MS
from voiceedge.context.storage.tables import nodes
from voiceedge.errors import StoreError
from voiceedge.toml_file import readable_by_others

PART = "database"


async def examine(config: Config) -> AsyncIterator[Finding]:
    """Changes nothing in it: tables are made by the service."""
    if config.store.url is None:
        yield fine(PART, f"SQLite in {config.site.data_dir}, for this machine alone")
        return
    file = config.store.password_file
    if file and file.exists() and readable_by_others(file):
        yield reduced("secrets", f"{file} may be read by every user of this machine", f"chmod 640 {file}")
    database = Database.of(config)
    try:
        async with database.look() as connection:
            yield await _way(config, connection)
            if await connection.run_sync(lambda sync: inspect(sync).has_table(nodes.name)):
                yield await _nodes(config, connection)
    except StoreError as error:
        what, _, remedy = str(error).rpartition(": ")
        yield broken(PART, what, remedy)
    finally:
        await database.close()
    if config.mqtt.url is None:
        yield reduced(
            "nodes",
            "each node has a broker of its own, which tells of its own calls only",
            "Set mqtt.url to one broker for all",
        )


async def _way(config: Config, connection: AsyncConnection) -> Finding:
    encrypted = await connection.execute(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
    if encrypted.scalar_one() or _is_here(urlsplit(str(config.store.url)).hostname):
        return fine(PART, "PostgreSQL takes us")
    return reduced(
        PART,
        "PostgreSQL takes us, but what callers say travels unencrypted",
        "Add sslmode=verify-full to store.url, and a certificate to the server",
    )


def _is_here(host: str | None) -> bool:
    try:
        return not host or host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _nodes(config: Config, connection: AsyncConnection) -> Finding:
    fresh = nodes.c.seen_at_ms > NOW_MS - int(LEASE_S * 1000)
    alive = select(nodes.c.name, nodes.c.machine, nodes.c["keys"].label("held")).where(fresh)
    others = (await connection.execute(alive.order_by(nodes.c.name))).all()
    names = ", ".join(row.name for row in others) or "none"
    own = fingerprint(load_key(config.site.data_dir, "node"))
    if any(row.name == config.switch.node and row.machine != own for row in others):
        return broken(
            "nodes", f"another machine calls itself {config.switch.node} too", "Give each a switch.node of its own"
        )
    keys = keys_fingerprint(config.site.data_dir)
    if any(row.held != keys for row in others):
        return broken(
            "nodes",
            f"the nodes ({names}) do not have the same keys: a ticket of one is no ticket of another",
            f"Copy {' and '.join(f'{name}.key' for name in SHARED_KEYS)} in site.data_dir from one to the others",
        )
    return fine("nodes", f"at work: {names}")
