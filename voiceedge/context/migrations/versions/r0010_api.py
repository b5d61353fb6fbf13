"""Keys of the API, answers that must not be given twice, and webhooks."""

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
