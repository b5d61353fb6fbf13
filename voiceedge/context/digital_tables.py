"""The tables of conversations beyond the telephone, as queries see them; `migrations` makes them."""

from sqlalchemy import BigInteger, Column, String, Table

from voiceedge.context.tables import Position, metadata

# Append-only; `digest` chains each row to the one before it.
access_log = Table(
    "access_log",
    metadata,
    Column("position", Position, primary_key=True, autoincrement=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", String(128), nullable=False),
    Column("action", String(40), nullable=False),
    Column("subject", String(128), nullable=False),
    Column("digest", String(64), nullable=False),
    sqlite_autoincrement=True,
)
