"""The tables of chats, as queries see them; `migrations` makes them."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from voiceedge.context.storage.tables import Position, metadata

chats = Table(
    "chats",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("secret", String(64), nullable=False),  # a hash of what the visitor's browser holds
    Column("conversation", String(64), nullable=False),
    Column("channel", String(64), nullable=False),
    Column("tenant", String(40), nullable=False),
    Column("language", String(16), nullable=False),
    Column("visitor", String(64), nullable=False),  # the address it came from, as a keyed hash
    Column("node", String(40), nullable=False),  # where it is at work
    Column("state", String(16), nullable=False),
    Column("queue", String(64)),
    Column("agent", String(64)),
    Column("wanted", String(64)),
    Column("note", Text, nullable=False),
    Column("waiting_since_ms", BigInteger),
    Column("began_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger),
    Column("cause", String(16)),
    Column("outcome", String(64)),
    Column("satisfaction", Integer),
    Column("last_number", Integer, nullable=False),
    # The run of its flow: which, how many there were, after which message and with which slots it began, as of when.
    Column("flow", String(64), nullable=False),
    Column("runs", Integer, nullable=False),
    Column("run_after", Integer, nullable=False),
    Column("run_ms", BigInteger, nullable=False),
    Column("given", Text, nullable=False),
    Column("made_of", String(64), nullable=False),  # a fingerprint of the flow files
    Index("chats_open", "node", "state"),
    Index("chats_conversation", "conversation"),
    Index("chats_ended", "ended_ms"),
)

chat_messages = Table(
    "chat_messages",
    metadata,
    Column("chat", String(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("by", String(16), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("agent", String(64)),
    Column("step", String(160)),
    Column("extra", Text, nullable=False),  # buttons and the like, as JSON
    Column("sending", String(64)),  # what the browser calls it
    Index("chat_messages_sending", "chat", "sending", unique=True),
)

# What the flow was told in its present run, by which it is walked again after a restart; gone when the chat is over.
chat_inputs = Table(
    "chat_inputs",
    metadata,
    Column("chat", String(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("value", Text, nullable=False),
)

# What a change tells others, kept with it until the conversation's record has it.
chat_events = Table(
    "chat_events",
    metadata,
    Column("position", Position, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False),
    Column("chat", String(64), nullable=False),
    Column("node", String(40), nullable=False),
    Column("body", Text, nullable=False),
    Index("chat_events_id", "id"),
    Index("chat_events_chat", "chat"),
)
