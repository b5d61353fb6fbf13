"""The tables by which conversations go on elsewhere, as queries see them; `migrations` makes them."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from voiceedge.context.storage.tables import metadata

# By the keyed hash of the six digits. One that is over stays until its digits are given out again, or it is pruned.
pins = Table(
    "pins",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("conversation_id", String(64), nullable=False),
    Column("channel", String(64), nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("redeemed_at_ms", BigInteger),
    Column("redeemed_by", String(64)),  # who may ask again where our answer was lost
    Column("tenant", String(40), nullable=False),
)

# Who has named wrong PINs, as a keyed hash, and since when they are counted; "*" and a channel: all in it.
pin_askers = Table(
    "pin_askers",
    metadata,
    Column("asker", String(64), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("locked_until_ms", BigInteger, nullable=False),
)

# Numbers that are called only to continue, and whose they are for now.
lent_numbers = Table(
    "lent_numbers",
    metadata,
    Column("number", String(64), primary_key=True),
    Column("conversation_id", String(64), nullable=False),
    Column("channel", String(64), nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("tenant", String(40), nullable=False),
)

# What is to be sent by text message, e-mail or webhook (voiceedge.channels.senders). Of one that is over the address
# is masked, and text and link are gone; the row stays a while, so that one given twice is known.
messages_out = Table(
    "messages_out",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("conversation_id", String(64), nullable=False),
    Column("interaction", String(256), nullable=False),
    Column("channel", String(64), nullable=False),  # to which the link leads
    Column("via", String(64), nullable=False),
    Column("address", String(320), nullable=False),
    Column("addressee", String(64), nullable=False),  # the address as a keyed hash
    Column("body", Text, nullable=False),
    Column("language", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("added_ms", BigInteger, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Index("messages_out_due", "state", "due_ms"),
    Index("messages_out_addressee", "addressee", "added_ms"),
)
