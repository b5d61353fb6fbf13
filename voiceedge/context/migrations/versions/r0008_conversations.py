"""Conversations that can be found, join one another and belong to customers; who read what."""

import json
from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

POSITION = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INDEXES = {
    "conversations_joined": ["joined_into"],
    "conversations_of": ["customer_id"],
    "conversations_by": ["customer"],
    "conversations_started": ["tenant", "started_ms"],
    "conversations_of_agent": ["tenant", "agent", "started_ms"],
    "conversations_of_queue": ["tenant", "queue", "started_ms"],
    "conversations_of_outcome": ["tenant", "outcome", "started_ms"],
    "conversations_to_erase": ["erased", "started_ms"],
}
OPEN = "conversations_open"
PORTION = 500
REFUSAL = "the access log is append-only"


def upgrade() -> None:
    for column in _columns():
        op.add_column("conversations", column)
    _fill()
    for name, columns in INDEXES.items():
        op.create_index(name, "conversations", columns)
    still_open = sa.text("ended_ms IS NULL")
    op.create_index(
        OPEN, "conversations", ["tenant", "started_ms"], sqlite_where=still_open, postgresql_where=still_open
    )
    op.add_column("outbox", sa.Column("tenant", sa.String(40), nullable=False, server_default="main"))
    op.create_table("outbox_pruned", sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False))
    op.execute("INSERT INTO outbox_pruned (position) VALUES (0)")
    _make_customers()
    op.create_table(
        "access_log",
        sa.Column("position", POSITION, primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sqlite_autoincrement=True,
    )
    _guard_access_log()


def downgrade() -> None:
    for table in ("access_log", "customer_trail", "identities", "customers", "outbox_pruned"):
        op.drop_table(table)
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP FUNCTION access_log_is_append_only()")
    op.drop_column("outbox", "tenant")
    for index in (*INDEXES, OPEN):
        op.drop_index(index, "conversations")
    for column in _columns():
        op.drop_column("conversations", column.name)


def _columns() -> list[sa.Column[object]]:
    return [
        sa.Column("revision", sa.Integer, nullable=False, server_default="0"),
        sa.Column("tenant", sa.String(40), nullable=False, server_default=""),
        sa.Column("joined_into", sa.String(64)),
        sa.Column("customer_id", sa.String(64)),
        sa.Column("customer", sa.Text),
        sa.Column("channels", sa.Text, nullable=False, server_default=""),
        sa.Column("queue", sa.Text),
        sa.Column("agent", sa.Text),
        sa.Column("outcome", sa.Text),
        sa.Column("started_ms", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("ended_ms", sa.BigInteger),
        sa.Column("erased", sa.Integer, nullable=False, server_default="0"),
    ]


def _fill() -> None:
    """Conversations of earlier releases are found, too: all of them were calls."""
    connection = op.get_bind()
    read = sa.text("SELECT id, record FROM conversations WHERE id > :after ORDER BY id LIMIT :most")
    write = sa.text(
        "UPDATE conversations SET tenant = :tenant, customer = :customer, channels = :channels, queue = :queue,"
        " agent = :agent, outcome = :outcome, started_ms = :started_ms, ended_ms = :ended_ms WHERE id = :id"
    )
    after = ""
    while rows := connection.execute(read, {"after": after, "most": PORTION}).all():
        after = rows[-1].id
        connection.execute(write, [_told(row.id, row.record) for row in rows])


def _told(conversation: str, record: str) -> dict[str, object]:
    try:
        told = json.loads(record)
    except ValueError:  # it begins anew with its next event
        told = {}
    listed = bool(told.get("channels"))
    return {
        "id": conversation,
        "tenant": "main" if listed else "",
        "channels": " phone " if listed else "",
        "started_ms": _ms(told.get("started_at")) or 0,
        "ended_ms": _ms(told.get("ended_at")),
        **{name: told.get(name) for name in ("customer", "queue", "agent", "outcome")},
    }


def _ms(time: str | None) -> int | None:
    return int(datetime.fromisoformat(time).timestamp() * 1000) if time else None


def _make_customers() -> None:
    op.create_table(
        "customers",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(40), nullable=False),
        sa.Column("merged_into", sa.String(64)),
        sa.Column("attributes", sa.Text, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("customers_merged", "customers", ["merged_into"])
    op.create_index("customers_of_tenant", "customers", ["tenant", "created_ms"])
    op.create_table(
        "identities",
        sa.Column("position", POSITION, primary_key=True),
        sa.Column("customer_id", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("verified", sa.Boolean, nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("added_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("identities_of", "identities", ["customer_id"])
    op.create_index("identities_found", "identities", ["hash", "tenant", "kind"])
    verified = sa.text("verified")
    op.create_index(
        "identities_verified",
        "identities",
        ["hash", "tenant", "kind"],
        unique=True,
        sqlite_where=verified,
        postgresql_where=verified,
    )
    op.create_table(
        "customer_trail",
        sa.Column("position", POSITION, primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("customer_id", sa.String(64), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("other_id", sa.String(64)),
        sa.Column("who", sa.String(128), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
    )
    op.create_index("customer_trail_of", "customer_trail", ["customer_id"])
    op.create_index("customer_trail_with", "customer_trail", ["other_id"])


def _guard_access_log() -> None:
    """No row of it is changed or deleted, whoever asks."""
    if op.get_context().dialect.name == "sqlite":
        for what in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER access_log_no_{what.lower()} BEFORE {what} ON access_log "
                f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION access_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER access_log_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON access_log "
        "FOR EACH STATEMENT EXECUTE FUNCTION access_log_is_append_only()"
    )
