"""Calls that are up, so that their end can be told after a power cut."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_table(
        "calls_up",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("conversation_id", sa.String(64), nullable=False),
        sa.Column("call", sa.Text, nullable=False),
        sa.Column("node", sa.String(40), nullable=False),
        sa.Column("holder", sa.String(160), nullable=False),
        sa.Column("started_ms", sa.BigInteger, nullable=False),
        sa.Column("answered_ms", sa.BigInteger),
        sa.Column("direction", sa.String(8), nullable=False),
        sa.Column("far_end", sa.Text, nullable=False),
        sa.Column("trunk", sa.Text),
        sa.Column("leg_over", sa.Boolean, nullable=False),
    )
    op.create_index("calls_up_of", "calls_up", ["conversation_id"])
    op.create_index("calls_up_at", "calls_up", ["node", "holder"])


def downgrade() -> None:
    op.drop_table("calls_up")
