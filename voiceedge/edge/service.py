"""The whole service of one machine: what `voiceedge run` starts."""

import functools
import gc
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import structlog

import voiceedge
from voiceedge import tls
from voiceedge.audio.sealed import sweep
from voiceedge.audio.silero import Silero, model_file
from voiceedge.clock import RealClock
from voiceedge.config import Config
from voiceedge.edge import blueprint, control, instance, speech_process, systemd, worker
from voiceedge.edge.between import logs, paths, priority
from voiceedge.edge.between.member import EXIT_CONFIG
from voiceedge.edge.blueprint import Blueprint
from voiceedge.edge.front import process as front
from voiceedge.edge.handover import Handover
from voiceedge.edge.pool import Pool, Process
from voiceedge.edge.reload import Reload, Reloads
from voiceedge.edge.supervisor import Supervisor
from voiceedge.errors import ConfigError, ModelMissingError
from voiceedge.speech.models import vosk_directory
from voiceedge.speech.streaming import VoskModel
from voiceedge.switch.plan import load_plan

EXIT_REFUSED = 1  # another service is at work here

log = structlog.get_logger()


def run(config: Config, file: Path | None) -> int:
    """Serve until told to stop; return the process's exit code. `file` is where `config` was read, for reloads."""
    logs.configure(config.log)
    try:
        plan = blueprint.draw(config)
    except ConfigError as error:
        log.error("settings_wrong", problem=str(error))  # noqa: TRY400 - a message for people, not a trace
        return EXIT_CONFIG
    for directory in (config.site.data_dir, config.site.run_dir):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        instance.claim(config.site.run_dir)
    except ConfigError as error:
        log.error("already_running", problem=str(error))  # noqa: TRY400 - as above
        return EXIT_REFUSED
    log.info("service_starting", version=voiceedge.__version__, run_dir=str(config.site.run_dir.absolute()))
    return _supervise(plan, file, Reload(), ())


def go_on(left: Handover, file: Path | None) -> int:
    """The same after the supervisor's exec of itself, with the children it had and as it found good to be."""
    plan = Blueprint.model_validate(left.blueprint)
    logs.configure(plan.config.log)
    log.info("service_renewed", version=voiceedge.__version__)
    return _supervise(plan, file, Reload(**left.reload), left.processes)


def _supervise(plan: Blueprint, file: Path | None, reload: Reload, adopted: Sequence[Process]) -> int:
    systemd.notify("WATCHDOG=1")
    models = (None, None) if plan.config.front.alone else (_vosk(plan.config), _silero())
    systemd.notify("WATCHDOG=1")

    def pools_of(blueprint: dict[str, Any]) -> list[Pool] | None:
        renewed = Blueprint.of_same_code(plan, blueprint)
        if renewed is None or _wanted_models(renewed.config) != _wanted_models(plan.config):
            return None
        logs.configure(renewed.config.log)
        return list(_pools(renewed, *models))

    check = [sys.executable, "-m", blueprint.__name__, plan.code, *([str(file)] if file else [])]
    reloads = Reloads(check, plan.model_dump(mode="json"), reload, pools_of)
    pools = list(_pools(plan, *models))
    httpx.Client(verify=tls.client_context()).close()  # loads what it would load in each worker: 12 MB
    gc.collect()
    gc.freeze()  # what is loaded by now stays shared with the children
    code = Supervisor(pools, paths.status_file(plan.config), reloads=reloads, adopted=adopted).run()
    sweep(paths.drafts(plan.config))  # all are gone who wrote them
    return code


def _pools(plan: Blueprint, vosk: VoskModel | None, silero: Silero | None) -> Iterator[Pool]:
    config, clock, made_of = plan.config, RealClock(), plan.fingerprints
    if plan.front:
        settled = config.model_copy(update={"front": config.front.model_copy(update={"inner_port": plan.inner_port})})
        main = functools.partial(front.main, settled, functools.partial(load_plan, config.switch.plan), clock)
        yield Pool("front", main, made_of["front"], informed=True, stop_rank=1)
    if config.front.alone:
        return
    yield Pool("control", functools.partial(control.main, config, clock), made_of["control"], stop_rank=1)
    # Two seats: the next one loads Whisper while the old one still decides.
    yield Pool("speech", functools.partial(speech_process.main, config, clock), made_of["speech"], seats=2, stop_rank=1)
    media = priority.of_media(config.workers.media_priority)
    yield Pool(
        "worker",
        functools.partial(worker.main, plan, clock, vosk=vosk, silero=silero, prepare_media=media),
        made_of["worker"],
        count=plan.workers,
        seats=plan.seats,
        numbered=True,
        drain_s=config.workers.drain_s,
        beats_itself=True,
    )


def _wanted_models(config: Config) -> tuple[bool, Path | None]:
    """Of those that all workers share."""
    return config.speech.enabled, config.speech.vosk_model


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
