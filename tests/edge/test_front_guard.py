"""What the front keeps out: floods, scanners, guessed passwords, forged headers and whoever wants to be relayed."""

import asyncio
import socket
from pathlib import Path

from front_rig import Rig, needs_kamailio, register, until
from peer import Message, Peer
from registering import authorization
from test_front import call_and_hear, serve

from voiceedge.edge.front import render

pytestmark = needs_kamailio

PHONES = """
[trunks.carrier]
addresses = ["127.0.0.9"]
trusted = true

[trunks.plain]
addresses = ["127.0.0.16/29"]
max_calls = 2

[trunks.digest]
inbound_user = "pbx"
password_file = "pbx-password"

[agents.mina]
phone = "201"
password_file = "mina-password"
"""


def passwords(directory: Path) -> None:
    (directory / "pbx-password").write_text("s3cret:pbx\n")
    (directory / "mina-password").write_text("pa:ss word\n")


async def silence(peer: Peer, rig: Rig) -> bool:
    """Whether an OPTIONS gets no answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((peer.host, 0))
        sock.setblocking(False)
        port = sock.getsockname()[1]
        lines = [
            f"OPTIONS {rig.uri('x')} SIP/2.0", f"Via: SIP/2.0/UDP {peer.host}:{port};branch=z9hG4bK1",
            "Max-Forwards: 70", "From: <sip:a@b>;tag=1", "To: <sip:x@y>", f"Call-ID: {port}", "CSeq: 1 OPTIONS",
            "Content-Length: 0", "", "",
        ]  # fmt: skip
        sock.sendto("\r\n".join(lines).encode(), ("127.0.0.1", rig.facts["sip_port"]))
        try:
            await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 4096), 0.5)
        except TimeoutError:
            return True
    return False


def flood(rig: Rig, peer: Peer, count: int) -> None:
    for number in range(count):
        lines = {"Via": peer.via(f"z9hG4bK{number}"), "From": "<sip:a@b>;tag=1", "To": "<sip:x@y>"}
        lines |= {"Max-Forwards": "70", "Call-ID": str(number), "CSeq": "1 OPTIONS"}
        peer.send(peer.write(f"OPTIONS {rig.uri('x')} SIP/2.0", lines), ("127.0.0.1", rig.facts["sip_port"]))


async def test_a_flood_is_banned_while_others_are_served_until_the_ban_is_lifted(tmp_path: Path) -> None:
    async with Rig(tmp_path, front={"flood_per_s": 10, "ban_s": 300}) as rig:
        serve(await rig.worker())
        async with rig.peer("127.0.0.2") as attacker, rig.peer("127.0.0.3") as other:
            flood(rig, attacker, 400)
            (ban,) = await until(lambda: banned(rig))
            assert (ban["address"], ban["reason"]) == ("127.0.0.2", "flood")
            assert 290 < ban["left_s"] <= 300
            await until(lambda: rig.said("security", what="banned", address="127.0.0.2", reason="flood"))
            assert await silence(attacker, rig)
            await call_and_hear(rig, other)
            assert (await rig.ask("unban", address="127.0.0.2"))["lifted"]
            assert not (await rig.ask("unban", address="127.0.0.2"))["lifted"]
            assert not (await rig.ask("bans"))["bans"]
            await asyncio.sleep(7)  # pike forgets an address after four, by a timer that may be late
            await call_and_hear(rig, attacker)


async def banned(rig: Rig) -> list[dict]:
    return (await rig.ask("bans"))["bans"]


async def test_a_scanner_is_banned_at_its_first_word(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig, rig.peer("127.0.0.4") as scanner:
        await scanner.invite(rig.uri("100"), headers={"User-Agent": "Friendly-Scanner"})
        await until(lambda: banned(rig))
        await until(lambda: rig.said("security", what="scan", address="127.0.0.4"))
        assert await silence(scanner, rig)


async def test_a_phone_registers_with_its_password_and_is_banned_for_guessing(tmp_path: Path) -> None:
    passwords(tmp_path)
    async with Rig(tmp_path, PHONES) as rig:
        async with rig.peer("127.0.0.5", "201") as phone:
            assert (await register(phone, rig, "pa:ss word")).status == 200
            (agent,) = (await rig.ask("registrations"))["agents"]
            assert (agent["agent"], agent["phone"], len(agent["contacts"])) == ("mina", "201", 1)
        async with rig.peer("127.0.0.6", "201") as thief:
            for _ in range(render.STRIKES - 1):
                assert (await register(thief, rig, "guess")).status == 401
            assert not await banned(rig)
            thief.spawn(register(thief, rig, "guess"))
            (ban,) = await until(lambda: banned(rig))
            assert (ban["address"], ban["reason"]) == ("127.0.0.6", "strikes")
            await until(lambda: rig.said("security", what="auth_failed", address="127.0.0.6", method="REGISTER"))
        async with rig.peer("127.0.0.7", "nobody") as unknown:
            assert (await register(unknown, rig, "guess")).status == 401
        async with rig.peer("127.0.0.7", "pbx") as trunk:
            assert (await register(trunk, rig, "s3cret:pbx")).status == 403


async def test_an_office_whose_phones_start_at_once_is_slowed_and_not_banned(tmp_path: Path) -> None:
    passwords(tmp_path)
    async with Rig(tmp_path, PHONES, front={"flood_per_s": 10}) as rig, rig.peer("127.0.0.5", "201") as phone:
        assert (await register(phone, rig, "pa:ss word")).status == 200
        flood(rig, phone, 300)
        for _ in range(render.STRIKES + 1):
            phone.spawn(register(phone, rig, "mistyped"))
        await asyncio.sleep(0.5)
        assert not await banned(rig)

        async def served_again() -> bool:
            try:
                return (await register(phone, rig, "pa:ss word")).status == 200
            except TimeoutError:
                return False

        await until(served_again)


async def test_nobody_registers_by_the_password_of_an_unknown_user_being_no_password(tmp_path: Path) -> None:
    passwords(tmp_path)
    async with Rig(tmp_path, PHONES) as rig, rig.peer("127.0.0.7", "ghost") as ghost:
        home = "sip:voiceedge"
        own = {"From": "<sip:ghost@voiceedge>;tag=1", "To": "<sip:ghost@voiceedge>", "Call-ID": "g"}
        to = ("127.0.0.1", rig.facts["sip_port"])
        challenge = await ghost.transact("REGISTER", home, own | {"CSeq": "1 REGISTER"}, "", to)
        for ha1 in ("<null>", "", "0"):
            answer = authorization(challenge, "REGISTER", home, "ghost", "", ha1=ha1)
            final = await ghost.transact("REGISTER", home, own | answer | {"CSeq": "2 REGISTER"}, "", to)
            assert final.status == 401


async def test_strangers_are_asked_for_a_password_and_trunks_are_known_by_address(tmp_path: Path) -> None:
    passwords(tmp_path)
    async with Rig(tmp_path, PHONES) as rig:
        served = serve(await rig.worker())
        async with rig.peer("127.0.0.8") as stranger:
            assert (await (await stranger.invite(rig.uri("1000"))).final()).status == 407
        assert not served
        async with rig.peer("127.0.0.9") as carrier:
            await call_and_hear(rig, carrier)
        async with rig.peer("127.0.0.20") as plain:
            calls = [await call_and_hear(rig, plain) for _ in range(2)]
            final = await (await plain.invite(rig.uri("1000"))).final()
            assert (final.status, final["retry-after"]) == (503, "5")
            await calls[0].bye()
            await call_and_hear(rig, plain)
        trunks = [call.invitation["x-voiceedge-trunk"] for call in served]
        assert trunks == ["carrier", "plain", "plain", "plain"]


async def invite_with_password(
    rig: Rig, peer: Peer, user: str, password: str, number: str = "1000", **headers: str
) -> Message:
    first = await (await peer.invite(rig.uri(number))).final()
    assert first.status == 407
    answer = authorization(first, "INVITE", rig.uri(number), user, password)
    return await (await peer.invite(rig.uri(number), headers=answer | headers)).final()


async def test_an_agent_can_log_in_and_out_where_the_site_is_full_but_no_worker_takes_more_than_it_can(
    tmp_path: Path,
) -> None:
    passwords(tmp_path)
    async with Rig(tmp_path, PHONES, sip={"max_calls": 1}) as rig, rig.peer("127.0.0.5", "201") as phone:
        served = serve(await rig.worker(calls_each=2))
        async with rig.peer("127.0.0.9") as caller:
            call = await caller.invite(rig.uri("1000"))
            assert (await call.final()).status == 200
            assert (await invite_with_password(rig, phone, "201", "pa:ss word", "102")).status == 503
            assert (await invite_with_password(rig, phone, "201", "pa:ss word", "*11")).status == 200
            assert (await invite_with_password(rig, phone, "201", "pa:ss word", "*12")).status == 503
            await served[-1].bye()
            assert (await invite_with_password(rig, phone, "201", "pa:ss word", "*13")).status == 200
            await served[-1].bye()
            assert (await (await caller.invite(rig.uri("*11"))).final()).status == 503, "only from an agent's phone"


async def test_a_trunk_and_an_agents_phone_are_known_by_their_password(tmp_path: Path) -> None:
    passwords(tmp_path)
    async with Rig(tmp_path, PHONES) as rig:
        served = serve(await rig.worker())
        async with rig.peer("127.0.0.5", "201") as phone, rig.peer("127.0.0.8", "01012345678") as pbx:
            assert (await invite_with_password(rig, phone, "201", "pa:ss word")).status == 200
            assert (await invite_with_password(rig, pbx, "pbx", "s3cret:pbx")).status == 200
            assert (await invite_with_password(rig, pbx, "pbx", "wrong")).status == 407
        agent, trunk = (call.invitation for call in served)
        assert (agent["x-voiceedge-agent"], agent["x-voiceedge-trunk"]) == ("mina", "")
        assert (trunk["x-voiceedge-agent"], trunk["x-voiceedge-trunk"]) == ("", "digest")
        assert not agent["proxy-authorization"]
        assert not trunk["proxy-authorization"]


async def test_without_trunks_anybody_may_call_but_as_no_agent(tmp_path: Path) -> None:
    (tmp_path / "mina-password").write_text("pa:ss word\n")
    plan = '[agents.mina]\nphone = "201"\npassword_file = "mina-password"\n'
    async with Rig(tmp_path, plan) as rig:
        served = serve(await rig.worker())
        headers = {
            "User-to-User": "token",
            "X-Customer-Ref": "7",
            "X-VoiceEdge-Agent": "mina",
            "x-voiceedge-trunk": "t",
        }
        async with rig.peer("127.0.0.8") as anybody, rig.peer("127.0.0.8", "201") as forger:
            call = await anybody.invite(rig.uri("1000"), headers=headers)
            assert (await call.final()).status == 200
            assert (await (await forger.invite(rig.uri("1000"))).final()).status == 407
        (invitation,) = (call.invitation for call in served)
        assert (invitation["user-to-user"], invitation["x-customer-ref"]) == ("token", "7")
        assert invitation.all("x-voiceedge-agent") == invitation.all("x-voiceedge-trunk") == []
        assert invitation.all("x-voiceedge-source") == ["127.0.0.8"]


async def test_headers_are_believed_from_trusted_trunks_only(tmp_path: Path) -> None:
    passwords(tmp_path)
    said = {
        "P-Asserted-Identity": "<sip:+8225550000@c>", "User-to-User": "token", "X-Customer-Ref": "7",
        "X-VoiceEdge-Agent": "mina", "Remote-Party-ID": "<sip:1@c>",
    }  # fmt: skip
    async with Rig(tmp_path, PHONES) as rig:
        served = serve(await rig.worker())
        async with rig.peer("127.0.0.9") as trusted, rig.peer("127.0.0.17") as other:
            for peer in (trusted, other):
                call = await peer.invite(rig.uri("1000"), headers=said)
                assert (await call.final()).status == 200
                assert (await call.send("INFO", {**said, "Content-Type": "text/plain"}, "x")).status == 200
        believed, stripped = (call.invitation for call in served)
        kept = ("p-asserted-identity", "user-to-user", "x-customer-ref", "remote-party-id")
        assert all(believed[name] for name in kept)
        assert not any(stripped[name] for name in kept)
        assert not believed["x-voiceedge-agent"]
        infos = [await call.asked_for("INFO") for call in served]
        assert [info["x-customer-ref"] for info in infos] == ["7", ""]
        assert not infos[0]["x-voiceedge-agent"]


async def test_nothing_is_relayed_to_anybody_but_a_worker(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig, rig.peer("127.0.0.8") as victim, rig.peer("127.0.0.10") as attacker:
        served = serve(await rig.worker())
        to = ("127.0.0.1", rig.facts["sip_port"])
        call = await attacker.invite(rig.uri("1000"))
        routes = (await call.final()).all("record-route")
        target = f"sip:victim@{victim.host}:{victim.port}"
        base = {"From": "<sip:a@b>;tag=1", "To": "<sip:victim@v>;tag=2", "Call-ID": "relay"}
        for route in (
            f"<{rig.uri('')}>;lr".replace("sip:@", "sip:"),
            f"<sip:127.0.0.1:{to[1]};lr>",
            ", ".join(reversed(routes)),
        ):
            for method in ("INVITE", "BYE", "MESSAGE"):
                headers = base | {"Route": route, "CSeq": f"1 {method}"}
                assert (await attacker.transact(method, target, headers, "", to)).status == 481
        two = {"Route": f"<sip:127.0.0.1:{to[1]};lr>, <{target};lr>", "CSeq": "1 INVITE"}
        assert (await attacker.transact("INVITE", rig.uri("1000"), base | two, "", to)).status == 481
        assert (
            await attacker.transact("MESSAGE", target, base | {"To": "<sip:v@v>", "CSeq": "1 MESSAGE"}, "", to)
        ).status == 405
        # an initial INVITE for anywhere is a call to us
        stray = await attacker.transact("INVITE", target, base | {"To": "<sip:v@v>", "CSeq": "1 INVITE"}, "", to)
        assert stray.status == 200
        assert not victim.stray
        assert len(served) == 2


async def test_who_is_no_worker_gets_nothing_from_the_inner_socket(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig, rig.peer() as impostor:
        inner = ("127.0.0.1", rig.facts["inner_port"])
        headers = {"From": "<sip:a@b>;tag=1", "To": "<sip:v@v>", "Call-ID": "x", "CSeq": "1 INVITE"}
        assert (await impostor.transact("INVITE", "sip:201@voiceedge", headers, "", inner)).status == 403


async def test_broken_messages_are_answered_or_dropped_and_their_sender_is_banned_in_the_end(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig, rig.peer("127.0.0.11") as broken:
        to = ("127.0.0.1", rig.facts["sip_port"])
        for number in range(render.STRIKES):
            lines = {"Via": broken.via(f"z9hG4bK{number}"), "From": "x", "To": "y", "Call-ID": "z", "CSeq": "1 BYE"}
            broken.send(broken.write(f"INVITE {rig.uri('1')} SIP/2.0", lines), to)
        await until(lambda: banned(rig))


async def test_the_world_sees_no_address_of_a_worker(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig, rig.peer("127.0.0.8") as caller:
        worker = await rig.worker()
        served = serve(worker)
        call = await call_and_hear(rig, caller)
        await served[0].send("INFO", {"Content-Type": "text/plain"}, "x")
        await served[0].bye()
        await call.ended()
        seen = [*call.requests, await call.final(), *call.provisional]
        text = "\n".join(f"{name}: {value}" for message in seen for name, value in message.values)
        assert str(worker.port) not in text


async def test_topology_can_be_shown(tmp_path: Path) -> None:
    async with Rig(tmp_path, front={"hide_topology": False}) as rig, rig.peer("127.0.0.8") as caller:
        worker = await rig.worker()
        serve(worker)
        call = await call_and_hear(rig, caller)
        assert str(worker.port) in (await call.final())["contact"]
        assert (await call.bye()).status == 200
