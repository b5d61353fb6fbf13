"""What a telecom engineer sees of calls while they are up and when they are over."""

import csv
import json

import pytest
from commands import voiceedge
from switching import in_talk
from talk import talk

pytestmark = pytest.mark.slow


async def run(switch, *arguments, code=0):
    async with voiceedge("calls", *arguments, "--config", switch.config) as process:
        out, error = await process.communicate()
    assert process.returncode == code, error.decode()
    return out.decode()


async def test_a_call_is_listed_ended_by_command_and_leaves_a_record_a_leg(switch, kim, tmp_path):
    async with talk(switch, "1001") as call:
        agent = await kim.incoming()
        await agent.answer()
        await in_talk(call, agent)
        (listed,) = json.loads(await run(switch, "list", "--json"))
        assert (listed["conversation"], listed["with"], listed["answered"]) == (call.conversation, "kim", True)
        assert listed["step"].startswith("f1001/")
        assert listed["caller"].startswith("***")
        assert call.conversation[-12:] in await run(switch, "list")

        assert "is ended" in await run(switch, "hang-up", call.conversation[-8:])
        await call.over()
        await agent.ended()
        ended = {record["role"]: record for record in [await call.until("leg.ended", role="agent"),
                                                       await call.until("leg.ended", role="caller")]}  # fmt: skip

    assert (ended["caller"]["cause"], ended["caller"]["direction"], ended["agent"]["direction"]) == ("us", "in", "out")
    assert ended["agent"]["agent"] == "kim"
    for record in ended.values():
        assert record["codec"] in {"PCMU", "PCMA"}
        assert record["packets_in"] > 20
        assert record["mos"] > 4
        assert record["talk_ms"] > 0
        assert record["answered_at"] > record["began_at"]

    records = json.loads(await run(switch, "records", "--json", "--since", "1h"))
    ids = {record["call_id"] for record in ended.values()}
    assert ids <= {record["call_id"] for record in records}
    await run(switch, "records", "--csv", str(tmp_path / "cdr.csv"))
    rows = list(csv.DictReader((tmp_path / "cdr.csv").open(encoding="utf-8")))
    caller = next(row for row in rows if row["call_id"] == ended["caller"]["call_id"])
    assert (caller["conversation"], "***" in caller["number"]) == (call.conversation, False)
    sums = json.loads(await run(switch, "report", "--json"))
    assert sums["all"]["answered"] >= 2
    assert sums["all"]["ser"] <= 1


async def test_a_call_that_is_not_up_cannot_be_ended(switch):
    assert "is ended" not in await run(switch, "hang-up", "nobodyhere", code=1)


async def test_a_service_that_does_not_run_is_told_of(tmp_path):
    (tmp_path / "voiceedge.toml").write_text(f'[site]\nrun_dir = "{tmp_path}"\ndata_dir = "{tmp_path}/data"\n')
    async with voiceedge("calls", "list", "--config", tmp_path / "voiceedge.toml") as process:
        _, error = await process.communicate()
    assert (process.returncode, b"is the service running" in error) == (1, True)
