"""The player as one would specify it: every sample asks anew what is to be said, and nobody counts chunks."""

from collections.abc import Sequence
from dataclasses import dataclass, field

KNEE = 24576
UNITY = 2**30


@dataclass
class Item:
    """A recording, which is an ended stream from the start, or a stream."""

    number: int
    samples: list[int]
    ended: bool = True
    gone: bool = False
    stopped: bool = False
    capacity: int = 0
    pre_buffer: int = 0
    furthest: int = 0  # position up to which anything was ever played

    @property
    def room(self) -> int:
        return self.capacity - (len(self.samples) - self.furthest)

    def write(self, samples: Sequence[int]) -> int | None:
        if self.gone:
            return None
        taken = samples[: self.room]
        self.samples += taken
        return len(taken)

    def is_ready(self, position: int) -> bool:
        return self.ended or len(self.samples) - position >= max(1, self.pre_buffer)

    def is_over(self, position: int) -> bool:
        return self.ended and position == len(self.samples)


@dataclass
class Background:
    """Music that moves by one step a sample to the level it should have."""

    ramp: int
    loop: Sequence[int] | None = None
    gain: int = 0
    ducked: int = 0
    following: list[tuple[Sequence[int] | None, int, int]] = field(default_factory=list)
    position: int = 0
    level: int = 0

    def set(self, loop: Sequence[int] | None, gain_db: float, ducked_gain_db: float) -> None:
        self.following.append((loop, *(round(UNITY * 10 ** (db / 20)) for db in (gain_db, ducked_gain_db))))

    def under(self, said: int, *, ducked: bool) -> int:
        if self.following and self.level == 0:
            self.loop, self.gain, self.ducked = self.following[-1]
            self.following.clear()
            self.position = 0
        if self.loop is None:
            return said
        step = self.gain // self.ramp + 1
        target = 0 if self.following else self.ducked if ducked else self.gain
        self.level = min(self.level + step, target) if self.level < target else max(self.level - step, target)
        music = (self.loop[self.position] * (self.level >> 15) + 2**14) >> 15
        self.position = (self.position + 1) % len(self.loop)
        return soft(said + music)


def soft(value: int) -> int:
    over, headroom = abs(value) - KNEE, 32767 - KNEE
    if over <= 0:
        return value
    bent = KNEE + headroom * over // (headroom + over)
    return bent if value > 0 else -bent


class Player:
    """Given the same commands between the same samples as the player in C, it says the same."""

    def __init__(self, fade: int, ramp: int) -> None:
        self.fade = self.gain = fade
        self.background = Background(ramp)
        self.queue: list[Item] = []
        self.count = 0
        self.paused = self.armed = self.sounding = False
        self.flowing = False  # the stream has begun, and has not run dry since
        self.mirrored: int | None = None  # how many samples of concealment were given
        self.position = self.faded = self.played = self.underruns = 0
        self.events: list[tuple[str, int, bool, int]] = []

    def play(self, samples: Sequence[int]) -> Item:
        return self._queue(Item(self.count + 1, list(samples)))

    def stream(self, capacity: int, pre_buffer: int) -> Item:
        return self._queue(Item(self.count + 1, [], ended=False, capacity=capacity, pre_buffer=pre_buffer))

    def stop(self) -> None:
        for item in self.queue:
            item.stopped = True
        self.paused = False

    def barge_in(self) -> bool:
        done = not self.armed or self.paused or not self.sounding or (bool(self.queue) and self.queue[0].stopped)
        self.paused |= not done
        return not done

    @property
    def place(self) -> tuple[int, int]:
        return (self.queue[0].number, self.position) if self.queue else (0, 0)

    def render(self, count: int) -> list[int]:
        out = []
        for _ in range(count):
            said = self._say()
            self._finish_if_over()
            out.append(self.background.under(said or 0, ducked=said is not None))
        return out

    def _queue(self, item: Item) -> Item:
        self.count += 1
        self.queue.append(item)
        return item

    def _say(self) -> int | None:
        """The next sample of the items; None: there is nothing to say."""
        while True:
            while self._finish_if_over():
                pass
            if not self.queue:
                return self._rest()
            item = self.queue[0]
            falling = self.paused or item.stopped
            if not self.sounding and item.stopped:
                self._finish(complete=False)
            elif not self.sounding and self.paused:
                return None
            elif self.mirrored is not None:
                return self._conceal(item, falling=falling)
            elif not self.flowing and not item.is_ready(self.position):
                self._rest()
                if not item.stopped:
                    return None
            elif self.position == len(item.samples):
                self._run_dry(item, falling=falling)
            else:
                return self._next(item, falling=falling)

    def _next(self, item: Item, *, falling: bool) -> int:
        self.flowing = self.sounding = True
        sample = item.samples[self.position]
        self.gain = max(self.gain - 1, 0) if falling else min(self.gain + 1, self.fade)
        self.position += 1
        self.played += 1
        item.furthest = max(item.furthest, self.position)
        self.faded = 0 if self.gain == self.fade else min(self.faded + 1, 2 * self.fade)
        said = self._faded(sample)
        if self.gain == 0:
            self._fall_silent()
        return said

    def _run_dry(self, item: Item, *, falling: bool) -> None:
        self.flowing, self.mirrored = False, 0
        if not falling:
            self.underruns += 1
            self.events.append(("underrun", item.number, False, self.position))

    def _conceal(self, item: Item, *, falling: bool) -> int:
        """The last samples backwards, fading out."""
        assert self.mirrored is not None
        sample = item.samples[max(self.position - 2 - self.mirrored, 0)]
        self.mirrored += 1
        self.gain -= 1
        said = self._faded(sample)
        if self.gain == 0:
            self.mirrored = None
            if falling:
                self._fall_silent()
            self.sounding, self.faded = False, 0
        return said

    def _faded(self, sample: int) -> int:
        return abs(sample) * self.gain // self.fade * (1 if sample > 0 else -1)

    def _fall_silent(self) -> None:
        """What was faded will be said again."""
        self.sounding = False
        self.position -= self.faded
        self.played -= self.faded
        self.faded = 0

    def _rest(self) -> None:
        if self.sounding:
            self.sounding, self.gain = False, self.fade

    def _finish_if_over(self) -> bool:
        is_over = bool(self.queue) and self.mirrored is None and self.queue[0].is_over(self.position)
        if is_over:
            self._finish(complete=not self.queue[0].stopped)
        return is_over

    def _finish(self, *, complete: bool) -> None:
        item = self.queue.pop(0)
        item.gone = True
        self.events.append(("played", item.number, complete, self.position))
        self.position = self.faded = 0
        self.flowing = False
        if not self.sounding:
            self.gain = self.fade
