"""Nodes that share the database: each publishes events of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

PENDING = sa.text("published_at_ms IS NULL")


def upgrade() -> None:
    op.create_table(
        "nodes",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("machine", sa.String(16), nullable=False),
        sa.Column("keys", sa.String(16), nullable=False),
        sa.Column("seen_at_ms", sa.BigInteger, nullable=False),
    )
    op.add_column("outbox", sa.Column("node", sa.String(40), nullable=False, server_default=""))
    op.drop_index("outbox_pending", "outbox")
    op.create_index("outbox_pending", "outbox", ["node", "position"], sqlite_where=PENDING, postgresql_where=PENDING)
    op.create_index("outbox_pending_of", "outbox", ["conversation_id"], sqlite_where=PENDING, postgresql_where=PENDING)


def downgrade() -> None:
    op.drop_index("outbox_pending_of", "outbox")
    op.drop_index("outbox_pending", "outbox")
    op.create_index("outbox_pending", "outbox", ["position"], sqlite_where=PENDING, postgresql_where=PENDING)
    op.drop_column("outbox", "node")
    op.drop_table("nodes")
