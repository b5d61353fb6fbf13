"""What follows from a configuration: how many workers, which ports, with or without a front, and what cannot work."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from voiceedge import config as configuration
from voiceedge.config import Config
from voiceedge.edge import blueprint, worker
from voiceedge.edge.blueprint import Blueprint, draw
from voiceedge.edge.front import place
from voiceedge.errors import ConfigError

FLOWS = Path(__file__).parents[1] / "e2e" / "flows"
PLAN = '[trunks.carrier]\naddresses = ["192.0.2.1"]\n'
BRIDGING = PLAN + '[agents.kim]\nphone = "8001"\n'


@pytest.fixture
def kamailio(tmp_path, monkeypatch):
    """Something that is found by the name."""
    program = tmp_path / "kamailio"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def made(tmp_path):
    def made(plan="", **tables):
        if plan:
            (tmp_path / "switch.toml").write_text(plan)
            tables["switch"] = {"plan": tmp_path / "switch.toml"}
        return Config.model_validate({"flows": {"dir": FLOWS}, **tables})

    return made


def test_by_default_one_worker_serves_alone_on_all_ports(made):
    drawn = draw(made())
    assert (drawn.front, drawn.workers, drawn.seats, drawn.calls_each) == (False, 1, 1, None)
    assert drawn.rtp_ports(0) == (10000, 10999)


@pytest.mark.usefixtures("kamailio")
@pytest.mark.parametrize(("calls", "workers"), [(5, 2), (8, 2), (9, 3), (100, 25)])
def test_more_calls_than_one_worker_carries_take_several_behind_a_front(made, calls, workers):
    drawn = draw(made(sip={"max_calls": calls}))
    assert (drawn.front, drawn.workers, drawn.calls_each) == (True, workers, 4)


@pytest.mark.usefixtures("kamailio")
def test_ports_that_are_chosen_are_none_of_those_for_audio(made):
    first, last = 1024, 59999
    drawn = draw(made(sip={"max_calls": 8, "rtp_ports": [first, last]}, front={"inner_port": 0}))
    sip = worker._sip(drawn, 0, {})
    for port in (drawn.inner_port, sip.port):
        assert port > last
    with pytest.raises(ConfigError, match=r"outside sip\.rtp_ports"):
        place.free_port("127.0.0.1", (1024, 65535))


@pytest.mark.usefixtures("kamailio")
def test_a_plan_that_bridges_leaves_each_call_room_for_a_second_leg(made):
    assert draw(made(PLAN)).calls_each == 4
    drawn = draw(made(BRIDGING))
    assert (drawn.front, drawn.workers, drawn.calls_each) == (True, 2, 2)


@pytest.mark.usefixtures("kamailio")
def test_no_two_workers_share_a_port(made):
    drawn = draw(made(sip={"max_calls": 100}))
    shares = [drawn.rtp_ports(seat) for seat in range(drawn.seats)]
    assert all(last < first for (_, last), (first, _) in pairwise(shares))
    assert all(first % 2 == 0 and last - first + 1 >= 4 * 2 * 2 for first, last in shares)
    assert shares[0][0] == 10000
    assert shares[-1][1] <= 10999
    assert drawn.seats > drawn.workers


@pytest.mark.usefixtures("kamailio")
def test_too_few_ports_are_told_with_a_range_that_would_do(made):
    with pytest.raises(ConfigError, match=r"sip\.rtp_ports: 25 workers.*\[10000, 10415\]"):
        draw(made(sip={"max_calls": 100, "rtp_ports": [10000, 10099]}))
    assert draw(made(sip={"max_calls": 100, "rtp_ports": [10000, 10415]})).seats == 26


@pytest.mark.usefixtures("kamailio")
def test_a_worker_cannot_be_given_more_calls_than_its_stack_carries(made):
    with pytest.raises(ConfigError, match=r"workers\.calls_each: .* 4 calls"):
        draw(made(workers={"calls_each": 5}))


def test_without_kamailio_one_worker_serves_alone_unless_the_front_is_demanded(made):
    front = {"program": "no-such-kamailio"}
    assert not draw(made(sip={"max_calls": 100}, front=front)).front
    with pytest.raises(ConfigError, match=r"no-such-kamailio is not installed.*apt-get install kamailio"):
        draw(made(front=front | {"enabled": True}))


@pytest.mark.usefixtures("kamailio")
def test_a_front_alone_has_no_workers_and_needs_no_flows(made, tmp_path):
    front = {"alone": True, "nodes": ["192.0.2.11:5060", "192.0.2.12:5060"], "inner_port": 5070}
    drawn = draw(made(PLAN, front=front, flows={"dir": tmp_path / "none"}))
    assert (drawn.front, drawn.workers) == (True, 0)


def test_a_front_that_is_demanded_by_the_cluster_must_be_there(made):
    with pytest.raises(ConfigError, match="no-such-kamailio is not installed"):
        draw(made(front={"program": "no-such-kamailio", "through": "192.0.2.10:5060"}))
    with pytest.raises(ConfigError, match=r"leave front\.nodes out"):
        draw(made(front={"through": "192.0.2.10:5060", "nodes": ["192.0.2.12:5060"]}))


@pytest.mark.parametrize(
    ("front", "problem"),
    [
        ({"alone": True}, "alone: needs somebody"),
        ({"through": "192.0.2.10:5060", "enabled": False}, "leave front.enabled out"),
        ({"through": "front.example:5060"}, "IPv4"),
    ],
)
def test_settings_of_a_front_before_nodes_that_cannot_be(made, front, problem):
    with pytest.raises(ValueError, match=problem):
        made(front=front)


def test_broken_flows_are_told_before_anything_starts(made, tmp_path):
    (tmp_path / "wrong.yaml").write_text("flow: wrong\nlanguage: ko\nstart: nowhere\nsteps: {}\n")
    with pytest.raises(ConfigError, match=r"wrong\.yaml:\d+"):
        draw(made(flows={"dir": tmp_path}))


@pytest.mark.usefixtures("kamailio")
@pytest.mark.parametrize(
    ("change", "replaced"),
    [
        ({"sip": {"max_calls": 12}}, {"front", "control"}),
        ({"front": {"enabled": True, "ban_s": 5}}, {"front", "control"}),
        ({"prompts": {"speed": 1.2}}, {"speech", "worker"}),
        ({"audio": {"tones": "us"}}, {"worker"}),
        ({"workers": {"drain_s": 5}}, {"control"}),
    ],
)
def test_only_those_are_replaced_whom_a_change_concerns(made, change, replaced):
    base = {"sip": {"max_calls": 8}, "front": {"enabled": True}}
    before, after = draw(made(**base)).fingerprints, draw(made(**{**base, **change})).fingerprints
    assert {name for name in before if before[name] != after[name]} == replaced


@pytest.mark.usefixtures("kamailio")
def test_a_new_plan_replaces_workers_alone_as_all_others_read_it_in_place(made):
    before, after = draw(made(PLAN)).fingerprints, draw(made(PLAN + '[[routes]]\nflow = "main"\n')).fingerprints
    assert {name for name in before if before[name] != after[name]} == {"worker"}


CONNECTORS = '[connectors.crm]\nkind = "csv"\nfile = "a.csv"\nkey = {phone = "phone"}\nfound = {name = "name"}\n'


@pytest.mark.usefixtures("kamailio")
def test_a_changed_connectors_file_replaces_those_who_ask(made, tmp_path):
    file = tmp_path / "connectors.toml"
    wanted = {"sip": {"max_calls": 8}, "front": {"enabled": True}, "connectors": {"file": file}}
    file.write_text(CONNECTORS)
    before = draw(made(**wanted)).fingerprints
    assert draw(made(**wanted)).fingerprints == before
    file.write_text(CONNECTORS + "timeout_s = 1\n")
    after = draw(made(**wanted)).fingerprints
    assert {name for name in before if before[name] != after[name]} == {"worker", "control"}
    file.write_text(CONNECTORS + "timeout_s = 99\n")
    with pytest.raises(ConfigError, match=r"connectors\.toml:6: connectors\.crm\.timeout_s"):
        draw(made(**wanted))


def test_flows_name_no_connector_that_there_is_not(made, tmp_path):
    step = "{look_up: crm, with: {phone: '{call.caller}'}, into: n, found: b, not_found: b, error: b}"
    flow = f"flow: main\nlanguage: ko\nstart: a\nslots: {{n: 이름}}\nsteps:\n  a: {step}\n  b: {{hang_up: 네}}\n"
    (tmp_path / "main.yaml").write_text(flow, encoding="utf-8")
    with pytest.raises(ConfigError, match=r'main\.yaml:6:16: there is no connector "crm"'):
        draw(made(flows={"dir": tmp_path}))
    (tmp_path / "connectors.toml").write_text(CONNECTORS)
    draw(made(flows={"dir": tmp_path}, connectors={"file": tmp_path / "connectors.toml"}))


def test_new_code_replaces_everybody(made, monkeypatch):
    before = draw(made()).fingerprints
    monkeypatch.setattr(blueprint, "_code", lambda: "another version")
    assert not set(before.values()) & set(draw(made()).fingerprints.values())


def test_the_check_of_a_reload_prints_the_blueprint_or_the_problem(tmp_path):
    file = tmp_path / "voiceedge.toml"
    head = f'[site]\ndata_dir = "{tmp_path}/data"\nrun_dir = "{tmp_path}/run"\n[flows]\ndir = "{FLOWS}"\n'

    def check(text):
        file.write_text(text)
        command = [sys.executable, "-m", blueprint.__name__, "older", str(file)]
        return subprocess.Popen(command, stdout=subprocess.PIPE)

    good = check(head)
    assert json.loads(good.communicate(timeout=120)[0])["blueprint"] == draw(configuration.load(file)).model_dump(
        mode="json"
    )
    wrong = check(head + "[sip]\nport = 99999\n")
    assert json.loads(wrong.communicate(timeout=120)[0])["problem"].startswith(f"{file}:7: sip.port")


def test_a_certificate_of_the_web_that_cannot_be_used_is_told_before_anything_is_served(made, tmp_path):
    (tmp_path / "junk.pem").write_text("no certificate")
    files = {"certificate": tmp_path / "junk.pem", "private_key": tmp_path / "nope.pem"}
    with pytest.raises(ConfigError, match=r"web\.private_key: .*nope\.pem cannot be read"):
        draw(made(web=files))
    with pytest.raises(ConfigError, match=r"web\.certificate: .*junk\.pem .* no pair that TLS can use"):
        draw(made(web=files | {"private_key": tmp_path / "junk.pem"}))


def test_what_newer_code_has_drawn_is_not_read_by_the_older(made):
    running = draw(made())
    drawn = running.model_dump(mode="json")
    assert Blueprint.of_same_code(running, drawn) == running
    drawn["config"]["web"]["a_setting_of_tomorrow"] = 1
    assert Blueprint.of_same_code(running, drawn | {"code": "tomorrow"}) is None


def test_a_flow_that_names_a_channel_which_there_is_not_is_refused(made, tmp_path):
    flow = "flow: shop\nlanguage: ko\nstart: go\nsteps:\n"
    flow += "  go: {hand_over: CHANNEL, reason: 문의, next: end, failed: end}\n"
    for channel in ("web-chat", "kakoa"):
        text = flow.replace("CHANNEL", channel) + "  end: {hang_up: 끝}\n"
        (tmp_path / "shop.yaml").write_text(text, encoding="utf-8")
        if channel == "web-chat":
            draw(made(flows={"dir": tmp_path}))
    with pytest.raises(ConfigError, match='no channel "kakoa"'):
        draw(made(flows={"dir": tmp_path}))
