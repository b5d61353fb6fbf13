"""One call leg of the C pipeline (native/): it hears and speaks with no Python in the media thread."""

import errno
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voiceedge.audio.events import (
    AudioEvent,
    Closed,
    KeyDown,
    KeyUp,
    Level,
    Lost,
    Offset,
    Onset,
    Played,
    ToneBegun,
    ToneEnded,
    Underrun,
)
from voiceedge.audio.native import check, ffi, lib, samples
from voiceedge.audio.settings import ChannelSettings
from voiceedge.audio.stream import Stream
from voiceedge.errors import NativeError

if TYPE_CHECKING:
    from voiceedge.audio.pipeline import Pipeline

Pcm = NDArray[np.int16]

HEARD_RATE = 16000  # positions and `Channel.read` are in samples at this rate, whatever the call's


@dataclass(frozen=True, slots=True)
class ChannelStats:
    frames_in: int
    frames_out: int
    silence_in: int  # of frames_in
    silence_out: int  # of frames_out
    short_frames: int  # in which the queue ran dry; the end of a prompt is one too
    underruns: int  # see Underrun
    events_dropped: int  # nobody called `Pipeline.read_events` for too long
    unjudged_ms: int  # of sound that the gate decided because the judge of voice was silent
    samples_lost: int  # see Lost
    longest_gap_ms: float  # between two frames in
    silent_at_ns: int | None  # when a pause or stop last became silence


class Channel:
    """One call leg. `open_port`, `connect`, `disconnect` and `close_port` belong to the SIP pump thread."""

    def __init__(self, pipeline: "Pipeline", native: Any, rate: int, settings: ChannelSettings) -> None:
        self._pipeline, self._native, self.rate = pipeline, native, rate
        self.voice = settings.voice
        self.tones = [tone.kind for tone in settings.tones.tones] if settings.tones else []  # by their index
        self._lock = threading.Lock()  # among Python threads; the media thread knows nothing of it
        self._held: dict[int, Any] = {}  # item → the memory or the stream that the player reads from
        self._loops: dict[int, Any] = {}  # the same of backgrounds
        self._samples_lost = 0
        self._bridging = False  # the pump thread is in a call that uses the memory
        self._released = False
        self._fed = 0  # samples, by hand

    # --- the conference bridge: SIP pump thread only ---

    def open_port(self) -> int:
        """Join the conference bridge; returns our slot."""
        if self._pipeline.judge:
            self._pipeline.judge.start()
        return self._on_bridge(lib.ve_bridge_open_port, "opening a conference port")

    def connect(self, call_slot: int) -> None:
        """Hear and speak to `call_slot`. Again in every onCallMediaState: hold and re-INVITE undo it."""
        self._on_bridge(lib.ve_bridge_connect, f"connecting to conference slot {call_slot}", call_slot)

    def disconnect(self, call_slot: int) -> None:
        self._on_bridge(lib.ve_bridge_disconnect, f"disconnecting from conference slot {call_slot}", call_slot)

    def close_port(self) -> None:
        """Leave the bridge. It lets go at its next tick: Closed tells."""
        self._on_bridge(lib.ve_bridge_close_port, "closing a conference port")

    # --- the player: any thread ---

    def play(self, pcm: Pcm) -> int:
        """Queue `pcm` (mono, at the channel's rate) behind what is playing; returns the item's number.

        The samples are not copied: leave them as they are until the item is over.
        """
        memory = samples(pcm, "played")
        with self._lock:
            player = self._player()
            self._let_go(player)
            item = check(lib.ve_player_queue(player, memory, len(memory)), "queueing a prompt")
            self._held[item] = memory
        return item

    def stream(self, pre_buffer_ms: int = 60, room_ms: int = 1000) -> Stream:
        """Queue speech that is still to be written: it begins when `pre_buffer_ms` of it are there, or all.

        The writer may be `room_ms` ahead of what plays.
        """
        stream = Stream(self.rate, room_ms, pre_buffer_ms)
        with self._lock:
            player = self._player()
            self._let_go(player)
            stream.item = check(lib.ve_player_stream(player, stream.native), "queueing a stream")
            self._held[stream.item] = stream
        return stream

    def background(self, pcm: Pcm | None, gain_db: float = 0.0, ducked_gain_db: float = -18.0) -> None:
        """Loop `pcm` under what plays, at `ducked_gain_db` while it sounds; None: fade out what loops now.

        It heeds neither pause nor stop. The samples are not copied: leave them as they are.
        """
        memory = ffi.NULL if pcm is None else samples(pcm, "played")
        with self._lock:
            player = self._player()
            length = 0 if pcm is None else len(pcm)
            number = check(
                lib.ve_player_background(player, memory, length, gain_db, ducked_gain_db), "setting a background"
            )
            self._loops[number] = memory
            self._let_go(player)

    def pause(self) -> None:
        """Fade out. What was faded is said again after `resume`."""
        with self._lock:
            lib.ve_player_pause(self._player())

    def resume(self) -> None:
        with self._lock:
            lib.ve_player_resume(self._player())

    def stop(self) -> None:
        """Fade out and drop all that was queued; what is queued from now on plays, also after a pause."""
        with self._lock:
            lib.ve_player_stop(self._player())

    def arm_barge_in(self, on: bool) -> None:  # noqa: FBT001 - reads as a sentence
        """While armed, an onset pauses what is sounding, there and then."""
        with self._lock:
            lib.ve_player_arm(self._player(), on)

    @property
    def playing(self) -> bool:
        """Something is queued, perhaps paused."""
        with self._lock:
            player = self._player()
            return bool(lib.ve_player_done(player) < lib.ve_player_queued(player))

    @property
    def paused(self) -> bool:
        with self._lock:
            return bool(lib.ve_player_paused(self._player()))

    @property
    def position(self) -> tuple[int, int] | None:
        """The item that is being said, or will be after a pause, and how much of it was said (ms)."""
        place = ffi.new("uint64_t *")
        with self._lock:
            item = int(lib.ve_player_position(self._player(), place))
        return (item, int(place[0]) * 1000 // self.rate) if item else None

    @property
    def played_ms(self) -> int:
        """How much was played on this channel so far; a pause takes its fade back."""
        with self._lock:
            return int(lib.ve_player_played(self._player())) * 1000 // self.rate

    # --- what the caller says: the reading thread ---

    @property
    def speaking(self) -> bool:
        """Between an onset and its offset."""
        with self._lock:
            return bool(lib.ve_channel_speaking(self._alive()))

    @property
    def head(self) -> int:
        """The position after the newest sample heard."""
        with self._lock:
            return int(lib.ve_channel_head(self._alive()))

    def read(self, position: int, limit: int) -> tuple[Pcm, int]:
        """Up to `limit` samples (16 kHz) from `position` on, and the position to go on from.

        About 16 s are kept. Where older ones were asked for, what follows them comes instead, and Lost tells how many.
        """
        position = max(position, 0)
        audio = np.empty(limit, np.int16)
        start = ffi.new("uint64_t *", position)
        with self._lock:
            count = lib.ve_channel_read(self._alive(), start, ffi.from_buffer("int16_t[]", audio), limit)
        if lost := int(start[0]) - position:
            self._samples_lost += lost
            self._pipeline.post(Lost(self, lost, time.monotonic_ns()))
        return audio[:count], int(start[0]) + count

    def stats(self) -> ChannelStats:
        out = ffi.new("struct ve_stats *")
        with self._lock:
            lib.ve_channel_stats(self._alive(), out)
            judge = lib.ve_channel_judge(self._native)
            unjudged = int(lib.ve_judge_unjudged(judge)) if judge != ffi.NULL else 0
        return ChannelStats(
            frames_in=out.frames_in,
            frames_out=out.frames_out,
            silence_in=out.silence_in,
            silence_out=out.silence_out,
            short_frames=out.short_frames,
            underruns=out.underruns,
            events_dropped=out.events_dropped,
            unjudged_ms=unjudged * 20,
            samples_lost=self._samples_lost,
            longest_gap_ms=out.longest_gap_ns / 1e6,
            silent_at_ns=out.silent_ns or None,
        )

    # --- the recorder: see recording.py ---

    def attach_recorder(self, recorder: Any) -> None:
        with self._lock:
            check(lib.ve_recorder_attach(lib.ve_channel_recorder(self._alive()), recorder), "a second recording")

    def detach_recorder(self, recorder: Any) -> None:
        """Waits for the media thread to let go, a frame's work at most. Harmless when repeated."""
        with self._lock:
            if self._native != ffi.NULL:
                lib.ve_recorder_detach(lib.ve_channel_recorder(self._native), recorder)

    def let_overhear(self, recorder: Any) -> None:
        """What is said here is heard by the caller of another channel, and so recorded with what they hear."""
        with self._lock:
            check(lib.ve_recorder_attach(lib.ve_channel_overheard_by(self._alive()), recorder), "a second listener")

    def stop_overhearing(self, recorder: Any) -> None:
        """Waits as `detach_recorder` does. Harmless when repeated."""
        with self._lock:
            if self._native != ffi.NULL:
                lib.ve_recorder_detach(lib.ve_channel_overheard_by(self._native), recorder)

    # --- without a conference bridge: recordings and tests ---

    def feed(self, frame: Pcm) -> None:
        """Let the caller say `frame`, of any length. Not while a port is open: the media thread does it then."""
        judge = None if self._pipeline.judge is None or self._pipeline.judge.running else self._pipeline.judge
        for part in self._blocks_of(frame) if judge else (frame,):
            memory = samples(part, "heard")
            with self._lock:
                lib.ve_channel_put(self._detached(), memory, len(memory))
            while judge and judge.step():
                pass

    def _blocks_of(self, frame: Pcm) -> Iterator[Pcm]:
        """Cut where blocks end: judged there, the same audio gets the same verdicts however it was cut before."""
        start, block = 0, self.rate // 50
        while start < len(frame):
            part = frame[start : start + block - self._fed % block]
            self._fed += len(part)
            start += len(part)
            yield part

    def fetch(self, count: int) -> Pcm:
        """What the caller hears next: `count` samples. Not while a port is open."""
        frame = np.zeros(count, np.int16)
        with self._lock:
            lib.ve_channel_get(self._detached(), ffi.from_buffer("int16_t[]", frame), count)
        return frame

    # --- the end ---

    def release(self) -> None:
        """Done with this channel. Its memory goes once the bridge has let go of it, in some later `read_events`."""
        with self._lock:
            self._released = True
            for held in self._held.values():
                if isinstance(held, Stream):
                    held.hang_up()
        self._pipeline.wake()

    def take_events(self, event: Any) -> list[AudioEvent]:
        events: list[AudioEvent] = []
        with self._lock:
            while self._native != ffi.NULL and lib.ve_channel_next_event(self._native, event):
                events.append(self._typed(event))
        return events

    def is_idle(self) -> bool:
        """Whether nothing more can happen to it; its last events may still be there to be taken."""
        with self._lock:
            return self._is_idle()

    def _is_idle(self) -> bool:
        if self._native == ffi.NULL:
            return True
        return self._released and not self._bridging and not lib.ve_channel_attached(self._native)

    def free_if_idle(self) -> bool:
        with self._lock:
            if not self._is_idle():
                return False
            if self._native == ffi.NULL:
                return True
            if (judge := lib.ve_channel_judge(self._native)) != ffi.NULL:
                self._pipeline.let_go(judge)
            lib.ve_channel_free(self._native)
            self._native = ffi.NULL
            self._held.clear()
            self._loops.clear()
            return True

    def _typed(self, event: Any) -> AudioEvent:
        if event.kind == lib.VE_PLAYED:
            self._let_go(lib.ve_channel_player(self._native))
        return _EVENTS[event.kind](self, event)

    def _let_go(self, player: Any) -> None:
        for held, done in (
            (self._held, lib.ve_player_done(player)),
            (self._loops, lib.ve_player_background_done(player)),
        ):
            for number in [number for number in held if number <= done]:
                del held[number]

    def _alive(self) -> Any:
        if self._released:
            raise NativeError("This channel has been released: open a new one for a new call.")
        return self._native

    def _player(self) -> Any:
        return lib.ve_channel_player(self._alive())

    def _detached(self) -> Any:
        native = self._alive()
        if lib.ve_channel_attached(native):
            raise NativeError(
                "This channel belongs to the conference bridge: feed and fetch are for channels without a port."
            )
        return native

    def _on_bridge(self, call: Any, doing: str, *arguments: int) -> int:
        bridge = self._pipeline.bridge()
        with self._lock:
            native = self._native
            if native == ffi.NULL:
                raise NativeError("This channel has been released: open a new one for a new call.")
            self._bridging = True
        try:  # without the lock: PJSIP may take its time, and call back into Python
            status = int(call(bridge, native, *arguments))
        finally:
            self._bridging = False
            if self._released:
                self._pipeline.wake()
        if status == -errno.EPROTO:
            raise NativeError(f"PJSIP refused {doing} (status {lib.ve_bridge_status(bridge)}).")
        return check(status, doing)


_EVENTS: dict[int, Callable[[Channel, Any], AudioEvent]] = {
    lib.VE_ONSET: lambda channel, event: Onset(channel, event.position, event.flag, event.at_ns),
    lib.VE_OFFSET: lambda channel, event: Offset(channel, event.position, event.at_ns),
    lib.VE_PLAYED: lambda channel, event: Played(
        channel, event.item, event.flag, event.position * 1000 // channel.rate, event.at_ns
    ),
    lib.VE_UNDERRUN: lambda channel, event: Underrun(
        channel, event.item, event.position * 1000 // channel.rate, event.at_ns
    ),
    lib.VE_CLOSED: lambda channel, event: Closed(channel, event.at_ns),
    lib.VE_KEY_DOWN: lambda channel, event: KeyDown(
        channel, chr(event.code), event.position, event.level_dbov, event.twist_db, event.at_ns
    ),
    lib.VE_KEY_UP: lambda channel, event: KeyUp(
        channel, chr(event.code), event.position, event.duration_ms, event.level_dbov, event.twist_db, event.at_ns
    ),
    lib.VE_TONE_BEGUN: lambda channel, event: ToneBegun(
        channel, channel.tones[event.code], event.position, event.level_dbov, event.at_ns
    ),
    lib.VE_TONE_ENDED: lambda channel, event: ToneEnded(
        channel, channel.tones[event.code], event.position, event.duration_ms, event.level_dbov, event.at_ns
    ),
    lib.VE_LEVEL: lambda channel, event: Level(
        channel,
        event.position,
        event.level_dbov,
        event.peak,
        event.offset,
        event.code,
        event.echo_delay_ms if event.echo_delay_ms >= 0 else None,
        event.echo_loss_db,
        event.at_ns,
    ),
}
