"""Alembic's entry: the migrations run on the connection that the store gives."""

from alembic import context

from voiceedge.context.storage import (  # noqa: F401 - their tables too
    api_tables,
    chat_tables,
    continuing_tables,
    desk_tables,
    digital_tables,
)
from voiceedge.context.storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
