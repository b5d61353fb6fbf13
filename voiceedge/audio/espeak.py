"""espeak-ng: robotic, and always there; the Debian command, else the library of the espeakng-loader package."""

import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import threading
from typing import Any, ClassVar

import numpy as np

from voiceedge.audio.line import Pcm, to_line
from voiceedge.errors import PromptError

_TIMEOUT_S = 10.0
_WAV_HEADER = 44


class Espeak:
    """One of two engines that sound alike. Text goes in by standard input or memory, never by the command line."""

    _VOICES: ClassVar = {"ko": ("ko", 150), "en": ("en-gb", 160)}  # voice, words a minute

    def __init__(self, engine: "Command | Library") -> None:
        self._engine = engine
        self.name = engine.name

    @classmethod
    def find(cls) -> "Espeak | None":
        program = shutil.which("espeak-ng")
        if program:
            return cls(Command(program))
        return cls(Library()) if importlib.util.find_spec("espeakng_loader") else None

    def speaks(self, language: str) -> bool:
        return language in self._VOICES

    def render(self, text: str, language: str, voice: str, speed: float) -> Pcm:  # noqa: ARG002 - it has one voice
        if not self.speaks(language):
            raise PromptError(f"espeak-ng is not set up for language {language!r}; use ko or en.")
        plain = re.sub(r"[^\w.,?!' -]", " ", text).strip()
        name, pace = self._VOICES[language]
        audio, rate = self._engine.run(plain, name, round(pace * speed))
        return to_line(audio.astype(np.float32) / 32768.0, rate)


class Command:
    def __init__(self, program: str) -> None:
        self._program = program
        version = subprocess.run([program, "--version"], capture_output=True, timeout=_TIMEOUT_S, check=False).stdout
        self.name = "espeak-ng-" + b"".join(re.findall(rb"\d[\d.]*", version)[:1]).decode()

    def run(self, text: str, voice: str, pace: int) -> tuple[Pcm, int]:
        command = [self._program, "-v", voice, "-s", str(pace), "-b", "1", "--stdin", "--stdout"]
        try:
            done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=_TIMEOUT_S, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise PromptError(f"espeak-ng failed ({error}); see that `espeak-ng -v {voice} test` speaks.") from error
        wav = done.stdout  # its header names no length, so it is no file that a WAV reader takes
        start = wav.find(b"data") + 8
        if start < _WAV_HEADER:
            raise PromptError("espeak-ng returned no audio for this prompt; reword or record it.")
        end = len(wav) - (len(wav) - start) % 2
        return np.frombuffer(wav[start:end], "<i2"), int.from_bytes(wav[24:28], "little")


class Library:
    """In this process, for machines where nobody may install a command."""

    _API = """
        int espeak_Initialize(int output, int buffer_ms, const char *path, int options);
        void espeak_SetSynthCallback(int (*callback)(short *wav, int samples, void *events));
        int espeak_SetVoiceByName(const char *name);
        int espeak_SetParameter(int parameter, int value, int relative);
        int espeak_Synth(const void *text, size_t size, unsigned position, int position_type, unsigned end,
                         unsigned flags, unsigned *id, void *user);
    """
    _SYNCHRONOUS, _DO_NOT_EXIT, _RATE, _UTF8 = 2, 0x8000, 1, 1  # of speak_lib.h; its other outputs start threads

    def __init__(self) -> None:
        self._lock = threading.Lock()  # the library has one global state
        self._heard: list[bytes] = []
        self._rate = 0
        self.name = f"espeak-ng-loader-{importlib.metadata.version('espeakng-loader')}"

    def run(self, text: str, voice: str, pace: int) -> tuple[Pcm, int]:
        with self._lock:
            if not self._rate:
                self._rate = self._open()
            self._heard.clear()
            encoded = text.encode() + b"\0"
            self._library.espeak_SetParameter(self._RATE, pace, 0)
            if self._library.espeak_SetVoiceByName(voice.encode()):
                raise PromptError(f"espeak-ng has no voice {voice!r}; reinstall espeakng-loader or install espeak-ng.")
            self._library.espeak_Synth(encoded, len(encoded), 0, 1, 0, self._UTF8, self._ffi.NULL, self._ffi.NULL)
            return np.frombuffer(b"".join(self._heard), np.int16), self._rate

    def _open(self) -> int:
        import cffi  # noqa: PLC0415 - only machines without the command need it
        import espeakng_loader  # noqa: PLC0415

        ffi: Any = cffi.FFI()
        ffi.cdef(self._API)
        self._ffi, self._library = ffi, ffi.dlopen(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        rate: int = self._library.espeak_Initialize(self._SYNCHRONOUS, 200, data, self._DO_NOT_EXIT)
        if rate <= 0:
            raise PromptError("espeak-ng's library does not start; reinstall espeakng-loader or install espeak-ng.")
        self._callback = ffi.callback("int(short *, int, void *)", self._on_audio)
        self._library.espeak_SetSynthCallback(self._callback)
        return rate

    def _on_audio(self, samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            self._heard.append(bytes(self._ffi.buffer(samples, count * 2)))
        return 0
