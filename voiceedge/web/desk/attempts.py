"""Codes are short: whoever guesses them is stopped, by name and by network, and nobody is locked out from afar."""

from collections import OrderedDict
from collections.abc import Hashable

from voiceedge.channels.lately import Lately, keep
from voiceedge.clock import Clock

FORGOTTEN_S = 900.0
LATELY_S = 30 * 86_400.0


class Attempts:
    """In 15 minutes five wrong codes for one agent from one network, twenty from one network, twenty for one agent.

    The last does not hold where the agent has logged in lately: whoever guesses from elsewhere locks nobody out there.
    Networks are those of `arrival.network_of`. Names that no agent has are counted alike and apart, so that making some
    up lets no other wrong code be forgotten.
    """

    OF_BOTH, OF_ONE = 5, 20

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._of_both, self._of_agent = _lately(self.OF_BOTH, clock), _lately(self.OF_ONE, clock)
        self._of_both_unknown, self._of_unknown = _lately(self.OF_BOTH, clock), _lately(self.OF_ONE, clock)
        self._of_network = _lately(self.OF_ONE, clock)
        self._been: OrderedDict[Hashable, float] = OrderedDict()

    def locked_s(self, agent: str, network: str, *, known: bool) -> float:
        """How long this agent is locked out for this network; 0: not at all. `known`: there is such an agent."""
        both, one = self._counters(known=known)
        been_at = self._been.get((agent, network), -LATELY_S)
        trusted = self._clock.monotonic() - been_at < LATELY_S
        return max(
            both.left_s((agent, network)), self._of_network.left_s(network), 0.0 if trusted else one.left_s(agent)
        )

    def failed(self, agent: str, network: str, *, known: bool) -> None:
        both, one = self._counters(known=known)
        both.add((agent, network))
        one.add(agent)
        self._of_network.add(network)

    def succeeded(self, agent: str, network: str) -> None:
        """Who can log in here may mistype again; what came from elsewhere still counts."""
        self._of_both.forget((agent, network))
        keep(self._been, (agent, network), self._clock.monotonic())

    def _counters(self, *, known: bool) -> tuple[Lately, Lately]:
        return (self._of_both, self._of_agent) if known else (self._of_both_unknown, self._of_unknown)


def _lately(most: int, clock: Clock) -> Lately:
    return Lately(most, FORGOTTEN_S, clock)
