"""The database's tables as queries see them; `migrations` makes them, and a test holds the two against each other."""

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, Text, text

metadata = MetaData()

conversations = Table(
    "conversations",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("record", Text, nullable=False),
    Column("last_sequence", Integer, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=True),
    Column("event_id", String(64), nullable=False, unique=True),
    Column("conversation_id", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("published_at_ms", BigInteger),
    Index("outbox_published", "published_at_ms"),
    sqlite_autoincrement=True,
)
Index("outbox_pending", outbox.c.position, sqlite_where=text("published_at_ms IS NULL"))

tokens = Table(
    "tokens",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("conversation_id", String(64), nullable=False),
    Column("channel", String(64), nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("redeemed_at_ms", BigInteger),
)
