"""Who talks to whom, held for all there is by properties."""

from hypothesis import given
from hypothesis import strategies as st

from voiceedge.switch.plan import QueueEntry, Relax
from voiceedge.switch.queues.matching import PRIORITY_S, RINGING_AT_ONCE, Free, Match, Waiting, match, needed, rank_ms

NOW = 10_000_000
QUEUES = {
    "sales": QueueEntry(),
    "care": QueueEntry(
        skills={"ko": 2}, relax=(Relax(after_s=60, skills={"ko": 1}), Relax(after_s=300, skills={"ko": 0}))
    ),
    "help": QueueEntry(skills={"en": 3}),
    "hunt": QueueEntry(ring="all"),
}  # fmt: skip

skills = st.dictionaries(st.sampled_from(["ko", "en", "cards"]), st.integers(1, 5), max_size=2)
callers = st.lists(
    st.builds(
        lambda queue, waited_s, priority, wanted: (queue, waited_s, priority, wanted),
        st.sampled_from(sorted(QUEUES)), st.integers(0, 2000), st.integers(1, 9), skills,
    ),
    max_size=25,
).map(
    lambda rows: [
        Waiting(f"t{number:03}", queue, rank_ms(NOW - waited_s * 1000, priority), NOW - waited_s * 1000, wanted)
        for number, (queue, waited_s, priority, wanted) in enumerate(rows)
    ]
)  # fmt: skip
agents = st.lists(
    st.tuples(st.integers(0, 1000), st.frozensets(st.sampled_from(sorted(QUEUES)), min_size=1), skills), max_size=8
).map(lambda rows: [Free(f"a{n}", NOW - idle * 1000, queues, able) for n, (idle, queues, able) in enumerate(rows)])


def able(agent: Free, caller: Waiting) -> bool:
    levels = needed(QUEUES[caller.queue], caller.skills, (NOW - caller.joined_ms) / 1000)
    return caller.queue in agent.queues and all(agent.skills.get(name, 0) >= level for name, level in levels.items())


def most_seated(waiting: list[Waiting], free: list[Free]) -> int:
    """The size of a maximum matching, by plain recursion over the callers."""
    holder: dict[str, Waiting] = {}

    def seat(caller: Waiting, tried: set[str]) -> bool:
        for agent in free:
            if able(agent, caller) and agent.name not in tried:
                tried.add(agent.name)
                if agent.name not in holder or seat(holder[agent.name], tried):
                    holder[agent.name] = caller
                    return True
        return False

    return sum(seat(caller, set()) for caller in waiting)


@given(callers, agents)
def test_nobody_is_offered_twice_and_only_whom_they_can_serve(waiting: list[Waiting], free: list[Free]) -> None:
    found = match(waiting, free, QUEUES, NOW)
    offered = [agent for pair in found for agent in pair.agents]
    assert len(offered) == len(set(offered))
    assert len({pair.ticket for pair in found}) == len(found)
    by_ticket, by_name = {one.ticket: one for one in waiting}, {agent.name: agent for agent in free}
    for pair in found:
        caller = by_ticket[pair.ticket]
        assert all(able(by_name[name], caller) for name in pair.agents)
        assert 1 <= len(pair.agents) <= (RINGING_AT_ONCE if caller.queue == "hunt" else 1)


@given(callers, agents)
def test_nobody_is_passed_over_for_one_who_ranks_behind(waiting: list[Waiting], free: list[Free]) -> None:
    """However many are taken from the front of the order, as many of them are served as can be."""
    found = {pair.ticket for pair in match(waiting, free, QUEUES, NOW)}
    order = sorted(waiting, key=lambda one: (one.rank_ms, one.ticket))
    for place in range(len(order)):
        served = sum(one.ticket in found for one in order[: place + 1])
        assert served == most_seated(order[: place + 1], free)


@given(callers, agents, st.randoms())
def test_the_order_in_which_they_are_told_of_changes_nothing(waiting: list[Waiting], free: list[Free], random) -> None:
    found = match(waiting, free, QUEUES, NOW)
    random.shuffle(waiting)
    random.shuffle(free)
    assert match(waiting, free, QUEUES, NOW) == found


@given(callers, agents)
def test_no_agent_is_idle_whom_somebody_waits_for(waiting: list[Waiting], free: list[Free]) -> None:
    found = match(waiting, free, QUEUES, NOW)
    busy = {agent for pair in found for agent in pair.agents}
    served = {pair.ticket for pair in found}
    for agent in free:
        if agent.name not in busy:
            assert not any(able(agent, caller) for caller in waiting if caller.ticket not in served)


def test_nobody_starves_however_many_important_callers_come() -> None:
    """One agent, and twice as many important callers as can be served, for ever."""
    waiting, second = [Waiting("patient", "sales", rank_ms(0, 9), 0)], 0
    free = [Free("kim", 0, frozenset({"sales"}))]
    while any(one.ticket == "patient" for one in waiting):
        now = second * 1000
        waiting += [Waiting(f"vip-{second}-{n}", "sales", rank_ms(now, 1), now) for n in range(2)]
        (served,) = match(waiting, free, QUEUES, now)
        waiting = [one for one in waiting if one.ticket != served.ticket]
        second += 10
        assert second < 2 * 8 * PRIORITY_S + 60  # those who rank before are all who came in eight steps of priority


def test_priority_goes_before_time_within_its_worth() -> None:
    queue, kim = {"sales": QueueEntry()}, [Free("kim", 0, frozenset({"sales"}))]

    def first(waited_s: int) -> str:
        usual = Waiting("usual", "sales", rank_ms(NOW - waited_s * 1000, 5), NOW - waited_s * 1000)
        important = Waiting("important", "sales", rank_ms(NOW, 4), NOW)
        return match([usual, important], kim, queue, NOW)[0].ticket

    assert first(PRIORITY_S - 1) == "important"
    assert first(PRIORITY_S + 1) == "usual"


def test_the_longest_idle_is_asked_first() -> None:
    free = [Free("kim", 500, frozenset({"sales"})), Free("lee", 100, frozenset({"sales"}))]
    assert match([Waiting("t", "sales", 0, 0)], free, QUEUES, NOW) == [Match("t", ("lee",))]


def test_an_agent_of_several_queues_takes_who_ranks_first_of_all() -> None:
    free = [Free("kim", 0, frozenset({"sales", "hunt"}))]
    waiting = [Waiting("b", "sales", 200, 200), Waiting("a", "hunt", 100, 100)]
    assert match(waiting, free, QUEUES, NOW) == [Match("a", ("kim",))]


def test_who_can_be_served_by_several_leaves_the_only_one_of_the_next() -> None:
    free = [Free("both", 0, frozenset({"sales", "help"}), {"en": 5}), Free("one", 500, frozenset({"sales"}))]
    waiting = [Waiting("a", "sales", 1, 1), Waiting("b", "help", 2, 2)]
    assert match(waiting, free, QUEUES, NOW) == [Match("a", ("one",)), Match("b", ("both",))]


def test_skills_are_relaxed_by_waiting() -> None:
    care = QUEUES["care"]
    assert needed(care, {"en": 1}, 0) == {"ko": 2, "en": 1}
    assert needed(care, {"ko": 4}, 0) == {"ko": 4}
    assert needed(care, {"ko": 4}, 60) == {"ko": 1}
    assert needed(care, {}, 300) == {}


def test_of_all_those_who_ring_nobody_is_taken_from_the_next_in_the_queue() -> None:
    free = [Free(f"a{n}", n, frozenset({"hunt"})) for n in range(3)]
    found = match([Waiting("a", "hunt", 1, 1), Waiting("b", "hunt", 2, 2)], free, QUEUES, NOW)
    assert found == [Match("a", ("a0", "a2")), Match("b", ("a1",))]


def test_thousands_who_wait_for_other_skills_hide_nobody() -> None:
    waiting = [
        Waiting(f"t{n:05}", ("sales", "care", "help")[n % 3], n, n, {"cards": 5} if n < 4900 else {})
        for n in range(5000)
    ]
    free = [Free(f"a{n:03}", n, frozenset({"sales", "care", "help"}), {"ko": 5, "en": 5}) for n in range(100)]
    found = match(waiting, free, QUEUES, NOW)
    assert [pair.ticket for pair in found] == [f"t{n:05}" for n in range(4900, 5000)]
