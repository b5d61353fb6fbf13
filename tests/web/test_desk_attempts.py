"""How often a code of the desk may be guessed, and that nobody locks out somebody else."""

from voiceedge.channels.lately import KNOWN
from voiceedge.clock import VirtualClock
from voiceedge.web.desk.attempts import FORGOTTEN_S, LATELY_S, Attempts


def fail(attempts: Attempts, agent: str, network: str, times: int = 1, *, known: bool = True) -> None:
    for _ in range(times):
        attempts.failed(agent, network, known=known)


async def test_codes_are_guessed_five_times_and_then_not_for_a_while():
    clock = VirtualClock()
    attempts = Attempts(clock)
    for _ in range(5):
        assert attempts.locked_s("kim", "10.0.0.1", known=True) == 0
        fail(attempts, "kim", "10.0.0.1")
    assert attempts.locked_s("kim", "10.0.0.1", known=True) == FORGOTTEN_S
    assert attempts.locked_s("kim", "10.0.0.2", known=True) == 0
    assert attempts.locked_s("lee", "10.0.0.1", known=True) == 0
    await clock.advance(FORGOTTEN_S)
    assert attempts.locked_s("kim", "10.0.0.1", known=True) == 0


async def test_many_networks_do_not_help_nor_do_many_names():
    attempts = Attempts(VirtualClock())
    for number in range(20):
        fail(attempts, "kim", f"10.0.0.{number}")
    assert attempts.locked_s("kim", "10.0.1.1", known=True) > 0
    for number in range(20):
        fail(attempts, f"agent{number}", "10.9.9.9")
    assert attempts.locked_s("lee", "10.9.9.9", known=True) > 0


async def test_names_that_nobody_has_make_no_other_wrong_code_forgotten():
    attempts = Attempts(VirtualClock())
    fail(attempts, "kim", "10.0.0.1", 5)
    for number in range(20):
        fail(attempts, "lee", f"10.0.0.{number}")
    for number in range(2 * KNOWN):
        fail(attempts, f"no{number}", f"10.0.0.{number % 19}", known=False)
    assert attempts.locked_s("kim", "10.0.0.1", known=True) > 0
    assert attempts.locked_s("lee", "10.9.9.9", known=True) > 0


async def test_by_how_it_locks_nobody_learns_who_is_an_agent():
    attempts = Attempts(VirtualClock())
    for agent, known in (("kim", True), ("nobody", False)):
        fail(attempts, agent, f"of {agent}", 5, known=known)
        assert attempts.locked_s(agent, f"of {agent}", known=known) > 0
        for number in range(15):
            fail(attempts, agent, f"{number} of {agent}", known=known)
        assert attempts.locked_s(agent, "elsewhere", known=known) > 0


async def test_who_guesses_from_elsewhere_locks_nobody_out_where_they_work():
    clock = VirtualClock()
    attempts = Attempts(clock)
    attempts.succeeded("kim", "office")
    for number in range(20):
        fail(attempts, "kim", f"10.0.0.{number}")
    assert attempts.locked_s("kim", "10.0.1.1", known=True) > 0
    assert attempts.locked_s("kim", "office", known=True) == 0
    fail(attempts, "kim", "office", 5)
    assert attempts.locked_s("kim", "office", known=True) > 0
    await clock.advance(LATELY_S)
    for number in range(20):
        fail(attempts, "kim", f"10.0.0.{number}")
    assert attempts.locked_s("kim", "office", known=True) > 0
