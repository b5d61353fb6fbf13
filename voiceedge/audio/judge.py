"""The judge of voice: tells voices from what else the gates let through; all channels at once, in no media thread."""

import select
import threading
import time
from typing import Any

import numpy as np
import structlog

from voiceedge.audio.native import ffi, lib
from voiceedge.audio.silero import MEMORY, Silero
from voiceedge.errors import NativeError

GATHER_S = 0.002  # from the first channel of the bridge's tick to the last: a batch costs little more than one row

_ROW = np.dtype([("judge", np.uint32), ("anew", np.bool_), ("keep", np.bool_)], align=True)  # struct ve_judge_row

log = structlog.get_logger()


class Judge:
    """Answers the mailboxes (ve_judge.h) of its channels: in a thread once started, else whenever `step` is called.

    Each channel has a place here, where the network's memory of it lies.
    """

    def __init__(self, silero: Silero) -> None:
        self._silero = silero
        self.hub = lib.ve_hub_open()
        if self.hub == ffi.NULL:
            raise NativeError("No event descriptor is left for the judge of voice: raise the limit of open files.")
        self._lock = threading.Lock()  # channels stay, each in its place, while a batch is judged
        self._channels: list[Any] = []
        self._memory = np.empty((MEMORY[0], 0, MEMORY[1]), np.float32)
        self._make_room(4)
        self._thread: threading.Thread | None = None
        self._closing = False

    @property
    def running(self) -> bool:
        return self._thread is not None

    def start(self) -> None:
        """Judge in a thread from now on, as live calls need it."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="judge", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """When the last channel has gone."""
        self._closing = True
        lib.ve_hub_wake(self.hub)
        if self._thread:
            self._thread.join()
        lib.ve_hub_close(self.hub)

    def add(self, channel: Any) -> None:
        """`channel` is a struct ve_judge *."""
        with self._lock:
            place = len(self._channels)
            if place == len(self._rows):
                self._make_room(2 * place)
            self._channels.append(channel)
            self._native[place] = channel
            self._memory[:, place] = 0

    def remove(self, channel: Any) -> None:
        """It may be freed afterwards."""
        with self._lock:
            place, last = self._channels.index(channel), self._channels.pop()
            if place < len(self._channels):  # the last one takes its place
                self._channels[place] = self._native[place] = last
                self._memory[:, place] = self._memory[:, len(self._channels)]

    def step(self) -> bool:
        """Judge what the channels want judged now: at most a frame of each. False when nothing was."""
        with self._lock:
            count = lib.ve_judges_gather(self._native, len(self._channels), self._to_samples, self._to_rows)
            if count:
                self._judge(self._samples[:count], self._rows[:count])
            return bool(count)

    def _judge(self, samples: np.ndarray, rows: np.ndarray) -> None:
        memory = self._memory[:, rows["judge"]]
        memory[:, rows["anew"]] = 0
        likely, remembered = self._silero.voice(samples, memory)
        kept = rows["keep"]
        self._memory[:, rows["judge"][kept]] = remembered[:, kept]
        probabilities = np.ascontiguousarray(likely)
        lib.ve_judges_publish(self._native, self._to_rows, len(rows), ffi.from_buffer("float[]", probabilities))

    def _make_room(self, count: int) -> None:
        held = self._memory.shape[1]
        self._memory = np.pad(self._memory, ((0, 0), (0, count - held), (0, 0)))
        self._native = ffi.new("struct ve_judge *[]", self._channels + [ffi.NULL] * (count - held))
        self._samples = np.empty((count, lib.VE_JUDGE_ROW), np.float32)
        self._rows = np.empty(count, _ROW)
        self._to_samples = ffi.from_buffer("float[]", self._samples)
        self._to_rows = ffi.from_buffer("struct ve_judge_row[]", self._rows)

    def _work(self) -> None:
        try:
            poller = select.poll()
            poller.register(lib.ve_hub_fd(self.hub), select.POLLIN)
            while not self._closing:
                poller.poll()
                time.sleep(GATHER_S)
                lib.ve_hub_rest(self.hub)
                while self.step():
                    pass
        except Exception:
            log.exception("voice_judge_failed", effect="until the next call the gates decide: noise may count as voice")
            self._thread = None
