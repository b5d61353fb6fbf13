"""How fast queues move: a moving average of what a place in the queue takes of an agent's time."""

from voiceedge.switch.queues.model import Ticket
from voiceedge.switch.queues.rules import FIRST_GUESS_S

WEIGHT = 0.15  # of the latest
SHORTEST_S = 1.0  # whoever waits less has not waited
PACED_BY = 200  # tickets of the past, after a restart


class Pace(dict[str, float]):
    """Seconds by queue. Whoever waited 120 s at place 2 with 3 agents at work took 180 s of an agent's time a place."""

    def observe(self, ticket: Ticket) -> None:
        """A ticket that was answered."""
        if ticket.answered_ms is None or not ticket.place:
            return
        waited_s = (ticket.answered_ms - ticket.joined_ms) / 1000
        if waited_s >= SHORTEST_S:
            measured = waited_s * max(1, ticket.staffed) / ticket.place
            known = self.get(ticket.queue, FIRST_GUESS_S)
            self[ticket.queue] = known + (measured - known) * WEIGHT
