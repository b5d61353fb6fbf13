"""All call legs of this process: the C pipeline's hub, detectors and conference bridge behind one descriptor."""

import os
from collections import deque
from dataclasses import asdict
from typing import Any, Self

from voiceedge.audio.channel import Channel
from voiceedge.audio.events import AudioEvent
from voiceedge.audio.judge import Judge
from voiceedge.audio.native import check, extension, ffi, lib, load_bridge, raise_problem, text
from voiceedge.audio.settings import ChannelSettings
from voiceedge.audio.silero import Silero
from voiceedge.audio.tones import TonePlan, to_c
from voiceedge.errors import NativeError

# What C takes of ChannelSettings by pointer, NULL for none.
_PARTS = {
    "echo": "ve_echo_settings",
    "level": "ve_level_settings",
    "keys": "ve_dtmf_settings",
    "gain": "ve_gain_settings",
}


class Pipeline:
    """All channels of this process and the one descriptor that says when to look at them.

    Create it after any fork. One thread reads events and audio. Channels may be commanded from any thread; only their
    ports belong to the SIP pump.
    """

    def __init__(self, settings: ChannelSettings | None = None, silero: Silero | None = None) -> None:
        """`settings` is what channels without settings of their own go by; `silero` judges what gates let through."""
        self._settings = settings or ChannelSettings()
        self._vad_api = ffi.new("struct ve_vad_api *")
        raise_problem(lib.ve_vad_load(self._vad_api, os.fsencode(extension("_webrtcvad", "webrtcvad-wheels"))))
        self._hub = lib.ve_hub_open()
        if self._hub == ffi.NULL:
            raise NativeError("No event descriptor is left for the audio pipeline: raise the limit of open files.")
        self.judge = Judge(silero) if silero else None
        self._bridge: Any = None
        self._event = ffi.new("struct ve_event *")
        self._channels: set[Channel] = set()
        self._tone_plans: dict[TonePlan, Any] = {}
        self._native_settings: dict[tuple[ChannelSettings, int, int], tuple[Any, list[Any]]] = {}
        self._late: deque[AudioEvent] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def self_test(self) -> list[str]:
        """What is wrong with the parts we lean on, as sentences; nothing when all is well. Needs no SIP stack."""
        problems = [text(lib.ve_vad_self_test(self._vad_api))]
        try:
            lib.ve_bridge_free(load_bridge(loaded=False))
        except NativeError as problem:
            problems.append(str(problem))
        return [problem for problem in problems if problem]

    def bridge_self_test(self) -> None:
        """Check PJSIP's memory layout. On the SIP pump thread, once, after libInit and before any port is opened."""
        raise_problem(lib.ve_bridge_self_test(self.bridge()))

    def bridge(self) -> Any:
        if self._bridge is None:
            self._bridge = load_bridge(loaded=True)
        return self._bridge

    def channel(self, rate: int = 8000, frame_ms: int = 20, settings: ChannelSettings | None = None) -> Channel:
        """A new call leg whose frames are `frame_ms` long at `rate` (8000 or 16000): those of the conference bridge."""
        self._check_open()
        settings = settings or self._settings
        out = ffi.new("struct ve_channel **")
        given, _parts = self._given(settings, rate, frame_ms)
        if status := lib.ve_channel_open(out, given, self._vad_api, self._hub):
            check(status, f"opening a channel with {settings}")
        channel = Channel(self, out[0], rate, settings)
        self._channels.add(channel)
        if self.judge and settings.judge:
            self.judge.add(lib.ve_channel_judge(out[0]))
        return channel

    def _check_open(self) -> None:
        if self._hub == ffi.NULL:
            raise NativeError("This audio pipeline is closed: make a new one.")

    def _given(self, settings: ChannelSettings, rate: int, frame_ms: int) -> tuple[Any, list[Any]]:
        """The settings as C knows them, made once, and the memory of what they point to."""
        wanted = settings, rate, frame_ms
        if wanted not in self._native_settings:
            given, parts = _native(settings, rate, frame_ms)
            if settings.tones:
                given.tones = self._tone_plan(settings.tones)
            if self.judge and settings.judge:
                parts.append(ffi.new("struct ve_judge_settings *", {"hub": self.judge.hub, **asdict(settings.judge)}))
                given.judge = parts[-1]
            self._native_settings[wanted] = given, parts
        return self._native_settings[wanted]

    def _tone_plan(self, plan: TonePlan) -> Any:
        """Compiled once, and kept as long as any channel may look at it."""
        if plan not in self._tone_plans:
            out, tones = ffi.new("struct ve_tone_plan **"), to_c(plan, ffi)
            check(lib.ve_tone_plan_open(out, tones, len(tones)), f"the tone plan {plan.name}")
            self._tone_plans[plan] = out[0]
        return self._tone_plans[plan]

    def let_go(self, judge: Any) -> None:
        """The channel of this struct ve_judge is about to be freed."""
        if self.judge:
            self.judge.remove(judge)

    def fileno(self) -> int:
        """Readable when `read_events` has something to give."""
        self._check_open()
        return int(lib.ve_hub_fd(self._hub))

    def read_events(self) -> list[AudioEvent]:
        """All that happened since the last call, in order within each channel. Never waits."""
        self._check_open()
        lib.ve_hub_rest(self._hub)
        events: list[AudioEvent] = []
        while self._late:
            events.append(self._late.popleft())
        for channel in tuple(self._channels):
            was_idle = channel.is_idle()  # else Closed may come between, and would be freed with it
            events += channel.take_events(self._event)
            if not channel.is_idle():
                continue
            if was_idle and channel.free_if_idle():
                self._channels.discard(channel)
            else:
                self.wake()
        return events

    def post(self, event: AudioEvent) -> None:
        self._late.append(event)
        self.wake()

    def wake(self) -> None:
        if self._hub != ffi.NULL:
            lib.ve_hub_wake(self._hub)

    def close(self) -> None:
        """Release all channels. Close their ports first: what the bridge still holds must stay in memory.

        Call it when the SIP stack is down, or none of its threads is about to let go of a port. Harmless when repeated.
        """
        if self._hub == ffi.NULL:
            return
        for channel in tuple(self._channels):
            channel.release()
        self.read_events()
        if self._channels:
            raise NativeError(f"The SIP stack still holds {len(self._channels)} channels: close their ports first.")
        while self._tone_plans:
            lib.ve_tone_plan_free(self._tone_plans.popitem()[1])
        if self.judge:
            self.judge.close()
        lib.ve_hub_close(self._hub)
        self._hub = ffi.NULL
        if self._bridge is not None:
            lib.ve_bridge_free(self._bridge)
            self._bridge = None


def _native(settings: ChannelSettings, rate: int, frame_ms: int) -> tuple[Any, list[Any]]:
    """The settings as C knows them, and the memory of what they point to."""
    voice = asdict(settings.voice)
    flat = {"rate": rate, "frame_ms": frame_ms, "vad_mode": voice.pop("mode"), **voice}
    flat |= {"player": asdict(settings.player), "remove_offset": settings.remove_offset}
    parts = []
    try:
        for name, type_ in _PARTS.items():
            if part := getattr(settings, name):
                parts.append(ffi.new(f"struct {type_} *", asdict(part)))
                flat[name] = parts[-1]
        return ffi.new("struct ve_settings *", flat), parts
    except (OverflowError, TypeError) as error:
        raise NativeError(f"These channel settings are out of range: {settings}") from error
