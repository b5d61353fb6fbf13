"""A front with other nodes: what its own workers have no place for is theirs, and what they send goes no further."""

import os
from pathlib import Path

import pytest
from front_rig import Rig, from_worker, invite_by, needs_kamailio, register, until
from peer import Peer, PeerCall
from test_front import call_and_hear, no_calls, serve, statuses

from voiceedge.appliance.finding import State
from voiceedge.edge.checks import doctor
from voiceedge.edge.front import nodes

pytestmark = needs_kamailio


def node_of(*peers: Peer) -> dict[str, list[str]]:
    return {"nodes": [f"{peer.host}:{peer.port}" for peer in peers]}


def silence(peer: Peer) -> None:
    """It is there, and hears nothing."""
    peer.take = lambda _message: None


def asked_to_end(call: PeerCall) -> bool:
    return any(request.method == "BYE" for request in call.requests)


async def test_one_front_before_two_nodes_spreads_calls_and_both_sides_can_end_them(tmp_path: Path) -> None:
    async with Peer("127.0.1.1") as one, Peer("127.0.2.1") as two:
        served = [serve(one), serve(two)]
        async with Rig(tmp_path, front=node_of(one, two)) as rig, rig.peer() as caller:
            calls = [await call_and_hear(rig, caller) for _ in range(6)]
            assert [len(those) for those in served] == [3, 3]
            assert served[0][0].invitation["x-voiceedge-source"] == "127.0.0.1"
            assert (await calls[0].reinvite("sendonly")).status == 200
            for call in calls[:3]:
                assert (await call.bye()).status == 200
            left = [
                call for those in served for call in those if not call.requests or call.requests[-1].method != "BYE"
            ]
            for call in left:
                assert (await call.bye()).status == 200
            for call in calls[3:]:
                await call.ended()
            await until(lambda: no_calls(rig))


async def test_calls_to_a_node_on_the_usual_port_can_be_ended(tmp_path: Path) -> None:
    """Kamailio leaves 5060 out where it writes an address, and so did not know the node again."""
    async with Peer(f"127.0.9.{os.getpid() % 250 + 1}", port=5060) as node:
        served = serve(node)
        async with Rig(tmp_path, front=node_of(node)) as rig, rig.peer() as caller:
            for ending in range(2):
                call = await call_and_hear(rig, caller)
                first, second = (call, served[-1]) if ending else (served[-1], call)
                assert (await first.bye()).status == 200
                await second.ended()


async def test_calls_of_a_node_that_is_lost_are_ended_and_it_gets_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "LOOK_S", 0.2)
    monkeypatch.setattr(nodes, "LOST_S", 1.0)
    async with Peer("127.0.1.1") as living, Peer("127.0.2.1") as dead:
        serve(dead)
        async with Rig(tmp_path, hurried=True, front=node_of(dead, living)) as rig, rig.peer() as caller:
            silence(living)
            talking = await call_and_hear(rig, caller)
            del living.take  # it answers again
            served = serve(living)
            silence(dead)
            said = await talking.ended()
            assert "Node lost" in said["reason"]
            await until(lambda: is_up(rig, living))
            assert await statuses(rig, caller, 2) == [200, 200]
            assert len(served) == 2
            assert rig.said("calls_of_node_ended", node=f"{dead.host}:{dead.port}", calls=1)
            assert not await is_up(rig, dead)
            found = await doctor.nodes(rig.config)
            assert (found.state, dead.host in found.what) == (State.REDUCED, True)


async def is_up(rig: Rig, node: Peer) -> bool:
    states = {told["address"]: told["state"] for told in (await rig.ask("nodes"))["nodes"]}
    return states[f"{node.host}:{node.port}"] == "up"


async def test_own_workers_come_first_and_a_node_takes_the_rest(tmp_path: Path) -> None:
    async with Peer("127.0.1.1") as node:
        theirs = serve(node)
        async with Rig(tmp_path, front=node_of(node), sip={"max_calls": 3}) as rig, rig.peer() as caller:
            ours = serve(await rig.worker(calls_each=2))
            assert await statuses(rig, caller, 2) == [200, 200]
            assert (len(ours), len(theirs)) == (2, 0)
            assert await statuses(rig, caller, 3) == [200, 200, 200]
            assert (len(ours), len(theirs)) == (2, 3)  # theirs are not counted here


async def test_the_callers_of_a_dead_node_reach_the_other(tmp_path: Path) -> None:
    async with Peer("127.0.1.1") as living, Peer("127.0.2.1") as dead:
        served = serve(living)
        silence(dead)
        async with Rig(tmp_path, hurried=True, front=node_of(living, dead)) as rig, rig.peer() as caller:
            assert await statuses(rig, caller, 4) == [200] * 4
            assert len(served) == 4


async def test_the_callers_of_a_dead_worker_reach_another_node(tmp_path: Path) -> None:
    async with Peer("127.0.1.1") as node:
        served = serve(node)
        async with Rig(tmp_path, hurried=True, front=node_of(node), sip={"max_calls": 2}) as rig, rig.peer() as caller:
            worker = await rig.worker()
            silence(worker)
            assert await statuses(rig, caller, 2) == [200] * 2
            assert len(served) == 2
            ours = serve(await rig.worker())
            assert await statuses(rig, caller, 2) == [200] * 2  # no place here is held by those
            assert len(ours) == 2


async def test_a_full_node_leads_to_the_next_and_after_the_last_the_caller_is_told_when_to_come_back(
    tmp_path: Path,
) -> None:
    async with Peer("127.0.1.1") as full, Peer("127.0.2.1") as free:
        full.on_invite = lambda call: full.respond(call.invitation, 503, headers={"Retry-After": "1"})
        served = serve(free)
        async with Rig(tmp_path, front=node_of(full, free)) as rig, rig.peer() as caller:
            assert await statuses(rig, caller, 4) == [200] * 4
            assert len(served) == 4
            free.on_invite = lambda call: free.respond(call.invitation, 503, headers={"Retry-After": "1"})
            final = await (await caller.invite(rig.uri("1000"))).final()
            assert (final.status, final["retry-after"]) == (503, "5")


async def test_a_call_from_a_node_is_let_in_with_what_is_known_about_it_and_goes_no_further(tmp_path: Path) -> None:
    async with Peer("127.0.1.1") as node:
        theirs = serve(node)
        plan = '[trunks.carrier]\naddresses = ["192.0.2.1"]\n'  # so that nobody else gets in
        async with Rig(tmp_path, plan, front=node_of(node)) as rig:
            worker = await rig.worker(calls_each=1)
            ours = serve(worker)
            known = {"X-VoiceEdge-Trunk": "carrier", "X-VoiceEdge-Source": "192.0.2.1"}
            call = invite_by(node, rig.uri("1000"), rig.facts["sip_port"], known)
            assert (await call.final()).status == 200
            assert [ours[0].invitation[name.lower()] for name in known] == list(known.values())
            second = invite_by(node, rig.uri("1000"), rig.facts["sip_port"], known)
            assert (await second.final()).status == 503
            assert (len(ours), len(theirs)) == (1, 0)
            assert (await ours[0].bye()).status == 200
            await call.ended()


async def test_a_stranger_is_no_node(tmp_path: Path) -> None:
    plan = '[trunks.carrier]\naddresses = ["192.0.2.1"]\n'
    async with (
        Peer("127.0.1.1") as node,
        Peer("127.0.1.1") as stranger,
        Rig(tmp_path, plan, front=node_of(node)) as rig,
    ):
        serve(await rig.worker())
        call = invite_by(stranger, rig.uri("1000"), rig.facts["sip_port"], {"X-VoiceEdge-Trunk": "carrier"})
        assert (await call.final()).status == 407


async def test_with_one_address_the_world_is_called_from_it_and_answers_to_it(tmp_path: Path) -> None:
    async with Rig(tmp_path, sip={"host": "127.0.1.1"}) as rig, Peer(user="kim") as phone:
        await from_worker(rig, await rig.worker(), phone.uri)
        rung = await phone.incoming()
        assert rung.invitation
        assert rung.invitation.source == ("127.0.1.1", rig.facts["sip_port"])
        await rung.answer()
        assert (await rung.bye()).status == 200


PHONES = """
[agents.kim]
phone = "201"
password_file = "kim"
[trunks.carrier]
addresses = ["192.0.2.1"]
host = "127.0.0.9"
port = {port}
"""


async def test_a_node_behind_a_front_hears_nobody_else_and_calls_out_through_it(tmp_path: Path) -> None:
    (tmp_path / "kim").write_text("secret\n")
    async with Peer("127.0.1.1") as front:
        through = {"through": f"{front.host}:{front.port}"}
        async with Rig(tmp_path, PHONES.format(port=5), front=through) as rig, rig.peer() as stranger:
            worker = await rig.worker()
            ours = serve(worker)
            unheard = await stranger.invite(rig.uri("1000"))
            for target, trunk in (("sip:201@voiceedge", ""), ("sip:0212345678@127.0.0.9", "carrier")):
                told = {"X-VoiceEdge-Trunk": trunk} if trunk else {}
                call = await from_worker(rig, worker, target, **told)
                came = await front.incoming()
                assert came.invitation
                assert came.invitation.first.startswith(f"INVITE {target}")
                assert (came.invitation["x-voiceedge-out"], came.invitation["x-voiceedge-trunk"]) == ("1", trunk)
                await came.answer()
                assert (await (call if trunk else came).bye()).status == 200
                await (came if trunk else call).ended()
            call = invite_by(front, rig.uri("1000"), rig.facts["sip_port"], {"X-VoiceEdge-Trunk": "carrier"})
            assert (await call.final()).status == 200
            assert ours[0].invitation
            assert ours[0].invitation["x-voiceedge-trunk"] == "carrier"
            assert len(ours) == 1
            assert not unheard.provisional
            await until(lambda: is_fine(rig))


async def is_fine(rig: Rig) -> bool:
    """Whether the doctor finds all nodes at work."""
    return (await doctor.nodes(rig.config)).state is State.FINE


async def test_what_a_node_calls_out_reaches_phone_or_trunk_from_the_front_alone(tmp_path: Path) -> None:
    (tmp_path / "kim").write_text("secret\n")
    async with Peer("127.0.1.1") as node, Peer("127.0.0.9") as carrier, Peer(user="201") as phone:
        plan = PHONES.format(port=carrier.port)
        async with Rig(tmp_path, plan, front=node_of(node) | {"alone": True}) as rig:
            assert (await register(phone, rig, "secret")).status == 200
            for target, trunk, called in (
                ("sip:201@voiceedge", "", phone),
                (f"sip:0212345678@127.0.0.9:{carrier.port}", "carrier", carrier),
            ):
                told = {"X-VoiceEdge-Out": "1"} | ({"X-VoiceEdge-Trunk": trunk} if trunk else {})
                call = invite_by(node, target, rig.facts["sip_port"], told)
                came = await called.incoming()
                assert came.invitation
                assert came.invitation.source == ("127.0.0.1", rig.facts["sip_port"])
                assert not [name for name, _ in came.invitation.values if name.startswith("x-voiceedge")]
                await came.answer()
                assert (await call.final()).status == 200
                assert (await (came if trunk else call).bye()).status == 200
                await (call if trunk else came).ended()


async def test_only_a_node_has_calls_placed_for_it(tmp_path: Path) -> None:
    (tmp_path / "kim").write_text("secret\n")
    async with (
        Peer("127.0.1.1") as node,
        Peer("127.0.1.1") as stranger,
        Rig(tmp_path, PHONES.format(port=5), front=node_of(node) | {"alone": True}) as rig,
    ):
        told = {"X-VoiceEdge-Out": "1", "X-VoiceEdge-Trunk": "carrier"}
        call = invite_by(stranger, "sip:0212345678@127.0.0.9", rig.facts["sip_port"], told)
        assert (await call.final()).status == 407


@pytest.mark.parametrize("setting", ["nodes", "through"])
async def test_whoever_is_not_before_nodes_alone_places_no_calls_for_them(tmp_path: Path, setting: str) -> None:
    """It has workers that call out: who forges the address of another front would be given its trunks."""
    (tmp_path / "kim").write_text("secret\n")
    async with Peer("127.0.1.1") as node, Peer("127.0.0.9") as carrier:
        served = serve(carrier), serve(node)
        address = f"{node.host}:{node.port}"
        front = {setting: [address] if setting == "nodes" else address}
        async with Rig(tmp_path, PHONES.format(port=carrier.port), front=front) as rig:
            told = {"X-VoiceEdge-Out": "1", "X-VoiceEdge-Trunk": "carrier"}
            target = f"sip:0212345678@127.0.0.9:{carrier.port}"
            call = invite_by(node, target, rig.facts["sip_port"], told)
            assert (await call.final()).status == 503  # as a call that comes in: there are no workers
            assert served == ([], [])
