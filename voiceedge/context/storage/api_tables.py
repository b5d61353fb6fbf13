"""The tables of the API, as queries see them: keys, answers given once, webhooks; `migrations` makes them."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text

from voiceedge.context.storage.tables import Position, metadata

# Of a key only a hash is kept.
api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("name", String(64), nullable=False),
    Column("tenant", String(40), nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger),
    Column("revoked_ms", BigInteger),
)

# Requests with an Idempotency-Key; `answer` is null while the first of them is still at work, and encrypted.
api_answers = Table(
    "api_answers",
    metadata,
    Column("key_id", String(16), primary_key=True),
    Column("name", String(64), primary_key=True),  # a hash of the header
    Column("request", String(64), nullable=False),  # a keyed hash of what was asked
    Column("status", Integer),
    Column("answer", LargeBinary),
    Column("at_ms", BigInteger, nullable=False),
    Index("api_answers_at", "at_ms"),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant", String(40), nullable=False),
    Column("url", String(2000), nullable=False),
    Column("types", Text, nullable=False),  # JSON; an empty list is all of them
    Column("created_ms", BigInteger, nullable=False),
    Column("disabled_ms", BigInteger),
    Column("why", String(256), nullable=False),
)

# What is to be sent to whom, in the order of `position`; one that is over stays a while, to be looked at.
webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("position", Position, primary_key=True, autoincrement=True),
    Column("webhook", String(64), nullable=False),
    Column("event_id", String(64), nullable=False),
    Column("conversation", String(64), nullable=False),
    Column("type", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("state", String(16), nullable=False),  # waiting, delivered, failed
    Column("tries", Integer, nullable=False),
    Column("added_ms", BigInteger, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("lease_ms", BigInteger, nullable=False),  # until then a node is at it
    Column("answered", Integer),  # the last answer's status
    Column("problem", String(256), nullable=False),
    Column("over_ms", BigInteger),
    Index("webhook_deliveries_waiting", "webhook", "state", "conversation", "position"),
    Index("webhook_deliveries_over", "over_ms"),
    sqlite_autoincrement=True,
)
