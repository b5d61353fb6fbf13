"""So many times within a while, of those known last."""

from voiceedge.channels.lately import KNOWN, Lately
from voiceedge.clock import VirtualClock


async def test_what_is_enough_is_so_until_the_first_of_them_is_long_ago():
    clock = VirtualClock()
    lately = Lately(2, 60.0, clock)
    lately.add("kim")
    await clock.advance(20)
    assert lately.left_s("kim") == 0
    lately.add("kim")
    assert (lately.left_s("kim"), lately.left_s("lee")) == (40, 0)
    await clock.advance(40)
    assert lately.left_s("kim") == 0
    lately.add("kim")
    assert lately.left_s("kim") == 20  # those of the last minute count
    lately.forget("kim")
    assert lately.left_s("kim") == 0


async def test_of_very_many_names_the_latest_are_known():
    lately = Lately(1, 60.0, VirtualClock())
    for number in range(KNOWN + 1):
        lately.add(number)
    assert (lately.left_s(0), lately.left_s(1), lately.left_s(KNOWN)) == (0, 60, 60)
