"""Conversations that can be found, join one another and belong to customers; who read what."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    for column in (
        sa.Column("tenant", sa.String(40), nullable=False, server_default="main"),
        sa.Column("joined_into", sa.String(64)),
        sa.Column("customer_id", sa.String(64)),
        sa.Column("started_ms", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("ended_ms", sa.BigInteger),
    ):
        op.add_column("conversations", column)
    op.create_index("conversations_customer", "conversations", ["customer_id"])
    op.create_index("conversations_started", "conversations", ["tenant", "started_ms"])
    op.create_table(
        "access_log",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("access_log")
    for index in ("conversations_customer", "conversations_started"):
        op.drop_index(index, "conversations")
    for column in ("tenant", "joined_into", "customer_id", "started_ms", "ended_ms"):
        op.drop_column("conversations", column)
