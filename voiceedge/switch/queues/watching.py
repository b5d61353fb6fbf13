"""What those who watch queues and agents see: how it stands now, with the figures of the day."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from voiceedge.clock import Clock
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.rows import ms
from voiceedge.switch.queues import figures
from voiceedge.switch.queues.board import QueueError
from voiceedge.switch.queues.messages import AgentView, Figures, QueueDetails, QueueView
from voiceedge.switch.queues.service import QueueService


class Watching:
    def __init__(self, queues: QueueService, database: Database, clock: Clock) -> None:
        self._queues, self._database, self._clock = queues, database, clock

    async def queues(self, *only: str) -> list[QueueView]:
        picture, at = await self._queues.picture(), self._clock.now()
        names = only or tuple(self._queues.rules.queues)
        counted = await self._figures(names, at)
        return [picture.queue(name, at, counted[name]) for name in names]

    async def agents(self, *only: str) -> list[AgentView]:
        picture, at = await self._queues.picture(), self._clock.now()
        names = only or tuple(self._queues.rules.agents)
        since = ms(self._queues.rules.midnight(at))
        async with self._database.begin() as connection:
            counted = await figures.of_agents(connection, picture.state.agents, since, ms(at))
        return [picture.agent(name, at).model_copy(update=counted.get(name, {})) for name in names]

    async def show(self, queue: str) -> QueueDetails:
        """Raises QueueError where there is no such queue."""
        rules = self._queues.rules
        if queue not in rules.queues:
            raise QueueError(f"the switch plan has no queue {queue}; it has {', '.join(rules.queues) or 'none'}.")
        (view,) = await self.queues(queue)
        crew = rules.agents_of.get(queue, ())
        agents = await self.agents(*crew) if crew else []
        places = (await self._queues.picture()).places(queue, self._clock.now())
        return QueueDetails(queue=view, places=places, agents=tuple(agents))

    async def _figures(self, names: tuple[str, ...], at: datetime) -> Mapping[str, Mapping[str, Figures]]:
        """By queue, with the names that a QueueView gives them."""
        rules = self._queues.rules
        counted: dict[str, dict[str, Figures]] = {name: {} for name in names}
        begins = {name: rules.midnight(at, rules.queues[name]) for name in names}
        quarter, hour = at - timedelta(minutes=15), at - timedelta(hours=1)
        async with self._database.begin() as connection:
            for since in {*begins.values(), quarter, hour}:
                found = await figures.of_queues(connection, {name: rules.queues[name] for name in names}, ms(since))
                for name, its in found.items():
                    if since == begins[name]:
                        counted[name]["today"] = its
                    if since == quarter:
                        counted[name]["last_15_min"] = its
                    if since == hour:
                        counted[name]["last_hour"] = its
        return counted
