"""Sealed files: what comes out is what went in, and nothing that was tampered with comes out at all."""

import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceedge.audio.sealed import CHUNK, Sealer, SiteKey, load_site_key, unseal
from voiceedge.errors import ConfigError, NativeError

KEY = SiteKey(bytes(range(32)))
SEALED_CHUNK = CHUNK + 28


def sealed(directory: Path, content: bytes, *, steps: int = 1) -> Path:
    """A file that grew in so many steps, its first bytes changing with each as a WAV header does."""
    draft, path = directory / "draft", directory / "file"
    for old in (draft, path):
        old.unlink(missing_ok=True)
    draft.touch()
    sealer = Sealer(KEY, draft, path)
    with draft.open("r+b") as file:
        for step in range(steps):
            part = content[len(content) * step // steps : len(content) * (step + 1) // steps]
            file.seek(0, os.SEEK_END)
            file.write(part)
            file.seek(0)
            file.write(bytes([step]) * min(4, len(content[: len(content) * (step + 1) // steps])))
            file.flush()
            sealer.advance()
        file.seek(0)
        file.write(content[:4])
    sealer.finish()
    assert not draft.exists()
    return path


def test_the_contents_come_back(tmp_path):
    for size in (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK, 5 * CHUNK + 7):
        content = random.Random(size).randbytes(size)
        for steps in (1, 3, 16):
            assert b"".join(unseal(KEY, sealed(tmp_path, content, steps=steps))) == content


@given(place=st.integers(0, 3 * SEALED_CHUNK), bit=st.integers(0, 7))
def test_a_single_altered_bit_is_noticed(place, bit, tmp_path_factory):
    path = sealed(tmp_path_factory.mktemp("bit"), random.Random(1).randbytes(2 * CHUNK + 100))
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= 1 << bit
    path.write_bytes(data)
    with pytest.raises(NativeError):
        list(unseal(KEY, path))


def test_chunks_cannot_be_swapped_repeated_or_cut_off(tmp_path):
    path = sealed(tmp_path, random.Random(2).randbytes(4 * CHUNK))
    data = path.read_bytes()
    head, body = data[:76], data[76:]
    chunks = [body[start : start + SEALED_CHUNK] for start in range(0, len(body), SEALED_CHUNK)]
    for forged in (
        [chunks[1], chunks[0], *chunks[2:]],
        [*chunks, chunks[-1]],
        chunks[:-1],
        chunks[1:],
    ):
        path.write_bytes(head + b"".join(forged))
        with pytest.raises(NativeError):
            list(unseal(KEY, path))


def test_nothing_of_the_contents_is_in_the_file(tmp_path):
    content = b"010-1234-5678 " * 20_000
    assert b"010-1234" not in sealed(tmp_path, content, steps=5).read_bytes()


def test_a_growing_file_can_be_read_up_to_where_power_was_lost(tmp_path):
    draft, path = tmp_path / "draft", tmp_path / "file"
    content = random.Random(3).randbytes(3 * CHUNK + 10)
    draft.write_bytes(content)
    Sealer(KEY, draft, path).advance()
    parts = unseal(KEY, path)
    assert b"".join(next(parts) for _ in range(3)) == content[: 3 * CHUNK]
    with pytest.raises(NativeError, match="ends early"):
        next(parts)


def test_the_draft_gives_its_room_back_while_it_grows(tmp_path):
    draft, path = tmp_path / "draft", tmp_path / "file"
    draft.write_bytes(os.urandom(64 * CHUNK))
    before = draft.stat().st_blocks
    Sealer(KEY, draft, path).advance()
    if draft.stat().st_blocks == before:
        pytest.skip("this file system cannot make holes")
    assert draft.stat().st_blocks * 512 <= 4 * CHUNK


def test_another_key_and_another_file_are_told_apart(tmp_path):
    path = sealed(tmp_path, b"hello")
    with pytest.raises(NativeError, match="another key"):
        list(unseal(SiteKey(bytes(32)), path))
    path.write_bytes(b"RIFF" + bytes(200))
    with pytest.raises(NativeError, match="no sealed recording"):
        list(unseal(KEY, path))


def test_a_key_file_is_made_as_the_message_says(tmp_path):
    file = tmp_path / "key"
    with pytest.raises(ConfigError, match="cannot be read"):
        load_site_key(file)
    file.write_text("short\n")
    with pytest.raises(ConfigError, match="openssl rand -hex 32"):
        load_site_key(file)
    file.write_text(bytes(range(32)).hex() + "\n")
    assert load_site_key(file) == KEY
