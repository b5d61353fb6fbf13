"""Speech that plays while it is still being made: what one thread writes, the media thread plays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from voiceedge.audio.native import check, ffi, lib, samples


class Stream:
    """An item of a channel's player whose samples are still to come; see `Channel.stream`.

    Any one thread writes, and never waits. A writer that is late is an Underrun: the caller hears a fade and silence,
    and nothing is lost. When the stream is stopped or the call is over, `write` and `room` raise NativeError.
    """

    item: int  # its number among what the channel plays

    def __init__(self, rate: int, room_ms: int, pre_buffer_ms: int) -> None:
        out = ffi.new("struct ve_stream **")
        settings = ffi.new("struct ve_stream_settings *", {"room_ms": room_ms, "pre_buffer_ms": pre_buffer_ms})
        check(lib.ve_stream_open(out, rate, settings), f"a stream of {room_ms} ms that begins at {pre_buffer_ms} ms")
        self.native: Any = ffi.gc(out[0], lib.ve_stream_free)

    @property
    def room(self) -> int:
        """How many samples `write` would take now."""
        return check(lib.ve_stream_room(self.native), "asking for room in a stream")

    def write(self, pcm: NDArray[np.int16]) -> int:
        """Append as much of `pcm` as there is room for, as a copy; returns how many samples that was."""
        memory = samples(pcm, "streamed")
        return check(lib.ve_stream_write(self.native, memory, len(memory)), "writing to a stream")

    def end(self) -> None:
        """Nothing more will be written: what was is played to its end, then what is queued behind it."""
        lib.ve_stream_end(self.native)

    def hang_up(self) -> None:
        """Let the writer know that nobody listens any more."""
        lib.ve_stream_hang_up(self.native)
