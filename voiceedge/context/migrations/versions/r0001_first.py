"""Conversations, the outbox and resume tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    position = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "conversations",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("last_sequence", sa.Integer, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "outbox",
        # AUTOINCREMENT: a position is never given twice, not even after its row was pruned.
        sa.Column("position", position, primary_key=True, autoincrement=True),
        sa.Column("event_id", sa.String(64), nullable=False, unique=True),
        sa.Column("conversation_id", sa.String(64), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("published_at_ms", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    pending = sa.text("published_at_ms IS NULL")
    op.create_index("outbox_pending", "outbox", ["position"], sqlite_where=pending, postgresql_where=pending)
    op.create_index("outbox_published", "outbox", ["published_at_ms"])
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("conversation_id", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger, nullable=False),
        sa.Column("redeemed_at_ms", sa.BigInteger),
    )


def downgrade() -> None:
    for table in ("tokens", "outbox", "conversations"):
        op.drop_table(table)
