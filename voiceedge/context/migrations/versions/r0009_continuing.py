"""Codes and numbers by which a conversation goes on elsewhere, and the messages that tell them."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("tokens", sa.Column("redeemed_by", sa.String(64)))
    op.add_column("tokens", sa.Column("tenant", sa.String(40), nullable=False, server_default="main"))
    op.create_table(
        "pins",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("conversation_id", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger, nullable=False),
        sa.Column("redeemed_at_ms", sa.BigInteger),
        sa.Column("redeemed_by", sa.String(64)),
        sa.Column("tenant", sa.String(40), nullable=False),
    )
    op.create_table(
        "pin_askers",
        sa.Column("asker", sa.String(64), primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
        sa.Column("locked_until_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "lent_numbers",
        sa.Column("number", sa.String(64), primary_key=True),
        sa.Column("conversation_id", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger, nullable=False),
        sa.Column("tenant", sa.String(40), nullable=False),
    )
    op.create_table(
        "messages_out",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("conversation_id", sa.String(64), nullable=False),
        sa.Column("interaction", sa.String(256), nullable=False),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("via", sa.String(64), nullable=False),
        sa.Column("address", sa.String(320), nullable=False),
        sa.Column("addressee", sa.String(64), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("language", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("added_ms", sa.BigInteger, nullable=False),
        sa.Column("due_ms", sa.BigInteger, nullable=False),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("messages_out_due", "messages_out", ["state", "due_ms"])
    op.create_index("messages_out_addressee", "messages_out", ["addressee", "added_ms"])


def downgrade() -> None:
    for table in ("messages_out", "lent_numbers", "pin_askers", "pins"):
        op.drop_table(table)
    for column in ("tenant", "redeemed_by"):
        op.drop_column("tokens", column)
