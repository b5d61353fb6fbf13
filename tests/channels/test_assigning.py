"""Whom a chat is offered to, for how long, and what becomes of the chats of an agent who is gone."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from voiceedge.channels.assigning import WANTED_S, ChatAssigning
from voiceedge.channels.chat_model import Chat, ChatError, ChatState
from voiceedge.channels.desks import GONE_S, Desks
from voiceedge.clock import VirtualClock
from voiceedge.switch.plan import AgentEntry, QueueEntry
from voiceedge.switch.queues.board import State
from voiceedge.switch.queues.messages import AgentState
from voiceedge.switch.queues.model import Agent
from voiceedge.switch.queues.rules import Rules

RING_S = 20.0


class Chats:
    """Stands in for the service of chats, which another page of tests is about."""

    def __init__(self, clock):
        self.all, self._clock = {}, clock

    def add(self, name, queue="orders", **more):
        now = int(self._clock.now().timestamp() * 1000)
        self.all[name] = Chat(
            id=name, conversation=f"c-{name}", channel="web-chat", language="ko", state=ChatState.WAITING,
            began_ms=now, changed_ms=now, queue=queue, waiting_since_ms=now, **{"tenant": "main", **more},
        )  # fmt: skip

    async def waiting(self):
        return [chat for chat in self.all.values() if chat.state is ChatState.WAITING]

    async def of_agent(self, agent):
        return [chat for chat in self.all.values() if chat.state is ChatState.AGENT and chat.agent == agent]

    async def take(self, chat, agent, title=""):
        if self.all[chat].state is not ChatState.WAITING:
            raise ChatError("taken", "somebody else was first")
        self.all[chat] = replace(self.all[chat], state=ChatState.AGENT, agent=agent)
        return self.all[chat]

    async def send_away(self, chat):
        del self.all[chat]

    async def transfer(self, chat, agent, *, queue=None, to_agent=None, note=""):
        now = int(self._clock.now().timestamp() * 1000)
        self.all[chat] = replace(
            self.all[chat], state=ChatState.WAITING, agent=None, queue=queue or self.all[chat].queue, wanted=to_agent,
            note=note, waiting_since_ms=now,
        )  # fmt: skip
        assert agent
        return self.all[chat]


class Queues:
    def __init__(self, agents):
        queues = {"orders": QueueEntry(), "help": QueueEntry(skills={"english": 3})}
        self.rules = Rules(SimpleNamespace(queues=queues, agents=agents, hours={}, desk=None), "realm")
        self.agents = {
            name: Agent(name, 0, AgentState.AVAILABLE, idle_since_ms=place) for place, name in enumerate(agents)
        }
        self.asked = []

    async def picture(self):
        return SimpleNamespace(state=State({}, self.agents))

    async def agent_asked(self, wish):
        self.asked.append((wish.agent, wish.state, wish.reason))
        self.agents[wish.agent] = Agent(wish.agent, 0, AgentState(wish.state))


class Floor:
    def __init__(self, **agents):
        self.clock = VirtualClock()
        self.chats, self.queues = Chats(self.clock), Queues(agents)
        self.begun = []

        async def taken(chat):
            self.begun.append(chat.id)

        self.desks = Desks(self.queues, self.clock)
        self.assigning = ChatAssigning(
            self.chats, self.queues, self.desks, self.clock, changed=lambda _: None, taken=taken
        )
        for name in agents:
            self.assigning.arrived(name)

    async def turn(self, after_s=0.0):
        await self.clock.advance(after_s)
        await self.assigning.take_turn()
        return {
            offer.chat.id: offer.agent for name in self.queues.rules.agents for offer in self.assigning.offers_to(name)
        }

    async def accept(self, chat, agent):
        return await self.assigning.accept(chat, agent, agent)


def entry(**more):
    return AgentEntry(**{"phone": "1", "queues": ("orders",), "ring_s": RING_S, "chats": 2, **more})


async def test_a_chat_goes_to_whoever_has_been_idle_longest_and_then_to_the_next():
    floor = Floor(kim=entry(), lee=entry())
    floor.chats.add("one")
    assert await floor.turn() == {"one": "kim"}
    assert await floor.turn(RING_S) == {"one": "lee"}
    floor.assigning.decline("one", "lee")
    assert await floor.turn() == {}
    assert await floor.turn() == {"one": "kim"}  # when all have let it pass, it begins anew
    await floor.accept("one", "kim")
    assert (floor.begun, await floor.turn()) == (["one"], {})


async def test_nobody_takes_what_is_offered_to_somebody_else():
    floor = Floor(kim=entry(), lee=entry())
    floor.chats.add("one")
    await floor.turn()
    with pytest.raises(ChatError):
        await floor.accept("one", "lee")


async def test_an_agent_has_so_many_chats_at_once():
    floor = Floor(kim=entry(chats=2))
    for name in ("one", "two", "three"):
        floor.chats.add(name)
    assert await floor.turn() == {"one": "kim"}
    await floor.accept("one", "kim")
    assert await floor.turn() == {"two": "kim"}
    await floor.accept("two", "kim")
    assert await floor.turn() == {}


@pytest.mark.parametrize("state", [AgentState.TALKING, AgentState.BREAK, AgentState.LOGGED_OUT, AgentState.AFTER_CALL])
async def test_who_is_on_a_call_or_away_is_offered_nothing_and_what_was_offered_is_withdrawn(state):
    floor = Floor(kim=entry())
    floor.chats.add("one")
    assert await floor.turn() == {"one": "kim"}
    floor.queues.agents["kim"] = Agent("kim", 0, state)
    assert await floor.turn() == {}


async def test_who_has_no_desk_open_is_offered_nothing():
    floor = Floor(kim=entry())
    floor.assigning.left("kim")
    floor.chats.add("one")
    assert await floor.turn() == {}


async def test_skills_and_tenants_are_kept_to():
    floor = Floor(
        kim=entry(queues=("help",)),
        lee=entry(queues=("help",), skills={"english": 4}),
        far=entry(queues=("help",), skills={"english": 5}, tenant="far"),
    )
    floor.chats.add("one", "help")
    floor.chats.add("two", "help", tenant="far")
    assert await floor.turn() == {"one": "lee", "two": "far"}


async def test_a_chat_meant_for_one_agent_waits_for_that_one_and_then_for_anybody():
    floor = Floor(kim=entry(), lee=entry())
    floor.queues.agents["lee"] = Agent("lee", 0, AgentState.TALKING)
    floor.chats.add("one", wanted="lee")
    assert await floor.turn() == {}
    assert await floor.turn(WANTED_S) == {"one": "kim"}


async def test_who_lets_offers_pass_again_and_again_is_on_a_break():
    floor = Floor(kim=entry(misses=2))
    floor.chats.add("one")
    await floor.turn()
    await floor.turn(RING_S)
    await floor.turn()
    await floor.turn(RING_S)
    assert floor.queues.asked == [("kim", "break", "missed")]


async def test_the_chats_of_an_agent_who_is_gone_are_others_and_go_before_those_who_came_since():
    floor = Floor(kim=entry(chats=1), lee=entry(chats=1))
    floor.chats.add("one")
    await floor.turn()
    await floor.accept("one", "kim")
    floor.chats.add("two", queue="help")  # nobody serves it
    floor.assigning.left("kim")
    assert await floor.turn(GONE_S - 1) == {}
    floor.chats.add("new")
    await floor.clock.advance(1)
    assert await floor.turn() == {"one": "lee"}


async def test_an_agent_whose_page_is_loaded_anew_keeps_the_chats():
    floor = Floor(kim=entry())
    floor.chats.add("one")
    await floor.turn()
    await floor.accept("one", "kim")
    floor.assigning.left("kim")
    await floor.turn(GONE_S / 2)
    floor.assigning.arrived("kim")
    await floor.turn(GONE_S)
    assert [chat.id for chat in await floor.chats.of_agent("kim")] == ["one"]


async def test_who_waits_is_sent_away_when_all_desks_of_the_queue_are_closed_and_stay_so():
    floor = Floor(kim=entry(), lee=entry(queues=("help",)), far=entry(tenant="far"))
    floor.chats.add("one")
    floor.assigning.left("kim")
    await floor.turn(GONE_S - 1)
    assert "one" in floor.chats.all
    await floor.turn(1)
    assert "one" not in floor.chats.all  # lee serves another queue, far other people's chats


async def test_an_agent_on_a_break_keeps_the_queue_open_and_one_who_has_logged_out_does_not():
    floor = Floor(kim=entry())
    floor.queues.agents["kim"] = Agent("kim", 0, AgentState.BREAK)
    floor.chats.add("one")
    await floor.turn(10 * GONE_S)
    assert "one" in floor.chats.all
    floor.queues.agents["kim"] = Agent("kim", 0, AgentState.LOGGED_OUT)
    await floor.turn()
    assert "one" not in floor.chats.all


async def test_chats_of_the_last_agent_to_log_out_wait_a_while_for_another():
    floor = Floor(kim=entry(), lee=entry())
    floor.chats.add("one")
    await floor.turn()
    await floor.accept("one", "kim")
    await floor.clock.advance(GONE_S)
    floor.queues.agents.update(kim=Agent("kim", 0, AgentState.LOGGED_OUT), lee=Agent("lee", 0, AgentState.LOGGED_OUT))
    await floor.assigning.give_back("kim")
    await floor.turn(GONE_S - 1)
    floor.queues.agents["lee"] = Agent("lee", 0, AgentState.AVAILABLE)
    assert await floor.turn(1) == {"one": "lee"}


async def test_at_a_start_desks_have_a_while_to_open():
    floor = Floor(kim=entry())
    desks = Desks(floor.queues, floor.clock)
    assert await desks.attended("orders", "main")
    await floor.clock.advance(GONE_S)
    assert not await desks.attended("orders", "main")
    desks.opened("kim")
    assert await desks.attended("orders", "main")
