"""Agents whose phones are on a call that is no queue's."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("queue_agents", sa.Column("engaged_ms", sa.BigInteger, nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("queue_agents", "engaged_ms")
