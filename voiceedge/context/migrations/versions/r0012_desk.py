"""Who is logged in at the agent desk, and what agents have to wrap up."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "desk_sessions",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("opened_ms", sa.BigInteger, nullable=False),
        sa.Column("seen_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "desk_contacts",
        sa.Column("id", sa.String(300), primary_key=True),
        sa.Column("agent", sa.String(64), nullable=False),
        sa.Column("conversation_id", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("reference", sa.String(256), nullable=False),
        sa.Column("queue", sa.String(64)),
        sa.Column("began_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_ms", sa.BigInteger),
        sa.Column("closed_ms", sa.BigInteger),
    )
    op.create_index("desk_contacts_agent", "desk_contacts", ["agent", "closed_ms"])
    op.create_index("desk_contacts_conversation", "desk_contacts", ["conversation_id"])


def downgrade() -> None:
    op.drop_table("desk_contacts")
    op.drop_table("desk_sessions")
