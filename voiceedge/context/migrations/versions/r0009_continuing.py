"""Codes and numbers by which a conversation goes on elsewhere."""

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
