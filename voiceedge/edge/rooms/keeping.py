"""How long recordings, messages, call-detail records and conversations are kept, and under which key."""

import asyncio
import contextlib
import os
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path

import structlog

from voiceedge.audio.sealed import Vault, load_site_key, sweep
from voiceedge.clock import Clock, sleep
from voiceedge.config import Config
from voiceedge.context.cloudevents import StampedEvent, new_id
from voiceedge.context.events.call import RecordingDeleted
from voiceedge.context.record import Changes
from voiceedge.context.storage import legs
from voiceedge.context.storage.database import Database
from voiceedge.edge.between import paths
from voiceedge.errors import StoreError

SWEEP_S = 3600.0
DAY_S = 86400.0
CREDENTIAL = "recording-key"
_CONVERSATION = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

log = structlog.get_logger()


def key_file(config: Config) -> Path | None:
    """Where the key is: as configured, or a credential of the service (systemd.exec(5), LoadCredential)."""
    if config.recording.key_file:
        return config.recording.key_file
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    given = Path(directory, CREDENTIAL) if directory else None
    return given if given and given.exists() else None


def vault(config: Config) -> Vault | None:
    """None where recordings are not encrypted. Raises ConfigError where the key is no key."""
    file = key_file(config)
    return Vault(load_site_key(file), paths.drafts(config)) if file else None


async def sweep_forever(
    config: Config,
    clock: Clock,
    database: Database,
    ingest: Callable[[Sequence[StampedEvent]], Awaitable[None]],
    *erase_old: Callable[[], Awaitable[object]],
) -> None:
    """Delete what is too old, once an hour, and publish of recordings and messages that it was.

    `erase_old` does so with what else is kept, such as conversations (`Retention.sweep`).
    """
    while True:
        await asyncio.to_thread(sweep, paths.drafts(config))
        if config.recording.keep_days:
            events = await asyncio.to_thread(_delete_old, config, clock, config.recording.keep_days)
            try:
                if events:
                    await ingest(events)
            except StoreError as error:
                log.warning("deletions_not_published", files=len(events), problem=str(error))
        if config.records.keep_days:
            await _forget_old(database, clock, config.records.keep_days)
        for erase in erase_old:
            await _erase(erase)
        await sleep(clock, SWEEP_S)


async def _erase(erase: Callable[[], Awaitable[object]]) -> None:
    try:
        await erase()
    except StoreError as error:
        log.warning("old_not_erased", problem=str(error), effect="it is tried again in an hour")


async def _forget_old(database: Database, clock: Clock, keep_days: float) -> None:
    try:
        forgotten = await legs.forget(database, clock.now() - timedelta(days=keep_days))
    except StoreError as error:
        log.warning("records_not_deleted", problem=str(error), effect="it is tried again in an hour")
    else:
        if forgotten:
            log.info("records_deleted", records=forgotten, older_than_days=keep_days)


def _delete_old(config: Config, clock: Clock, keep_days: float) -> list[StampedEvent]:
    now = clock.now()
    events = []
    for directory in (paths.recordings(config), paths.voicemail(config)):
        for file in sorted(directory.rglob("*")):
            try:
                age_days = (now.timestamp() - file.stat().st_mtime) / DAY_S
                if not file.is_file() or age_days <= keep_days:
                    continue
                file.unlink()
            except OSError as error:
                log.warning("recording_not_deleted", path=str(file), reason=error.strerror)
                continue
            path = str(file.relative_to(config.site.data_dir))
            found = _CONVERSATION.search(file.name)
            events.append(
                StampedEvent(
                    id=new_id(clock),
                    time=now,
                    conversation=found[0] if found else new_id(clock),
                    type=RecordingDeleted.type,
                    data=RecordingDeleted(path=path, age_days=round(age_days, 1)),
                    changes=Changes(),
                )
            )
        _remove_empty(directory)
    return events


def _remove_empty(directory: Path) -> None:
    for inner in directory.glob("*"):
        with contextlib.suppress(OSError):  # a worker has just begun a file in it
            if inner.is_dir() and not any(inner.iterdir()):
                inner.rmdir()
