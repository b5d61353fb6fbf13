"""The database's tables as queries see them; `migrations` makes them, and a test holds the two against each other."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, String, Table, Text, text

metadata = MetaData()

Position = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts by itself in an INTEGER only
PENDING = text("published_at_ms IS NULL")

# What can be found by a column is in the record, too. `tenant` is empty where there is nothing to find.
conversations = Table(
    "conversations",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("record", Text, nullable=False),
    Column("last_sequence", Integer, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    Column("revision", Integer, nullable=False, server_default="0"),  # counts how often it was written
    Column("tenant", String(40), nullable=False, server_default=""),
    Column("joined_into", String(64)),  # this one was found to continue that one, and its events are filed there
    Column("customer_id", String(64)),
    Column("customer", Text),  # by keyed hash
    Column("channels", Text, nullable=False, server_default=""),  # " phone web-chat "
    Column("queue", Text),
    Column("agent", Text),
    Column("outcome", Text),
    Column("started_ms", BigInteger, nullable=False, server_default="0"),
    Column("ended_ms", BigInteger),
    Column("erased", Integer, nullable=False, server_default="0"),  # bits, as `retention` counts them
    Index("conversations_joined", "joined_into"),
    Index("conversations_of", "customer_id"),
    Index("conversations_by", "customer"),
    Index("conversations_started", "tenant", "started_ms"),
    Index("conversations_of_agent", "tenant", "agent", "started_ms"),
    Index("conversations_of_queue", "tenant", "queue", "started_ms"),
    Index("conversations_of_outcome", "tenant", "outcome", "started_ms"),
    Index("conversations_to_erase", "erased", "started_ms"),
)
OPEN = text("ended_ms IS NULL")
Index(
    "conversations_open", conversations.c.tenant, conversations.c.started_ms, sqlite_where=OPEN, postgresql_where=OPEN
)

outbox = Table(
    "outbox",
    metadata,
    Column("position", Position, primary_key=True, autoincrement=True),
    Column("event_id", String(64), nullable=False, unique=True),
    Column("conversation_id", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("published_at_ms", BigInteger),
    Column("node", String(40), nullable=False, server_default=""),  # who publishes it
    Column("tenant", String(40), nullable=False, server_default="main"),
    Index("outbox_published", "published_at_ms"),
    sqlite_autoincrement=True,
)
Index("outbox_pending", outbox.c.node, outbox.c.position, sqlite_where=PENDING, postgresql_where=PENDING)
Index("outbox_pending_of", outbox.c.conversation_id, sqlite_where=PENDING, postgresql_where=PENDING)

# The nodes that share the database, and when each was last at work by the database's clock.
nodes = Table(
    "nodes",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("machine", String(16), nullable=False),  # tells two of the same name from one that was restarted
    Column("keys", String(16), nullable=False),  # a fingerprint: they must have the same
    Column("seen_at_ms", BigInteger, nullable=False),
)

# A row a call, while it is up (voiceedge.context.storage.calls_up).
calls_up = Table(
    "calls_up",
    metadata,
    Column("id", String(64), primary_key=True),  # of its first event
    Column("conversation_id", String(64), nullable=False),  # as it began
    Column("call", Text, nullable=False),
    Column("node", String(40), nullable=False),
    Column("holder", String(160), nullable=False),  # the process that has it
    Column("started_ms", BigInteger, nullable=False),
    Column("answered_ms", BigInteger),
    Column("direction", String(8), nullable=False),
    Column("far_end", Text, nullable=False),
    Column("trunk", Text),
    Column("leg_over", Boolean, nullable=False),  # its leg's record is kept already
    Index("calls_up_of", "conversation_id"),
    Index("calls_up_at", "node", "holder"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("conversation_id", String(64), nullable=False),
    Column("channel", String(64), nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("redeemed_at_ms", BigInteger),
    Column("redeemed_by", String(64)),  # who may ask again where our answer was lost
    Column("tenant", String(40), nullable=False, server_default="main"),
)

# The queues' (voiceedge.switch.queues). A closed ticket stays for the figures, until it is pruned.
queue_tickets = Table(
    "queue_tickets",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("queue", String(64), nullable=False),
    Column("node", String(64), nullable=False),
    Column("call", String(256), nullable=False),
    Column("conversation", String(64), nullable=False),
    Column("customer", String(256)),
    Column("language", String(16), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("skills", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("joined_ms", BigInteger, nullable=False),
    Column("rank_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Column("place", Integer, nullable=False),
    Column("staffed", Integer, nullable=False),
    Column("offers", Integer, nullable=False),
    Column("agent", String(64)),
    Column("answered_ms", BigInteger),
    Column("over_ms", BigInteger),
    Column("call_back", Boolean, nullable=False),
    Column("number", String(64)),
    Column("attempts", Integer, nullable=False),
    Column("not_before_ms", BigInteger, nullable=False),
    Index("queue_tickets_over", "over_ms"),
)

queue_agents = Table(
    "queue_agents",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("reason", String(256), nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("ticket", String(64)),
    Column("misses", Integer, nullable=False),
    Column("idle_since_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("phone", String(256)),
    Column("then_state", String(16)),
    Column("then_reason", String(256), nullable=False),
    Column("engaged_ms", BigInteger, nullable=False, server_default="0"),
)

# How long an agent was in a state that is over.
queue_spans = Table(
    "queue_spans",
    metadata,
    Column("position", Position, primary_key=True, autoincrement=True),
    Column("agent", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(256), nullable=False),
    Column("began_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger, nullable=False),
    Index("queue_spans_ended", "ended_ms"),
)

# The row "*" is locked by whoever changes queues; each other is a node and when it was last at work.
queue_nodes = Table(
    "queue_nodes",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("seen_ms", BigInteger, nullable=False),
)

# Calls out (voiceedge.switch.caps). The row of a day is locked by whoever counts one more.
days_out = Table(
    "days_out",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("calls", Integer, nullable=False),
)

# A call is up until `until_ms`, which its worker moves on while it lasts.
calls_out = Table(
    "calls_out",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("day", String(10), nullable=False),
    Column("caller", String(64), nullable=False),
    Column("trunk", String(64), nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Index("calls_out_caller", "day", "caller"),
    Index("calls_out_trunk", "day", "trunk"),
    Index("calls_out_up", "trunk", "until_ms"),
)

# Call-detail records (voiceedge.context.storage.legs), by the id of their event.
legs = Table(
    "legs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("conversation_id", String(64), nullable=False),
    Column("node", String(40), nullable=False),
    Column("trunk", String(64)),
    Column("number", String(256), nullable=False),  # in the clear
    Column("ended_ms", BigInteger, nullable=False),
    Column("record", Text, nullable=False),
    Index("legs_ended", "ended_ms"),
)

# Calls out to customers by order (voiceedge.switch.outbound). Of an order that is over the number is masked, and its
# values are gone; the row stays a while, so that an order given twice is known.
outbound_orders = Table(
    "outbound_orders",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("campaign", String(64), nullable=False),
    Column("flow", String(64), nullable=False),
    Column("number", String(64), nullable=False),
    Column("customer", String(64), nullable=False),
    Column("caller_id", String(64)),
    Column("slots", Text, nullable=False),
    Column("conversation", String(64), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("attempts", Integer),
    Column("retry", Text, nullable=False),
    Column("added_ms", BigInteger, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger),
    Column("state", String(16), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("counts", Text, nullable=False),
    Column("result", String(16)),
    Column("outcome", String(64)),
    Column("call", String(64)),
    Column("node", String(40), nullable=False),
    Column("lease_ms", BigInteger, nullable=False),
    Column("over_ms", BigInteger),
    Index("outbound_orders_due", "state", "campaign", "priority", "due_ms"),
    Index("outbound_orders_over", "over_ms"),
)

# Of each campaign, and of all together (the empty name): whether it rests, and when its next call may be placed. The
# row of the empty name is locked by whoever places calls.
outbound_pace = Table(
    "outbound_pace",
    metadata,
    Column("campaign", String(64), primary_key=True),
    Column("paused", Boolean, nullable=False),
    Column("next_ms", BigInteger, nullable=False),
)

# Who must not be called, by the keyed hash of the number.
do_not_call = Table(
    "do_not_call",
    metadata,
    Column("customer", String(64), primary_key=True),
    Column("shown", String(64), nullable=False),  # masked
    Column("reason", String(256), nullable=False),
    Column("added_ms", BigInteger, nullable=False),
)
