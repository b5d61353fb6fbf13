"""The queues: tickets, agents, how long they were in which state, and the nodes that serve them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "queue_tickets",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("queue", sa.String(64), nullable=False),
        sa.Column("node", sa.String(64), nullable=False),
        sa.Column("call", sa.String(256), nullable=False),
        sa.Column("conversation", sa.String(64), nullable=False),
        sa.Column("customer", sa.String(256)),
        sa.Column("language", sa.String(16), nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("skills", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("joined_ms", sa.BigInteger, nullable=False),
        sa.Column("rank_ms", sa.BigInteger, nullable=False),
        sa.Column("changed_ms", sa.BigInteger, nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("staffed", sa.Integer, nullable=False),
        sa.Column("offers", sa.Integer, nullable=False),
        sa.Column("agent", sa.String(64)),
        sa.Column("answered_ms", sa.BigInteger),
        sa.Column("over_ms", sa.BigInteger),
        sa.Column("call_back", sa.Boolean, nullable=False),
        sa.Column("number", sa.String(64)),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("not_before_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("queue_tickets_over", "queue_tickets", ["over_ms"])
    op.create_table(
        "queue_agents",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(256), nullable=False),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
        sa.Column("ticket", sa.String(64)),
        sa.Column("misses", sa.Integer, nullable=False),
        sa.Column("idle_since_ms", sa.BigInteger, nullable=False),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
        sa.Column("phone", sa.String(256)),
        sa.Column("then_state", sa.String(16)),
        sa.Column("then_reason", sa.String(256), nullable=False),
    )
    op.create_table(
        "queue_spans",
        sa.Column(
            "position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True
        ),
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(256), nullable=False),
        sa.Column("began_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("queue_spans_ended", "queue_spans", ["ended_ms"])
    op.create_table(
        "queue_nodes",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("seen_ms", sa.BigInteger, nullable=False),
    )
    op.execute("INSERT INTO queue_nodes (name, seen_ms) VALUES ('*', 0)")


def downgrade() -> None:
    for table in ("queue_nodes", "queue_spans", "queue_agents", "queue_tickets"):
        op.drop_table(table)
