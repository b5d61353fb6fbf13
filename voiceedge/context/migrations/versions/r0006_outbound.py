"""Calls out by order, their pace, and who must not be called."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "outbound_orders",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("campaign", sa.String(64), nullable=False),
        sa.Column("flow", sa.String(64), nullable=False),
        sa.Column("number", sa.String(64), nullable=False),
        sa.Column("customer", sa.String(64), nullable=False),
        sa.Column("caller_id", sa.String(64)),
        sa.Column("slots", sa.Text, nullable=False),
        sa.Column("conversation", sa.String(64), nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer),
        sa.Column("retry", sa.Text, nullable=False),
        sa.Column("added_ms", sa.BigInteger, nullable=False),
        sa.Column("due_ms", sa.BigInteger, nullable=False),
        sa.Column("until_ms", sa.BigInteger),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("counts", sa.Text, nullable=False),
        sa.Column("result", sa.String(16)),
        sa.Column("outcome", sa.String(64)),
        sa.Column("call", sa.String(64)),
        sa.Column("node", sa.String(40), nullable=False),
        sa.Column("lease_ms", sa.BigInteger, nullable=False),
        sa.Column("over_ms", sa.BigInteger),
    )
    op.create_index("outbound_orders_due", "outbound_orders", ["state", "campaign", "priority", "due_ms"])
    op.create_index("outbound_orders_over", "outbound_orders", ["over_ms"])
    pace = op.create_table(
        "outbound_pace",
        sa.Column("campaign", sa.String(64), primary_key=True),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("next_ms", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(pace, [{"campaign": "", "paused": False, "next_ms": 0}])
    op.create_table(
        "do_not_call",
        sa.Column("customer", sa.String(64), primary_key=True),
        sa.Column("shown", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(256), nullable=False),
        sa.Column("added_ms", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    for table in ("do_not_call", "outbound_pace", "outbound_orders"):
        op.drop_table(table)
