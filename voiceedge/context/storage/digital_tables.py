"""The tables of conversations beyond the telephone, as queries see them; `migrations` makes them."""

from sqlalchemy import BigInteger, Boolean, Column, Index, String, Table, Text, text

from voiceedge.context.storage.tables import Position, metadata

# One row: the highest position of the outbox that was ever pruned. Of what follows an earlier one some is forgotten.
outbox_pruned = Table("outbox_pruned", metadata, Column("position", BigInteger, primary_key=True, autoincrement=False))

# A person as the site knows them. `merged_into` is who they turned out to be; undone by setting it null.
customers = Table(
    "customers",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant", String(40), nullable=False),
    Column("merged_into", String(64)),
    Column("attributes", Text, nullable=False),  # JSON: name to value and class
    Column("created_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),  # when anything was last told of them
    Index("customers_merged", "merged_into"),
    Index("customers_seen", "seen_ms"),
    Index("customers_of_tenant", "tenant", "created_ms"),
)

# By which a customer is known; found by the keyed hash of the value, which itself is in the clear. A verified one is
# one customer's only.
VERIFIED = text("verified")
identities = Table(
    "identities",
    metadata,
    Column("position", Position, primary_key=True, autoincrement=True),
    Column("customer_id", String(64), nullable=False),
    Column("tenant", String(40), nullable=False),
    Column("kind", String(16), nullable=False),  # phone, email, chat or external
    Column("hash", String(64), nullable=False),
    Column("value", Text, nullable=False),
    Column("verified", Boolean, nullable=False),
    Column("source", String(64), nullable=False),
    Column("added_ms", BigInteger, nullable=False),
    Index("identities_of", "customer_id"),
    Index("identities_found", "hash", "tenant", "kind"),
)
Index(
    "identities_verified",
    identities.c.hash,
    identities.c.tenant,
    identities.c.kind,
    unique=True,
    sqlite_where=VERIFIED,
    postgresql_where=VERIFIED,
)

# How customers came to be what they are: who did what, when and why.
customer_trail = Table(
    "customer_trail",
    metadata,
    Column("position", Position, primary_key=True, autoincrement=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("customer_id", String(64), nullable=False),
    Column("action", String(16), nullable=False),  # created, identified, merged or split
    Column("other_id", String(64)),  # who was merged into this one, or split from it
    Column("who", String(128), nullable=False),
    Column("why", Text, nullable=False),
    Index("customer_trail_of", "customer_id"),
    Index("customer_trail_with", "other_id"),
)

# Append-only, held by triggers; `digest` chains each row to the one before it.
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
