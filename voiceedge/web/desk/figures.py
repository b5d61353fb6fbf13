"""What agents have done in chats, as their desks' contacts tell: the queues' own figures are of calls."""

from collections import Counter
from collections.abc import Collection

from sqlalchemy import func, select

from voiceedge.context.storage.database import Database
from voiceedge.context.storage.desk_tables import desk_contacts as table


async def chats_handled(
    database: Database, agents: Collection[str], since_ms: int
) -> tuple[Counter[str], Counter[str | None]]:
    """By agent and by queue: those that these agents had and that ended since then. Raises StoreError."""
    by_agent, by_queue = Counter[str](), Counter[str | None]()
    query = (
        select(table.c.agent, table.c.queue, func.count())
        .where(table.c.channel != "phone", table.c.ended_ms >= since_ms, table.c.agent.in_(agents))
        .group_by(table.c.agent, table.c.queue)
    )
    async with database.begin() as connection:
        for agent, queue, count in await connection.execute(query):
            by_agent[agent] += count
            by_queue[queue] += count
    return by_agent, by_queue
