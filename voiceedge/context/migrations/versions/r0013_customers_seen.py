"""When anything was last told of a customer, for how long one is kept of whom no conversation is left."""

import time

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Of those who are there nobody has noted it: their time begins now."""
    now_ms = int(time.time() * 1000)
    op.add_column("customers", sa.Column("seen_ms", sa.BigInteger, nullable=False, server_default=str(now_ms)))
    op.create_index("customers_seen", "customers", ["seen_ms"])


def downgrade() -> None:
    op.drop_index("customers_seen", "customers")
    op.drop_column("customers", "seen_ms")
