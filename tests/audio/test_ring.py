"""The ring against one that forgets nothing: random writes and reads; overtaken readers are in native/test/race.c."""

import numpy as np
import pytest
from blocks import load
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.ring import Ring

ffi, lib = load("ring")
CAPACITY = 64


@settings(max_examples=200, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.integers(0, CAPACITY), st.just(0)),
            st.tuples(st.just("read"), st.integers(0, 400), st.integers(0, 2 * CAPACITY)),
        ),
        max_size=40,
    )
)
def test_whatever_is_written_and_read_the_newest_is_there_and_the_loss_is_told(
    steps: list[tuple[str, int, int]],
) -> None:
    ring, reference = ffi.new("struct ve_ring *"), Ring(CAPACITY)
    assert lib.ve_ring_open(ring, CAPACITY) == 0
    for action, value, limit in steps:
        if action == "write":
            fresh = np.arange(reference.head, reference.head + value, dtype=np.int16)
            lib.ve_ring_write(ring, ffi.from_buffer("int16_t[]", fresh), value)
            reference.samples += fresh.tolist()
        else:
            position, out = ffi.new("uint64_t *", value), np.zeros(limit, np.int16)
            count = lib.ve_ring_read(ring, position, ffi.from_buffer("int16_t[]", out), limit)
            start, samples = reference.read(value, limit)
            assert (position[0], out[:count].tolist()) == (start, samples.tolist())
        assert lib.ve_ring_head(ring) == reference.head
    lib.ve_ring_close(ring)


@pytest.mark.parametrize("capacity", [0, 3, 100, 2**18 - 1])
def test_a_capacity_that_is_no_power_of_two_is_refused(capacity: int) -> None:
    assert lib.ve_ring_open(ffi.new("struct ve_ring *"), capacity) < 0
