"""The agent desk's tables, as queries see them; `migrations` makes them."""

from sqlalchemy import BigInteger, Column, Index, String, Table

from voiceedge.context.storage.tables import metadata

# Who is logged in. The cookie holds a secret of which this keeps the SHA-256.
desk_sessions = Table(
    "desk_sessions",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("agent", String(64), nullable=False),
    Column("opened_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
)

# An agent's talk or chat with a customer: under way until `ended_ms`, and to be wrapped up until `closed_ms`.
desk_contacts = Table(
    "desk_contacts",
    metadata,
    Column("id", String(300), primary_key=True),
    Column("agent", String(64), nullable=False),
    Column("conversation_id", String(64), nullable=False),
    Column("channel", String(64), nullable=False),
    Column("reference", String(256), nullable=False),  # the Call-ID as events tell it, or the chat's id
    Column("queue", String(64)),
    Column("began_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger),
    Column("closed_ms", BigInteger),
    Index("desk_contacts_agent", "agent", "closed_ms"),
    Index("desk_contacts_conversation", "conversation_id"),
)
