"""What somebody hears who waits: ringing, music, or nothing, on the background of their channel."""

import contextlib

from voiceedge.audio import comfort
from voiceedge.audio.channel import Channel
from voiceedge.errors import NativeError


class Sound:
    """Harmless when the leg is over."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.sounds = False

    def ringing(self) -> None:
        self._loop(comfort.ringing())

    def music(self, pcm: comfort.Pcm | None = None) -> None:
        self._loop(comfort.music() if pcm is None else pcm)

    def quiet(self) -> None:
        if self.sounds:
            self._loop(None)

    def _loop(self, pcm: comfort.Pcm | None) -> None:
        self.sounds = pcm is not None
        with contextlib.suppress(NativeError):  # the channel is released when the leg ends
            self._channel.background(pcm)
