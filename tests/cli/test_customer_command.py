"""`voiceedge customer` and `voiceedge access`, asking a control process's socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import Result
from structlog.testing import capture_logs
from typer.testing import CliRunner

from voiceedge import config
from voiceedge.cli import access, app, customer
from voiceedge.clock import RealClock
from voiceedge.context.events.call import CallStarted
from voiceedge.context.privacy.pii import pseudonym, pseudonym_key
from voiceedge.context.service import ContextService
from voiceedge.edge.between import paths
from voiceedge.edge.between.link import LinkServer
from voiceedge.edge.rooms import customer_room

assert customer  # commands are loaded when asked for
assert access

TABLE = """\ufeffexternal,phone,email,name,grade
C-1,010-1234-5678,kim@a.kr,김철수,gold
C-2,+82 2 1234 5678,,"이영희, 대리",
,010-9999-0000,,박,
C-3,call me,,x,
,,,nobody,
"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    file = tmp_path / "voiceedge.toml"
    file.write_text('[site]\ndata_dir = "data"\nrun_dir = "run"\n[mqtt]\nembedded_port = 0\n')
    (tmp_path / "customers.csv").write_text(TABLE, encoding="utf-8")
    return file


@pytest.fixture
async def service(settings: Path) -> AsyncIterator[ContextService]:
    loaded = config.load(settings)
    with capture_logs():  # the commands' output is theirs alone
        async with (
            ContextService(loaded, RealClock()) as service,
            LinkServer(paths.control_socket(loaded), customer_room.handlers(service)),
        ):
            yield service


async def run(settings: Path, *arguments: str) -> Result:
    return await asyncio.to_thread(
        CliRunner(env={"COLUMNS": "200"}).invoke, app, [*arguments, "--config", str(settings)]
    )


async def shown(settings: Path, who: str) -> list[dict]:
    return json.loads((await run(settings, "customer", "show", who, "--json")).stdout)["customers"]


async def test_a_table_is_taken_once_and_what_is_wrong_told_by_line(settings: Path, service: ContextService) -> None:
    file = str(settings.parent / "customers.csv")
    first = await run(settings, "customer", "import", file)
    assert first.exit_code == 1
    assert first.stdout == "3 created, 0 changed, 0 same, 2 left out\n"
    assert [line.removeprefix(f"{file}:").split(":")[0] for line in first.stderr.splitlines()] == ["5", "6"]
    assert (await run(settings, "customer", "import", file)).stdout == "0 created, 0 changed, 3 same, 2 left out\n"
    again = settings.parent / "again.csv"
    again.write_text("external,grade\nC-2,gold\n", encoding="utf-8")
    assert (
        await run(settings, "customer", "import", str(again))
    ).stdout == "0 created, 1 changed, 0 same, 0 left out\n"
    (lee,) = await shown(settings, "02-1234-5678")
    assert lee["attributes"] == {"name": "이영희, 대리", "grade": "gold"}
    assert [(one["kind"], one["value"], one["verified"]) for one in lee["identities"]] == [
        ("external", "C-2", True), ("phone", "0212345678", False),
    ]  # fmt: skip


async def test_what_is_no_table_of_customers_is_told(settings: Path, service: ContextService, tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("name\nkim\n")
    refused = await run(settings, "customer", "import", str(file))
    assert (refused.exit_code, "first line must name" in refused.stderr) == (1, True)
    file.write_bytes("phone\n010-1234-5678\n김\n".encode("euc-kr"))
    refused = await run(settings, "customer", "import", str(file))
    assert (refused.exit_code, "UTF-8" in refused.stderr) == (1, True)


async def test_two_are_merged_and_split_and_it_is_told_who_did_it(settings: Path, service: ContextService) -> None:
    await run(settings, "customer", "import", str(settings.parent / "customers.csv"))
    (kim,), (park,) = await shown(settings, "c-1"), await shown(settings, "010-9999-0000")
    merged = await run(settings, "customer", "merge", park["id"], kim["id"], "--why", "the same person")
    assert merged.stdout.strip() == kim["id"]
    assert "merged" in (await run(settings, "customer", "show", park["id"])).stdout
    split = await run(settings, "customer", "split", park["id"], "--why", "they are brothers")
    assert split.stdout == f"split from {kim['id']}\n"
    again = await run(settings, "customer", "split", park["id"], "--why", "x")
    assert (again.exit_code, "merged into nobody" in again.stderr) == (1, True)
    assert "they are brothers" in (await run(settings, "customer", "show", park["id"])).stdout
    nobody = await run(settings, "customer", "show", "010-0000-0000")
    assert (nobody.exit_code, nobody.stderr) == (1, "nobody is known by that\n")


async def test_a_person_is_told_and_forgotten_and_the_log_knows_who_did(
    settings: Path, service: ContextService
) -> None:
    key = pseudonym_key(config.load(settings).site.data_dir)
    call = CallStarted(
        call_id="c", direction="in", caller="x", customer=pseudonym("01012345678", key), called="1588", flow="f"
    )
    await service.note("conversation-1", call)
    output = settings.parent / "kim.json"
    told = await run(settings, "customer", "export", "010-1234-5678", "-o", str(output))
    assert told.stdout.startswith("1 conversations, 0 recordings")
    assert output.stat().st_mode & 0o777 == 0o600
    assert json.loads(output.read_text(encoding="utf-8"))["conversations"][0]["id"] == "conversation-1"
    unknown = await run(settings, "customer", "export", "010-0000-0000", "-o", str(output))
    assert (unknown.exit_code, unknown.stderr) == (1, "nothing is kept of ***0000\n")
    assert (await run(settings, "customer", "erase", "010-1234-5678", "--yes")).stdout == "1 conversations erased\n"
    assert await service.conversation("conversation-1") is None
    entries = json.loads((await run(settings, "access", "list", "--json")).stdout)
    assert [(one["action"], one["subject"]) for one in entries] == [
        ("erase", "customer:***5678"), ("export", "customer:***0000"), ("export", "customer:***5678"),
    ]  # fmt: skip
    assert entries[0]["actor"].startswith("cli:")
    assert (await run(settings, "access", "verify")).stdout == "3 entries, all as they were written\n"
