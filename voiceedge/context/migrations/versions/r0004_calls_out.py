"""Calls out, counted: how many of a day, and which are up."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "days_out",
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("calls", sa.Integer, nullable=False),
    )
    op.create_table(
        "calls_out",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("caller", sa.String(64), nullable=False),
        sa.Column("trunk", sa.String(64), nullable=False),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("calls_out_caller", "calls_out", ["day", "caller"])
    op.create_index("calls_out_trunk", "calls_out", ["day", "trunk"])
    op.create_index("calls_out_up", "calls_out", ["trunk", "until_ms"])


def downgrade() -> None:
    for table in ("calls_out", "days_out"):
        op.drop_table(table)
