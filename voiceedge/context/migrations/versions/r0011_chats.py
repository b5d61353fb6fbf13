"""Chats, what was written in them, what their flows were told, and what others are still to be told."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "chats",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("secret", sa.String(64), nullable=False),
        sa.Column("conversation", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(40), nullable=False),
        sa.Column("language", sa.String(16), nullable=False),
        sa.Column("visitor", sa.String(64), nullable=False),
        sa.Column("node", sa.String(40), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("queue", sa.String(64)),
        sa.Column("agent", sa.String(64)),
        sa.Column("wanted", sa.String(64)),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("waiting_since_ms", sa.BigInteger),
        sa.Column("began_ms", sa.BigInteger, nullable=False),
        sa.Column("changed_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_ms", sa.BigInteger),
        sa.Column("cause", sa.String(16)),
        sa.Column("outcome", sa.String(64)),
        sa.Column("satisfaction", sa.Integer),
        sa.Column("last_number", sa.Integer, nullable=False),
        sa.Column("flow", sa.String(64), nullable=False),
        sa.Column("runs", sa.Integer, nullable=False),
        sa.Column("run_after", sa.Integer, nullable=False),
        sa.Column("run_ms", sa.BigInteger, nullable=False),
        sa.Column("given", sa.Text, nullable=False),
        sa.Column("made_of", sa.String(64), nullable=False),
    )
    op.create_index("chats_open", "chats", ["node", "state"])
    op.create_index("chats_conversation", "chats", ["conversation"])
    op.create_index("chats_ended", "chats", ["ended_ms"])
    op.create_table(
        "chat_messages",
        sa.Column("chat", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("by", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("agent", sa.String(64)),
        sa.Column("step", sa.String(160)),
        sa.Column("extra", sa.Text, nullable=False),
        sa.Column("sending", sa.String(64)),
    )
    op.create_index("chat_messages_sending", "chat_messages", ["chat", "sending"], unique=True)
    op.create_table(
        "chat_inputs",
        sa.Column("chat", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "chat_events",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("chat", sa.String(64), nullable=False),
        sa.Column("node", sa.String(40), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("chat_events_id", "chat_events", ["id"])
    op.create_index("chat_events_chat", "chat_events", ["chat"])


def downgrade() -> None:
    for table in ("chat_events", "chat_inputs", "chat_messages", "chats"):
        op.drop_table(table)
