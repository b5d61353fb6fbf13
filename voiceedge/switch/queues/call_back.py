"""Who places the calls of call-backs."""

from typing import Protocol

from voiceedge.switch.queues.messages import CallBackOrder


class Dial(Protocol):
    async def call_back(self, order: CallBackOrder) -> None:
        """Return when a worker has taken the order; from then on it keeps a `queue_wait` open for its ticket.

        Raises a VoiceEdgeError where no worker can: the place is kept, and it is tried again soon.
        """
