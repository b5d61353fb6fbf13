"""The whole service of one machine: what `voiceedge run` starts."""

import functools
import gc

import structlog

from voiceedge.audio.silero import Silero, model_file
from voiceedge.clock import RealClock
from voiceedge.config import Config
from voiceedge.edge import control, logs, paths, speech_process, worker
from voiceedge.edge.supervisor import Member, Supervisor
from voiceedge.errors import ModelMissingError
from voiceedge.speech.models import vosk_directory
from voiceedge.speech.streaming import VoskModel

log = structlog.get_logger()


def run(config: Config) -> int:
    """Serve until told to stop; return the process's exit code."""
    logs.configure(config.log)
    for directory in (config.site.data_dir, config.site.run_dir):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    clock = RealClock()
    vosk, silero = _vosk(config), _silero()
    gc.collect()
    gc.freeze()  # what is loaded by now stays shared with the children
    members = [
        Member("control", functools.partial(control.main, config, clock), stop_rank=1),
        Member("speech", functools.partial(speech_process.main, config, clock), stop_rank=1),
        Member("worker-1", functools.partial(worker.main, config, clock, vosk=vosk, silero=silero)),
    ]
    return Supervisor(members, paths.status_file(config)).run()


def _vosk(config: Config) -> VoskModel | None:
    if not config.speech.enabled:
        log.warning("speech_off", effect="callers use keys", setting="speech.enabled")
        return None
    try:
        return VoskModel(vosk_directory(config.speech))
    except ModelMissingError as error:
        log.warning("speech_reduced", problem=str(error), effect="nothing listens along; Whisper alone decides")
        return None


def _silero() -> Silero | None:
    try:
        return Silero(model_file())
    except ModelMissingError as error:
        log.warning("voice_reduced", problem=str(error), effect="music and noise may count as a caller's voice")
        return None
