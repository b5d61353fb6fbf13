"""What workers ask of the front: agents' phones where they registered, and carriers with passwords of their own."""

import os
import signal
from pathlib import Path

import pytest
from front_rig import Carrier, Rig, from_worker, needs_kamailio, register, until
from peer import Peer
from test_front import no_calls, serve

from voiceedge.edge.front import render

pytestmark = needs_kamailio

AGENTS = '[agents.mina]\nphone = "201"\npassword_file = "mina"\n'


def agents(directory: Path) -> str:
    (directory / "mina").write_text("secret\n")
    return AGENTS


async def test_an_agents_phones_all_ring_and_the_first_to_answer_has_the_call(tmp_path: Path) -> None:
    async with Rig(tmp_path, agents(tmp_path)) as rig:
        worker = await rig.worker()
        async with rig.peer("127.0.0.5", "201") as desk, rig.peer("127.0.0.6", "201") as mobile:
            assert (await register(desk, rig, "secret")).status == 200
            assert (await register(mobile, rig, "secret")).status == 200
            call = await from_worker(rig, worker, "sip:201@voiceedge", **{"X-VoiceEdge-Hops": "7", "X-Other": "kept"})
            rings, answers = await desk.incoming(), await mobile.incoming()
            await rings.answer(180)
            await answers.answer()
            assert (await call.final()).status == 200
            await rings.asked_for("CANCEL")
            assert answers.invitation["x-other"] == "kept"
            assert not answers.invitation.all("x-voiceedge-hops")
            assert answers.invitation.all("max-forwards") == ["7"]
            assert str(worker.port) not in answers.invitation["contact"]
            assert (await answers.reinvite("sendonly")).status == 200
            assert (await call.send("INFO", {"Content-Type": "text/plain"}, "x")).status == 200
            assert (await answers.bye()).status == 200
            await call.ended()
            assert not (await rig.ask("stats"))["refused"]


async def test_a_phone_that_is_busy_says_more_than_one_that_is_gone(tmp_path: Path) -> None:
    async with Rig(tmp_path, agents(tmp_path)) as rig, rig.peer("127.0.0.5", "201") as desk:
        worker = await rig.worker()
        assert (await register(desk, rig, "secret")).status == 200
        async with rig.peer("127.0.0.6", "201") as gone:
            assert (await register(gone, rig, "secret")).status == 200
        call = await from_worker(rig, worker, "sip:201@voiceedge")
        await (await desk.incoming()).answer(486)
        assert (await call.final()).status == 486


@pytest.mark.parametrize("known_by", ["call_id", "instance"])
async def test_a_phone_that_logs_in_from_another_port_is_rung_there_only(tmp_path: Path, known_by: str) -> None:
    async with Rig(tmp_path, agents(tmp_path)) as rig, rig.peer("127.0.0.5", "201") as other:
        await rig.worker()
        assert (await register(other, rig, "secret")).status == 200
        same = {"call_id": "the-phone"} if known_by == "call_id" else {}
        more = ';+sip.instance="<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>"' if known_by == "instance" else ""
        for _ in range(2):
            async with rig.peer("127.0.0.6", "201") as phone:
                contact = f"<{phone.uri}>{more}"
                assert (await register(phone, rig, "secret", contact=contact, **same)).status == 200
        (agent,) = (await rig.ask("registrations"))["agents"]
        assert sorted(contact["address"] for contact in agent["contacts"]) == sorted(
            f"sip:{one.host}:{one.port}" for one in (other, phone)
        )


async def test_a_phone_that_is_not_registered_is_told_of_at_once(tmp_path: Path) -> None:
    async with Rig(tmp_path, agents(tmp_path)) as rig:
        call = await from_worker(rig, await rig.worker(), "sip:201@voiceedge")
        assert (await call.final()).status == 480


async def test_a_phone_behind_a_router_is_reached_where_it_really_is(tmp_path: Path) -> None:
    async with Rig(tmp_path, agents(tmp_path)) as rig, rig.peer("127.0.0.5", "201") as phone:
        worker = await rig.worker()
        private = "<sip:201@10.99.99.99:5060>"
        assert (await register(phone, rig, "secret", contact=private)).status == 200
        call = await from_worker(rig, worker, "sip:201@voiceedge")
        rung = await phone.incoming()
        await rung.answer(200, headers={"Contact": private})
        assert (await call.final()).status == 200
        assert (await call.bye()).status == 200
        await rung.ended()


@pytest.mark.slow
async def test_registrations_outlive_kamailio(tmp_path: Path) -> None:
    async with Rig(tmp_path, agents(tmp_path)) as rig, rig.peer("127.0.0.5", "201") as phone:
        worker = await rig.worker()
        assert (await register(phone, rig, "secret")).status == 200
        table = rig.config.site.run_dir / "front" / "tables" / "location"
        await until(lambda: "201" in table.read_text())
        assert table.stat().st_mode & 0o077 == 0
        os.kill(rig.kamailio, signal.SIGKILL)
        await until(lambda: len(rig.said("kamailio_up")) == 2)
        call = await from_worker(rig, worker, "sip:201@voiceedge")
        await (await phone.incoming()).answer()
        assert (await call.final()).status == 200
        assert (await register(phone, rig, "secret", expires=0)).status == 200
        call = await from_worker(rig, worker, "sip:201@voiceedge")
        assert (await call.final()).status == 480


async def test_what_rings_when_its_worker_dies_stops_ringing(tmp_path: Path) -> None:
    async with Rig(tmp_path, agents(tmp_path)) as rig, rig.peer("127.0.0.5", "201") as phone:
        worker = await rig.worker()
        assert (await register(phone, rig, "secret")).status == 200
        await from_worker(rig, worker, "sip:201@voiceedge")
        rung = await phone.incoming()
        await rung.answer(180)
        worker._transport.close()
        rig.change_worker(worker, ready=False, pid=0)
        await rung.asked_for("CANCEL")


def trunk(directory: Path, carrier: Peer, more: str = "") -> str:
    (directory / "carrier").write_text(f"{Carrier.password}\n")
    return (
        f'[trunks.carrier]\nhost = "{carrier.host}"\nport = {carrier.port}\nusername = "0700"\n'
        f'password_file = "carrier"\n{more}'
    )


async def test_a_carriers_challenge_is_answered_and_the_call_goes_on_with_its_numbering(tmp_path: Path) -> None:
    async with Carrier("127.0.0.9") as carrier, Rig(tmp_path, trunk(tmp_path, carrier, "max_calls = 1\n")) as rig:
        worker = await rig.worker()
        uri = f"sip:025551234@{carrier.host}:{carrier.port}"
        call = await from_worker(rig, worker, uri, **{"X-VoiceEdge-Trunk": "carrier"})
        out = await carrier.incoming()
        assert out.invitation["cseq"] == "2 INVITE"
        assert not out.invitation.all("x-voiceedge-trunk")
        await out.answer()
        assert (await call.final()).status == 200
        full = await from_worker(rig, worker, uri, **{"X-VoiceEdge-Trunk": "carrier"})
        assert (await full.final()).status == 503
        assert (await call.send("INFO", {"Content-Type": "text/plain"}, "x")).status == 200
        info = await out.asked_for("INFO")
        assert int(info["cseq"].split()[0]) > 2
        assert (await call.bye()).status == 200
        await out.ended()
        await until(lambda: no_calls(rig))
        (told,) = (await rig.ask("trunks"))["trunks"]
        assert (told["trunk"], told["state"], told["registered"], told["calls"]) == ("carrier", "up", None, 0)


async def test_a_wrong_password_ends_the_call_with_the_carriers_answer(tmp_path: Path) -> None:
    async with Carrier("127.0.0.9") as carrier:
        plan = trunk(tmp_path, carrier)
        (tmp_path / "carrier").write_text("wrong\n")
        async with Rig(tmp_path, plan) as rig:
            uri = f"sip:025551234@{carrier.host}:{carrier.port}"
            call = await from_worker(rig, await rig.worker(), uri, **{"X-VoiceEdge-Trunk": "carrier"})
            assert (await call.final()).status == 407
            assert len({message.branch for message in carrier.stray if message.method == "INVITE"}) == 2


async def test_a_trunks_name_opens_no_other_host(tmp_path: Path) -> None:
    async with Carrier("127.0.0.9") as carrier, Rig(tmp_path, trunk(tmp_path, carrier)) as rig:
        call = await from_worker(rig, await rig.worker(), "sip:1@127.0.0.77:5060", **{"X-VoiceEdge-Trunk": "carrier"})
        assert (await call.final()).status == 403


@pytest.mark.slow
async def test_a_silent_trunk_is_down_at_once_refused_and_comes_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, "PROBE_S", 1)
    async with Carrier("127.0.0.9") as carrier, Rig(tmp_path, trunk(tmp_path, carrier), hurried=True) as rig:
        worker = await rig.worker()
        await until(lambda: any(message.method == "OPTIONS" for message in carrier.stray))
        carrier.silent = True
        await until(lambda: state(rig, "down"))
        assert rig.said("kamailio")
        uri = f"sip:025551234@{carrier.host}:{carrier.port}"
        call = await from_worker(rig, worker, uri, **{"X-VoiceEdge-Trunk": "carrier"})
        assert (await call.final()).status == 503
        carrier.silent = False
        await until(lambda: state(rig, "up"))


async def state(rig: Rig, wanted: str) -> bool:
    return (await rig.ask("trunks"))["trunks"][0]["state"] == wanted


async def test_we_register_with_a_carrier_and_its_calls_are_known_by_that(tmp_path: Path) -> None:
    async with Carrier("127.0.0.9") as carrier, Rig(tmp_path, trunk(tmp_path, carrier, "register = true\n")) as rig:
        served = serve(await rig.worker())
        await until(lambda: registered(rig))
        asked = next(message for message in reversed(carrier.stray) if message.method == "REGISTER")
        contact = asked["contact"].partition("<")[2].partition(">")[0]
        call = await carrier.invite(contact, headers={"To": "<sip:07012345678@carrier.example>"})
        assert (await call.final()).status == 200
        assert served[0].invitation["x-voiceedge-trunk"] == "carrier"
        assert served[0].invitation.first.startswith("INVITE sip:07012345678@")
        async with rig.peer("127.0.0.10") as stranger:
            assert (await (await stranger.invite(rig.uri("0700"))).final()).status == 407


async def registered(rig: Rig) -> bool:
    return (await rig.ask("trunks"))["trunks"][0]["registered"]


async def test_a_new_plan_is_taken_without_a_restart(tmp_path: Path) -> None:
    async with (
        Carrier("127.0.0.9") as carrier,
        Rig(tmp_path, trunk(tmp_path, carrier)) as rig,
        rig.peer("127.0.0.5", "201") as phone,
    ):
        assert (await register(phone, rig, "secret")).status == 401
        serve(await rig.worker())
        assert (await (await carrier.invite(rig.uri("1"))).final()).status == 407
        more = 'register = true\naddresses = ["127.0.0.9"]\n'
        rig.plan_file.write_text(trunk(tmp_path, carrier, more) + agents(tmp_path))
        assert (await rig.ask("reload"))["restarted"] is False
        assert (await register(phone, rig, "secret")).status == 200
        assert (await (await carrier.invite(rig.uri("1"))).final()).status == 200
        await until(lambda: registered(rig))
        rig.plan_file.write_text(trunk(tmp_path, carrier))
        await rig.ask("reload")
        assert (await register(phone, rig, "secret")).status == 401
        assert len(rig.said("kamailio_up")) == 1
        rig.plan_file.write_text("[trunks.x]\n")
        with pytest.raises(Exception, match="addresses"):
            await rig.ask("reload")
