"""A CSV file as exports leave it: found by its key however that is written, read again when it has changed."""

import asyncio
import os
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from voiceedge.connectors import csv_file
from voiceedge.connectors.answers import Failed, Found, NotFound

HEADER = "고객명,휴대전화,등급,비고\n"
ROWS = '김하나,+82 10-1234-5678,vip,"한 줄, 그리고\n또 한 줄"\n이둘,010 2222 3333,일반,\n'
PROFILE = """
[connectors.list]
kind = "csv"
file = "customers.csv"
key = {phone = "휴대전화"}
found = {name = "고객명", grade = {from = "등급", class = "none"}}
timeout_s = 10
"""


class Kept:
    """The file and the connectors to it."""

    def __init__(self, file, connectors):
        self.file, self._connectors = file, connectors
        self.changes = 0

    def write(self, content, encoding="utf-8"):
        """Beside it and then over it, as a job should; no two versions have one time."""
        beside = self.file.with_suffix(".new")
        beside.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        self.changes += 1
        os.utime(beside, ns=(self.changes, self.changes))
        beside.replace(self.file)

    async def name_of(self, phone="01012345678"):
        async with asyncio.timeout(60):
            answer = await self._connectors.look_up("list", {"phone": phone})
        return answer.values["name"] if isinstance(answer, Found) else answer

    def state(self):
        return self._connectors.state()[0]


@pytest.fixture
def kept(load, tmp_path):
    @asynccontextmanager
    async def kept(profile=PROFILE):
        async with load(profile) as connectors:
            yield Kept(tmp_path / "customers.csv", connectors)

    return kept


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
@pytest.mark.parametrize("phone", ["01012345678", "010-1234-5678", "+821012345678"])
async def test_a_row_is_found_however_it_and_the_number_are_written(kept, encoding, phone):
    async with kept() as its:
        its.write(HEADER + ROWS, encoding)
        assert await its.name_of(phone) == "김하나"
        assert await its.name_of("01022223333") == "이둘"
        assert await its.name_of("01099999999") == NotFound()


async def test_only_the_mapped_columns_are_in_memory(kept):
    async with kept() as its:
        its.write(HEADER + ROWS)
        await its.name_of()
        source = its._connectors._connectors["list"]._source
        assert "줄" not in repr(source._table)


async def test_a_changed_file_is_read_again_and_only_then(kept, monkeypatch):
    async with kept() as its:
        its.write(HEADER + ROWS)
        assert await its.name_of() == "김하나"
        with monkeypatch.context() as patched:
            patched.setattr(csv_file, "read", None)  # would fail
            assert await its.name_of() == "김하나"
        its.write(HEADER + "김둘,01012345678,vip,\n")
        assert await its.name_of() == "김둘"
        assert await its.name_of("01022223333") == NotFound()


BAD = [
    (HEADER + ROWS + "너무,많은,칸,이,있다\n" + "둘,뿐\n", "line 5 has 5 fields instead of 4; line 6 has 2 fields"),
    (HEADER + '김,"010', "line 2 is no CSV"),
    ("고객명,등급\n김,vip\n", 'line 1 has no column "휴대전화"'),
    ("고객명,휴대전화,휴대전화,등급\n", 'line 1 has 2 columns "휴대전화"'),
    ("", 'line 1 has no column "휴대전화"'),
    (HEADER.encode() + b"\n\n\xff\xff,1,2,3\n", "line 4 is neither UTF-8 nor CP949"),
    (b"x" * (csv_file.LARGEST_FILE + 1), "larger than 4 MB"),
]


@pytest.mark.parametrize(("content", "problem"), BAD)
async def test_of_a_bad_file_nothing_is_taken_and_the_last_good_version_stays(kept, content, problem):
    async with kept() as its:
        its.write(content)
        failed = await its.name_of()
        assert isinstance(failed, Failed)
        assert problem in failed.reason
        its.write(HEADER + ROWS)
        assert await its.name_of() == "김하나"
        its.write(content)
        with capture_logs() as logs:
            assert await its.name_of() == "김하나"
            assert await its.name_of() == "김하나"
        assert [(entry["event"], entry["in_use"]) for entry in logs] == [
            ("connector_file_bad", "the version before it")
        ]
        assert problem in logs[0]["problem"]


async def test_a_file_that_is_gone_is_an_error_and_its_rows_are_forgotten(kept):
    async with kept() as its:
        assert "cannot be read" in (await its.name_of()).reason
        its.write(HEADER + ROWS)
        assert await its.name_of() == "김하나"
        its.file.unlink()
        for _ in range(10):  # more than would open a breaker
            assert "cannot be read" in (await its.name_of()).reason
        its.write(HEADER + ROWS)
        assert await its.name_of() == "김하나"


async def test_one_key_in_several_lines_is_nobody_and_no_key_is_no_ones(kept):
    async with kept() as its:
        its.write(HEADER + ROWS + "박,01022223333,일반,\n번호 없음,,일반,\n\n")
        assert await its.name_of("010-2222-3333") == NotFound(many=True)
        assert await its.name_of("") == NotFound()
        assert await its.name_of() == "김하나"


async def test_a_key_of_two_columns_is_found_by_both(kept):
    profile = PROFILE.replace('key = {phone = "휴대전화"}', 'key = {phone = "휴대전화", grade = "등급"}')
    async with kept(profile) as its:
        its.write(HEADER + ROWS)
        found = await its._connectors.look_up("list", {"phone": "01012345678", "grade": " VIP "})
        assert found.values["name"] == "김하나"
        assert await its._connectors.look_up("list", {"phone": "01012345678", "grade": "일반"}) == NotFound()
