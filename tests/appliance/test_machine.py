"""What is told of the machine: real ports, a real disk, the real clock."""

import socket
from contextlib import closing
from pathlib import Path

import pytest

from voiceedge.appliance import machine
from voiceedge.appliance.finding import State
from voiceedge.appliance.profile import load_profile, load_trunk
from voiceedge.config import Appliance, Config, Flows, Mqtt, Sip, Site, Speech

HARDWARE = Path(__file__).parents[2] / "hardware"


@pytest.fixture
def config(tmp_path):
    return Config(site=Site(data_dir=tmp_path / "data"), sip=Sip(host="127.0.0.1", port=0), mqtt=Mqtt(embedded_port=0))


def held(kind: socket.SocketKind) -> socket.socket:
    holder = socket.socket(socket.AF_INET, kind)
    holder.bind(("127.0.0.1", 0))
    if kind == socket.SOCK_STREAM:
        holder.listen()
    return holder


def states(findings) -> list[State]:
    return [finding.state for finding in findings]


def test_free_ports_are_fine(config):
    assert states(machine.sip_ports(config, ours=())) == [State.FINE, State.FINE]


def test_a_port_that_another_program_holds_is_told_with_a_remedy(config):
    with closing(held(socket.SOCK_DGRAM)) as holder:
        sip = config.sip.model_copy(update={"port": holder.getsockname()[1]})
        udp, tcp = machine.sip_ports(config.model_copy(update={"sip": sip}), ours=())
    assert udp.state is State.BROKEN
    assert "ss -lntup" in udp.remedy
    assert tcp.state is State.FINE


def test_a_port_that_our_own_running_service_holds_is_fine(config):
    with closing(held(socket.SOCK_DGRAM)) as holder:
        port = holder.getsockname()[1]
        sip = config.sip.model_copy(update={"port": port})
        udp, _ = machine.sip_ports(config.model_copy(update={"sip": sip}), ours={port})
    assert udp.state is State.FINE


def test_a_broker_on_the_embedded_brokers_port_reduces_and_says_how_to_use_it(config):
    with closing(held(socket.SOCK_STREAM)) as holder:
        mqtt = Mqtt(embedded_port=holder.getsockname()[1])
        finding = machine.mqtt_port(config.model_copy(update={"mqtt": mqtt}), ours=())
    assert finding.state is State.REDUCED
    assert "set mqtt.url" in finding.remedy


def test_an_address_of_another_machine_cannot_be_listened_on(config):
    elsewhere = config.model_copy(update={"sip": Sip(host="192.0.2.1", port=0)})
    udp, _ = machine.sip_ports(elsewhere, ours=())
    assert udp.state is State.BROKEN
    assert "not an address of this machine" in udp.what


def test_a_range_whose_ports_are_all_taken_leaves_calls_without_audio(config):
    with closing(held(socket.SOCK_DGRAM)) as holder:
        even = holder.getsockname()[1] & ~1
        ranged = config.model_copy(update={"sip": Sip(host="127.0.0.1", rtp_ports=(even, even + 1))})
        assert machine.rtp_ports(ranged, is_up=False).state is State.BROKEN
        assert machine.rtp_ports(ranged, is_up=True).state is not State.BROKEN


def test_a_range_that_the_system_gives_away_is_noticed(config):
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]) + 1 & ~1
    ranged = config.model_copy(update={"sip": Sip(host="127.0.0.1", rtp_ports=(first, first + 99))})
    finding = machine.rtp_ports(ranged, is_up=False)
    assert finding.state is State.REDUCED
    assert "ip_local_port_range" in finding.remedy


def test_the_data_folder_need_not_exist_yet(config):
    assert machine.disk(config).state is not State.BROKEN


def test_a_data_folder_that_cannot_be_written_is_broken(config):
    unwritable = config.model_copy(update={"site": Site(data_dir=Path("/proc/voiceedge"))})
    assert machine.disk(unwritable).state is State.BROKEN


def test_a_password_for_everyones_eyes_is_noticed(config, tmp_path):
    secret = tmp_path / "password"
    secret.touch(mode=0o644)
    secret.chmod(0o644)
    exposed = config.model_copy(update={"mqtt": Mqtt(url="mqtt://127.0.0.1", username="edge", password_file=secret)})
    findings = {finding.part: finding for finding in machine.examine(exposed, ours=())}
    assert findings["secrets"].state is State.REDUCED
    assert "MQTT port" not in findings


def test_a_data_file_that_is_wrong_is_a_finding_and_no_crash(config, tmp_path):
    path = tmp_path / "box.toml"
    path.write_text("nmae = 'x'\n", encoding="utf-8")
    wrong = config.model_copy(update={"appliance": Appliance(profile=path)})
    finding = next(finding for finding in machine.examine(wrong, ours=()) if finding.part == "profile")
    assert finding.state is State.BROKEN
    assert f"{path}:1: nmae" in finding.what


def test_a_smaller_machine_than_ordered_is_told_in_numbers(config):
    profile = load_profile(HARDWARE / "gateway-x86-4core.toml")
    big = profile.machine.model_copy(update={"cores": 4096})
    findings = list(machine.fits_profile(config, profile.model_copy(update={"machine": big})))
    assert any("of 4096 cores" in finding.what for finding in findings)


def test_a_profile_for_another_architecture_is_broken(config):
    profile = load_profile(HARDWARE / "gateway-x86-4core.toml")
    foreign = profile.machine.model_copy(update={"architecture": "aarch64"})
    findings = machine.fits_profile(config, profile.model_copy(update={"machine": foreign}))
    assert State.BROKEN in states(findings)


def test_settings_beside_the_profile_are_told(config):
    profile = load_profile(HARDWARE / "gateway-x86-4core.toml")
    other = config.model_copy(update={"speech": Speech(threads=8), "sip": Sip(rtp_ports=(20000, 20099))})
    told = " ".join(finding.what for finding in machine.fits_profile(other, profile))
    assert "speech.threads" in told
    assert "sip.rtp_ports" in told


@pytest.mark.parametrize(
    ("sip", "expected"),
    [
        (Sip(codecs=("G722",)), "no codec in common"),
        (Sip(transfer_targets=("sip:*@192.0.2.1",)), "carries out no REFER"),
        (Sip(max_calls=4), "30 channels"),
    ],
)
def test_what_a_trunk_and_the_settings_do_not_share_is_told(config, sip, expected):
    trunk = load_trunk(HARDWARE / "sip-trunk-kr.toml")
    findings = list(machine.fits_trunk(config.model_copy(update={"sip": sip}), trunk))
    assert [expected in finding.what for finding in findings] == [True]
    assert all(finding.remedy for finding in findings)


def test_a_trunk_that_fits_has_no_problem(config):
    assert not list(machine.fits_trunk(config, load_trunk(HARDWARE / "fxo-gateway.toml")))


def test_every_finding_that_is_not_fine_says_what_to_do(config):
    everything = config.model_copy(
        update={
            "appliance": Appliance(profile=HARDWARE / "gateway-x86-4core.toml", trunk=HARDWARE / "sip-trunk-kr.toml"),
            "flows": Flows(),
        }
    )
    for finding in machine.examine(everything, ours=()):
        assert finding.state is State.FINE or finding.remedy, finding
