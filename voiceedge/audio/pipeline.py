"""The typed face of the C pipeline (native/): call legs that hear and speak with no Python in the media thread."""

import errno
import importlib.machinery
import importlib.util
import os
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from voiceedge.errors import NativeError

try:
    from voiceedge.audio._native import ffi, lib
except ImportError as error:
    raise NativeError(f"The C pipeline is not built ({error}): run `python native/build_native.py`.") from error

Pcm = NDArray[np.int16]

HEARD_RATE = 16000  # positions and `Channel.read` are in samples at this rate, whatever the call's


@dataclass(frozen=True, slots=True)
class VoiceSettings:
    """When the caller counts as speaking: `onset_ms` voiced within `window_ms`, until `offset_ms` unvoiced in a row."""

    mode: int = 2  # WebRTC VAD: 0 takes nearly anything for voice … 3 is strict
    threshold_dbov: float = -50.0  # softer than this is never voice
    onset_ms: int = 60
    window_ms: int = 100
    offset_ms: int = 500
    pre_roll_ms: int = 300  # how far before the start of speech an onset points


@dataclass(frozen=True, slots=True)
class Onset:
    """The caller speaks. `position` is where to read from: the start of speech less the pre-roll."""

    channel: "Channel"
    position: int
    barged_in: bool  # the player was armed and sounding: it has paused itself
    at_ns: int  # this and all the others: time.monotonic_ns()


@dataclass(frozen=True, slots=True)
class Offset:
    """The caller is silent again; `position` is the end of speech."""

    channel: "Channel"
    position: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class Played:
    """An item is over: every item gets exactly one of these."""

    channel: "Channel"
    item: int
    complete: bool  # False: stopped before its end, perhaps before its beginning
    played_ms: int  # how much of it
    at_ns: int


@dataclass(frozen=True, slots=True)
class Lost:
    """`Channel.read` came too late: so many samples had been overwritten."""

    channel: "Channel"
    samples: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The conference bridge has let go of the channel's port."""

    channel: "Channel"
    at_ns: int


AudioEvent = Onset | Offset | Played | Lost | Closed


@dataclass(frozen=True, slots=True)
class ChannelStats:
    frames_in: int
    frames_out: int
    silence_in: int  # of frames_in
    silence_out: int  # of frames_out
    underruns: int  # frames in which the queue ran dry; the end of a prompt is one too
    events_dropped: int  # nobody called `Pipeline.read_events` for too long
    samples_lost: int  # see Lost
    longest_gap_ms: float  # between two frames in
    silent_at_ns: int | None  # when a pause or stop last became silence


class Pipeline:
    """All channels of this process and the one descriptor that says when to look at them.

    Create it after any fork. One thread reads events and audio. Channels may be commanded from any thread; only their
    ports belong to the SIP pump.
    """

    def __init__(self, voice: VoiceSettings | None = None) -> None:
        """`voice` is what channels without settings of their own go by."""
        self._voice = voice or VoiceSettings()
        self._vad_api = ffi.new("struct ve_vad_api *")
        _raise(lib.ve_vad_load(self._vad_api, os.fsencode(_extension("_webrtcvad", "webrtcvad-wheels"))))
        self._hub = lib.ve_hub_open()
        if self._hub == ffi.NULL:
            raise NativeError("No event descriptor is left for the audio pipeline: raise the limit of open files.")
        self._bridge: Any = None
        self._event = ffi.new("struct ve_event *")
        self._channels: set[Channel] = set()
        self._late: deque[AudioEvent] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def self_test(self) -> list[str]:
        """What is wrong with the parts we lean on, as sentences; nothing when all is well. Needs no SIP stack."""
        problems = [_text(lib.ve_vad_self_test(self._vad_api))]
        try:
            lib.ve_bridge_free(_load_bridge(loaded=False))
        except NativeError as problem:
            problems.append(str(problem))
        return [problem for problem in problems if problem]

    def bridge_self_test(self) -> None:
        """Check PJSIP's memory layout. On the SIP pump thread, once, after libInit and before any port is opened."""
        _raise(lib.ve_bridge_self_test(self.bridge()))

    def bridge(self) -> Any:
        if self._bridge is None:
            self._bridge = _load_bridge(loaded=True)
        return self._bridge

    def channel(self, rate: int = 8000, frame_ms: int = 20, settings: VoiceSettings | None = None) -> "Channel":
        """A new call leg whose frames are `frame_ms` long at `rate` (8000 or 16000): those of the conference bridge."""
        voice = settings or self._voice
        with_rate = {
            "rate": rate,
            "frame_ms": frame_ms,
            "vad_mode": voice.mode,
            "threshold_dbov": voice.threshold_dbov,
            "onset_ms": voice.onset_ms,
            "window_ms": voice.window_ms,
            "offset_ms": voice.offset_ms,
            "pre_roll_ms": voice.pre_roll_ms,
        }
        out = ffi.new("struct ve_channel **")
        try:
            native_settings = ffi.new("struct ve_settings *", with_rate)
        except (OverflowError, TypeError) as error:
            raise NativeError(f"These channel settings are out of range: {with_rate}") from error
        _check(
            lib.ve_channel_open(out, native_settings, self._vad_api, self._hub), f"opening a channel with {with_rate}"
        )
        channel = Channel(self, out[0], rate, voice)
        self._channels.add(channel)
        return channel

    def fileno(self) -> int:
        """Readable when `read_events` has something to give."""
        return int(lib.ve_hub_fd(self._hub))

    def read_events(self) -> list[AudioEvent]:
        """All that happened since the last call, in order within each channel. Never waits."""
        lib.ve_hub_rest(self._hub)
        events: list[AudioEvent] = []
        while self._late:
            events.append(self._late.popleft())
        for channel in tuple(self._channels):
            events += channel.take_events(self._event)
            if channel.free_if_idle():
                self._channels.discard(channel)
        return events

    def post(self, event: AudioEvent) -> None:
        self._late.append(event)
        lib.ve_hub_wake(self._hub)

    def wake(self) -> None:
        lib.ve_hub_wake(self._hub)

    def close(self) -> None:
        """Release all channels. Close their ports first: what the bridge still holds must stay in memory."""
        for channel in tuple(self._channels):
            channel.release()
        self.read_events()
        if self._channels:
            raise NativeError(f"The SIP stack still holds {len(self._channels)} channels: close their ports first.")
        lib.ve_hub_close(self._hub)
        self._hub = ffi.NULL
        if self._bridge is not None:
            lib.ve_bridge_free(self._bridge)
            self._bridge = None


class Channel:
    """One call leg. `open_port`, `connect`, `disconnect` and `close_port` belong to the SIP pump thread."""

    def __init__(self, pipeline: Pipeline, native: Any, rate: int, voice: VoiceSettings) -> None:
        self._pipeline, self._native, self.rate, self.voice = pipeline, native, rate, voice
        self._lock = threading.Lock()  # among Python threads; the media thread knows nothing of it
        self._held: dict[int, Any] = {}  # item → the memory that the player reads from
        self._samples_lost = 0
        self._bridging = False  # the pump thread is in a call that uses the memory
        self._released = False

    # --- the conference bridge: SIP pump thread only ---

    def open_port(self) -> int:
        """Join the conference bridge; returns our slot."""
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
        if pcm.dtype != np.int16 or pcm.ndim != 1 or not pcm.size:
            raise NativeError(f"Only mono int16 samples can be played, not {pcm.dtype} of shape {pcm.shape}.")
        memory = ffi.from_buffer("int16_t[]", np.ascontiguousarray(pcm))
        with self._lock:
            native = self._alive()
            self._let_go(int(lib.ve_channel_done(native)))
            item = _check(lib.ve_channel_play(native, memory, len(memory)), "queueing a prompt")
            self._held[item] = memory
        return item

    def pause(self) -> None:
        """Fade out. What was faded is said again after `resume`."""
        with self._lock:
            lib.ve_channel_pause(self._alive())

    def resume(self) -> None:
        with self._lock:
            lib.ve_channel_resume(self._alive())

    def stop(self) -> None:
        """Fade out and drop all that was queued; what is queued from now on plays, also after a pause."""
        with self._lock:
            lib.ve_channel_stop(self._alive())

    def arm_barge_in(self, on: bool) -> None:  # noqa: FBT001 - reads as a sentence
        """While armed, an onset pauses what is sounding, there and then."""
        with self._lock:
            lib.ve_channel_arm_barge_in(self._alive(), on)

    @property
    def playing(self) -> bool:
        """Something is queued, perhaps paused."""
        with self._lock:
            native = self._alive()
            return bool(lib.ve_channel_done(native) < lib.ve_channel_queued(native))

    @property
    def paused(self) -> bool:
        with self._lock:
            return bool(lib.ve_channel_paused(self._alive()))

    @property
    def played_ms(self) -> int:
        """How much was played on this channel so far; a pause takes its fade back."""
        with self._lock:
            return int(lib.ve_channel_played(self._alive())) * 1000 // self.rate

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
        samples = np.empty(limit, np.int16)
        start = ffi.new("uint64_t *", position)
        with self._lock:
            count = lib.ve_channel_read(self._alive(), start, ffi.from_buffer("int16_t[]", samples), limit)
        if lost := int(start[0]) - position:
            self._samples_lost += lost
            self._pipeline.post(Lost(self, lost, time.monotonic_ns()))
        return samples[:count], int(start[0]) + count

    def stats(self) -> ChannelStats:
        out = ffi.new("struct ve_stats *")
        with self._lock:
            lib.ve_channel_stats(self._alive(), out)
        return ChannelStats(
            frames_in=out.frames_in,
            frames_out=out.frames_out,
            silence_in=out.silence_in,
            silence_out=out.silence_out,
            underruns=out.short_frames,
            events_dropped=out.events_dropped,
            samples_lost=self._samples_lost,
            longest_gap_ms=out.longest_gap_ns / 1e6,
            silent_at_ns=out.silent_ns or None,
        )

    # --- without a conference bridge: recordings and tests ---

    def feed(self, frame: Pcm) -> None:
        """Let the caller say `frame`, of any length. Not while a port is open: the media thread does it then."""
        with self._lock:
            lib.ve_channel_put(self._detached(), ffi.from_buffer("int16_t[]", np.ascontiguousarray(frame)), len(frame))

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
        self._pipeline.wake()

    def take_events(self, event: Any) -> list[AudioEvent]:
        events: list[AudioEvent] = []
        with self._lock:
            while self._native != ffi.NULL and lib.ve_channel_next_event(self._native, event):
                events.append(self._typed(event))
        return events

    def free_if_idle(self) -> bool:
        with self._lock:
            if self._native == ffi.NULL:
                return True
            if not self._released or self._bridging or lib.ve_channel_free(self._native) != 0:
                return False
            self._native = ffi.NULL
            self._held.clear()
            return True

    def _typed(self, event: Any) -> AudioEvent:
        at_ns = int(event.at_ns)
        if event.kind == lib.VE_ONSET:
            return Onset(self, int(event.position), bool(event.flag), at_ns)
        if event.kind == lib.VE_OFFSET:
            return Offset(self, int(event.position), at_ns)
        if event.kind == lib.VE_PLAYED:
            item = int(event.item)
            self._let_go(item)
            return Played(self, item, bool(event.flag), int(event.position) * 1000 // self.rate, at_ns)
        return Closed(self, at_ns)

    def _let_go(self, done: int) -> None:
        for item in [item for item in self._held if item <= done]:
            del self._held[item]

    def _alive(self) -> Any:
        if self._released:
            raise NativeError("This channel has been released: open a new one for a new call.")
        return self._native

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
        return _check(status, doing)


_REASONS = {
    errno.EINVAL: "a value is out of range",
    errno.ENOMEM: "out of memory",
    errno.ENOBUFS: "too many prompts are waiting; stop the player or wait for some to be played",
    errno.EPERM: "this must run on the SIP pump thread, after libInit",
    errno.EALREADY: "the port is open already",
    errno.ENOTCONN: "the port is not open",
}


def _check(status: int, doing: str) -> int:
    """The one place where a C status becomes an exception."""
    if status < 0:
        raise NativeError(f"The audio pipeline refused {doing}: {_REASONS.get(-status, os.strerror(-status))}.")
    return int(status)


def _text(message: Any) -> str:
    return "" if message == ffi.NULL else bytes(ffi.string(message)).decode()


def _raise(message: Any) -> None:
    if problem := _text(message):
        raise NativeError(f"The audio pipeline cannot work: {problem}.")


def _load_bridge(*, loaded: bool) -> Any:
    out = ffi.new("struct ve_bridge **")
    _raise(lib.ve_bridge_load(out, os.fsencode(_extension("pjsua2._pjsua2", "pjsua2-python")), loaded))
    return out[0]


def _extension(name: str, distribution: str) -> Path:
    """Where an extension module lies, found without running any of its package's code."""
    package, _, module = name.rpartition(".")
    found = importlib.util.find_spec(package or module)
    folders = found.submodule_search_locations if found and package else None
    if found and package:
        found = importlib.machinery.PathFinder.find_spec(module, folders)
    if not found or not found.origin:
        raise NativeError(f"{distribution} is not installed: run `uv pip install {distribution}`.")
    return Path(found.origin)
