"""How many processes of a kind there are, and who is next to start and to retire."""

import pytest

from voiceedge.edge.pool import Pool, Process, free_seat, next_steps


async def nothing(_reporter, _before):
    pass


def pool(count=3, seats=9, fingerprint="new"):
    return Pool("worker", nothing, fingerprint, count, seats, numbered=True)


def process(seat, make="new", *, ready=True, retired=False, calls=0):
    return Process(
        "worker", f"worker-{seat + 1}", seat, make, 1, is_ready=ready, retired=retired, facts={"calls": calls}
    )


def names(processes):
    return [process.name for process in processes]


def steps(wanted, *processes):
    found = next_steps(wanted, processes)
    return found.start, names(found.retire)


def test_at_a_start_all_are_started_at_once():
    assert steps(pool()) == (3, [])


def test_those_that_start_are_not_started_again():
    assert steps(pool(), process(0, ready=False), process(1), process(2)) == (0, [])


def test_the_first_new_one_starts_before_any_old_one_retires():
    assert steps(pool(), process(0, "old"), process(1, "old"), process(2, "old")) == (1, [])


def test_while_it_starts_everybody_stays():
    assert steps(pool(), *(process(seat, "old") for seat in range(3)), process(3, ready=False)) == (0, [])


def test_once_it_is_ready_the_old_one_with_the_fewest_calls_retires_and_the_next_starts():
    old = [process(0, "old", calls=2), process(1, "old", calls=1), process(2, "old", calls=4)]
    assert steps(pool(), *old, process(3)) == (1, ["worker-2"])


def test_an_old_one_that_is_not_ready_is_of_no_use():
    assert steps(pool(), process(0, "old", ready=False), process(1, "old"), process(2, "old")) == (1, ["worker-1"])


def test_what_is_lost_while_others_are_replaced_comes_back_at_once():
    lost, starting = process(0, "old", ready=False, retired=True), process(3, ready=False)
    assert steps(pool(), lost, process(1, "old"), starting) == (1, [])


def test_those_that_drain_keep_their_seats_and_the_next_waits_for_one():
    draining = [process(seat, "old", retired=True) for seat in range(2)]
    assert steps(pool(seats=4), *draining, process(2, "old"), process(3)) == (0, [])


def test_with_a_single_seat_the_old_one_goes_first():
    assert steps(pool(1, seats=1), process(0, "old")) == (0, ["worker-1"])
    assert steps(pool(1, seats=1), process(0, "old", retired=True)) == (0, [])
    assert steps(pool(1, seats=1)) == (1, [])


def test_a_pool_that_shrinks_retires_the_least_busy():
    assert steps(pool(1), process(0, calls=2), process(1), process(2, calls=1)) == (0, ["worker-2", "worker-3"])


def test_a_pool_that_shrinks_gives_up_those_first_that_do_not_serve_yet():
    assert steps(pool(1), process(0), process(1, ready=False), process(2, ready=False)) == (0, ["worker-2", "worker-3"])


def test_a_pool_that_grows_starts_all_that_are_missing():
    assert steps(pool(5), process(0), process(1)) == (3, [])


@pytest.mark.parametrize("count", [1, 4, 25])
def test_renewing_ends_with_all_new_and_never_with_less_in_service(count):
    wanted = pool(count, seats=count + 2)
    here = [process(seat, "old") for seat in range(count)]
    for _ in range(4 * count):
        found = next_steps(wanted, here)
        for retiring in found.retire:
            retiring.retired = True
        serving = [one for one in here if one.is_ready and not one.retired]
        assert count <= len(serving) <= count + 1
        here = [one for one in here if not one.retired]  # they had no calls
        for one in here:
            one.is_ready = True
        for _ in range(found.start):
            here.append(process(free_seat(wanted, here), ready=False))
    assert [one.fingerprint for one in here] == ["new"] * count
    assert steps(wanted, *here) == (0, [])


def test_processes_of_a_kind_with_one_name_need_no_number():
    assert Pool("control", nothing).name_of(0) == "control"
    assert pool().name_of(2) == "worker-3"
