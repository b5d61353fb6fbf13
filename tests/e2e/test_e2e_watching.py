"""The service as those who run it see it: its figures, and what a call said in SIP."""

import asyncio
import json

import httpx
import pytest
from commands import voiceedge
from prometheus_client.parser import text_string_to_metric_families
from switching import in_talk
from talk import talk, until

pytestmark = pytest.mark.slow


async def command(*arguments):
    async with voiceedge(*arguments) as process:
        said, complained = await process.communicate()
    return process.returncode, said.decode(), complained.decode()


async def scrape(switch):
    """Of all parts: who stands still for half a second is left out."""
    async with asyncio.timeout(60):
        while not all(parts_up(figures := await scraped_once(switch)).values()):  # noqa: ASYNC110 - by HTTP
            await asyncio.sleep(0.1)
    return figures


def parts_up(figures):
    return {name[1]: up for name, up in figures.items() if name[0] == "voiceedge_scrape_part_up"}


async def scraped_once(switch):
    port = switch.until(lambda status: status["processes"]["control"].get("metrics_port"))
    async with httpx.AsyncClient(timeout=20) as http:
        text = (await http.get(f"http://127.0.0.1:{port['processes']['control']['metrics_port']}/metrics")).text
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def scraped(switch, more, name, *labels):
    """Scrape until the figure is there: who asks again within a second is told the same."""
    async with asyncio.timeout(60):
        while not more(figures := await scrape(switch), name, *labels):  # noqa: ASYNC110 - by HTTP
            await asyncio.sleep(0.1)
    return figures


async def test_a_call_and_its_legs_are_counted(switch, kim):
    before = await scrape(switch)

    def more(late, name, *labels):
        return late.get((name, *labels), 0) - before.get((name, *labels), 0)

    async with talk(switch, "main") as call:
        agent = await kim.incoming()
        await agent.answer()
        await in_talk(call, agent)
        during = await scraped(switch, more, "voiceedge_calls", "worker-1")
        await agent.bye()
        await call.over()
    after = await scraped(switch, more, "voiceedge_legs_total", "caller", "worker-1")
    assert more(during, "voiceedge_calls", "worker-1") == 1
    assert more(after, "voiceedge_calls_taken_total", "worker-1") == 1
    assert more(after, "voiceedge_calls_answered_total", "worker-1") == 1
    assert more(after, "voiceedge_call_set_up_seconds_count", "worker-1") == 1
    assert more(after, "voiceedge_legs_total", "caller", "worker-1") == 1
    assert more(after, "voiceedge_legs_total", "agent", "worker-1") == 1
    assert more(after, "voiceedge_leg_opinion_score_count", "worker-1") == 2
    assert more(after, "voiceedge_rtp_packets_received_total", "worker-1") > 20
    assert more(after, "voiceedge_events_published_total") > 5
    assert sum(value for name, value in after.items() if name[0] == "voiceedge_agents") == 2
    assert after["voiceedge_process_cpu_seconds_total", "worker-1"] > 0
    parts = parts_up(after)
    assert parts == dict.fromkeys(("workers", "queues", "agents", "events", "machine", "connectors"), 1)  # and no front


async def test_the_ladder_of_a_call_has_both_legs(switch, kim, tmp_path):
    picture = tmp_path / "ladder.svg"
    async with talk(switch, "main") as call:
        agent = await kim.incoming()
        await agent.answer(180)
        await agent.answer()
        await in_talk(call, agent)
        await until(lambda: call.events)
        code, said, _ = await command("calls", "trace", call.conversation, "--config", switch.config)  # while it is up
        assert code == 0
        assert said.rstrip().endswith("kim: is up")
        await agent.bye()
        await call.over()
        await until(lambda: len(call.of("leg.ended")) == 2)
    some = call.conversation[-12:]
    code, said, _ = await command("calls", "trace", some, "--json", "--config", switch.config)
    caller, to_kim = json.loads(said)["legs"]

    def spoken(leg):
        """However often a slow machine has said it."""
        said = [("<" if one["sent"] else ">") + str(one["code"] or one["method"]) for one in leg["messages"]]
        return list(dict.fromkeys(said))

    assert (caller["role"], caller["codec"], caller["cause"], to_kim["far_end"]) == ("caller", "PCMU", "us", "kim")
    assert spoken(caller) == [">INVITE", "<100", "<200", ">ACK", "<BYE", ">200"]
    assert [one for one in spoken(to_kim) if one != ">100"] == ["<INVITE", ">180", ">200", "<ACK", ">BYE", "<200"]
    assert call.call.peer.user not in said
    code, said, _ = await command("calls", "trace", some, "--picture", picture, "--config", switch.config)
    assert (code, picture.stat().st_mode & 0o777) == (0, 0o600)
    assert call.call.peer.user not in picture.read_text()
    code, said, _ = await command("calls", "trace", some, "--full", "--config", switch.config)
    assert f"Call-ID: {call.call.id}" in said
    assert call.call.peer.user in said


async def test_a_call_that_nobody_remembers_is_told(switch):
    code, said, complained = await command("calls", "trace", "00000000", "--config", switch.config)
    assert (code, said) == (1, "")
    assert "No worker remembers" in complained
