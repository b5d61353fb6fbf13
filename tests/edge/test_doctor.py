"""The doctor: each part tried for real, and for each that is not well, what to do."""

import contextlib
import json
import os
import socket
import wave
from pathlib import Path

import pytest
from typer.testing import CliRunner

from voiceedge.appliance.finding import State
from voiceedge.cli import app
from voiceedge.config import Config, Connectors, Flows, Mqtt, Prompts, Recording, Sip, Site, Speech
from voiceedge.edge import service
from voiceedge.edge.between import paths
from voiceedge.edge.checks import connector_check, doctor
from voiceedge.errors import ModelMissingError, NativeError
from voiceedge.flow.call import Utterance

FLOWS = Path(__file__).parents[2] / "ivr_flows"


@pytest.fixture
def config(tmp_path):
    return Config(
        site=Site(data_dir=tmp_path / "data", run_dir=tmp_path / "run"),
        sip=Sip(host="127.0.0.1", port=0),
        flows=Flows(dir=FLOWS),
        prompts=Prompts(engine="espeak"),
        mqtt=Mqtt(embedded_port=0),
    )


def by_part(findings):
    return {finding.part: finding for finding in findings}


async def test_the_native_pipeline_is_tried_in_a_process_of_its_own():
    finding = await doctor.native()
    assert finding.state is State.FINE, finding
    assert "calls a worker" in finding.what


async def test_a_self_test_that_aborts_is_a_finding_and_no_crash(monkeypatch, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'Assertion failed' >&2\nkill -ABRT $$\n")
    python.chmod(0o755)
    monkeypatch.setattr(doctor.sys, "executable", str(python))
    finding = await doctor.native()
    assert finding.state is State.BROKEN
    assert "-6" in finding.what
    assert "Assertion failed" in finding.what
    assert finding.remedy


async def test_a_broker_that_takes_us_is_fine(config, mosquitto):
    assert (await doctor.broker(config, mosquitto.url)).state is State.FINE


async def test_an_absent_broker_reduces_and_breaks_nothing(config):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        finding = await doctor.broker(config, f"mqtt://127.0.0.1:{unused.getsockname()[1]}")
    assert finding.state is State.REDUCED
    assert "events wait" in finding.remedy


async def test_a_wrong_password_is_broken_and_not_shown(config, new_mosquitto, tmp_path):
    users = tmp_path / "users"
    users.touch(mode=0o600)
    mosquitto = new_mosquitto(f"allow_anonymous false\npassword_file {users}")
    secret = tmp_path / "password"
    secret.write_text("s3cret")
    settings = config.model_copy(update={"mqtt": Mqtt(username="edge", password_file=secret)})
    finding = await doctor.broker(settings, mosquitto.url)
    assert finding.state is State.BROKEN
    assert "s3cret" not in finding.what + finding.remedy


def test_recording_is_fine_where_it_is_encrypted_and_its_format_can_be_written(config, monkeypatch, tmp_path):
    def without_opus():
        raise NativeError("libopus is not installed")

    monkeypatch.setattr(doctor, "load_opus", without_opus)
    good, bad = tmp_path / "key", tmp_path / "no-key"
    good.write_text("ab" * 32)
    bad.write_text("secret")
    for settings, state, remedy in (
        (Recording(), State.FINE, ""),
        (Recording(enabled=True, key_file=good), State.FINE, ""),
        (Recording(enabled=True), State.REDUCED, "recording.key_file"),
        (Recording(enabled=True, key_file=bad), State.BROKEN, "openssl rand"),
        (Recording(enabled=True, key_file=good, format="opus"), State.BROKEN, "libopus0"),
    ):
        finding = doctor.call_recording(config.model_copy(update={"recording": settings}))
        assert (finding.state, remedy in finding.remedy) == (state, True)


def test_no_model_means_less_and_not_nothing(config, tmp_path):
    speech = Speech(vosk_model=tmp_path / "none", whisper_model=tmp_path / "none")
    findings = list(doctor.models(config.model_copy(update={"speech": speech})))
    assert [finding.state for finding in findings] == [State.REDUCED, State.REDUCED]
    assert all("speech." in finding.remedy for finding in findings)


def test_without_the_judge_of_voice_the_gate_goes_on(monkeypatch):
    assert doctor.voice_activity().state is State.FINE

    def nowhere():
        raise ModelMissingError("install the package")

    for module in (doctor, service):
        monkeypatch.setattr(module, "model_file", nowhere)
    assert doctor.voice_activity().state is State.REDUCED
    assert service._silero() is None


def test_recognition_may_be_off(config):
    findings = list(doctor.models(config.model_copy(update={"speech": Speech(enabled=False)})))
    assert [finding.state for finding in findings] == [State.FINE]


def test_the_flows_we_ship_are_fine(config):
    assert by_part(doctor.flows_and_prompts(config))["flows"].state is State.FINE


def test_a_flow_with_a_mistake_is_told_with_its_line(config, tmp_path):
    (tmp_path / "shop.yaml").write_text("flow: shop\nlanguage: ko\nstart: hello\nsteps: {}\n", encoding="utf-8")
    broken = config.model_copy(update={"flows": Flows(dir=tmp_path)})
    finding = by_part(doctor.flows_and_prompts(broken))["flows"]
    assert finding.state is State.BROKEN
    assert "shop.yaml:" in finding.what


def test_a_route_to_a_flow_that_is_not_there_is_broken(config):
    routed = config.model_copy(update={"flows": Flows(dir=FLOWS, routes={"1588": "warehouse"})})
    finding = by_part(doctor.flows_and_prompts(routed))["routes"]
    assert finding.state is State.BROKEN
    assert "warehouse" in finding.what


def test_a_name_that_the_site_has_not_is_told_and_where(config, tmp_path):
    told = [finding for finding in doctor.flows_and_prompts(config) if finding.part == "names in flows"]
    assert any('no mailbox "messages"' in finding.what for finding in told)
    assert {finding.state for finding in told} == {State.REDUCED}
    (tmp_path / "shop.yaml").write_text(
        "flow: shop\nlanguage: ko\nstart: go\nsteps:\n  go: {hand_over: kakoa, reason: 문의, next: end, failed: end}\n"
        "  end: {hang_up: 끝}\n",
        encoding="utf-8",
    )
    finding = by_part(doctor.flows_and_prompts(config.model_copy(update={"flows": Flows(dir=tmp_path)})))["flows"]
    assert finding.state is State.BROKEN
    assert 'no channel "kakoa"' in finding.what


async def test_what_is_wrong_with_the_channels_file_is_part_of_the_whole_examination(config, tmp_path):
    (tmp_path / "channels.toml").write_text("[channels.sms]\nkind = 1\n", encoding="utf-8")
    channels = config.channels.model_copy(update={"file": tmp_path / "channels.toml"})
    async with contextlib.aclosing(doctor.examine(config.model_copy(update={"channels": channels}))) as findings:
        async for finding in findings:
            if finding.part == "channels":
                assert finding.state is State.BROKEN
                return
    pytest.fail("nothing is said of it")


def test_a_recording_that_is_no_wav_is_told_and_a_good_one_is_not(tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"ID3 this is music")
    with wave.open(str(tmp_path / "good.wav"), "wb") as good:
        good.setparams((1, 2, 8000, 0, "NONE", ""))
        good.writeframes(bytes(1600))
    prompts = [Utterance("안녕하세요", "ko", str(tmp_path / name)) for name in ("bad.wav", "good.wav", "none.wav")]
    findings = list(doctor.recordings(prompts))
    assert [finding.what.split()[0] for finding in findings] == ["bad.wav"]


def test_the_ports_of_a_running_service_are_known_and_of_a_dead_one_are_not(config):
    assert doctor.ports_of_running_service(config) == frozenset()
    status = {
        "supervisor": os.getpid(),
        "processes": {"control": {"mqtt_url": "mqtt://127.0.0.1:1884"}, "worker-1": {"sip_port": 5070, "pid": 7}},
    }
    file = paths.status_file(config)
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(status))
    assert doctor.ports_of_running_service(config) == {1884, 5070}
    file.write_text(json.dumps({**status, "supervisor": 2**22 + 1}))
    assert doctor.ports_of_running_service(config) == frozenset()


@pytest.mark.slow
def test_the_command_tells_programs_what_it_tells_people(tmp_path):
    path = tmp_path / "voiceedge.toml"
    path.write_text(
        f'[site]\ndata_dir = "data"\n[sip]\nhost = "127.0.0.1"\nport = 0\n[flows]\ndir = "{FLOWS}"\n'
        '[prompts]\nengine = "espeak"\n[mqtt]\nembedded_port = 0\n[speech]\nenabled = false\n',
        encoding="utf-8",
    )
    result = CliRunner().invoke(app, ["doctor", "--config", str(path), "--json"])
    report = json.loads(result.stdout)
    assert result.exit_code == 0, report
    assert report["state"] in {"fine", "reduced"}
    assert {"SIP port, UDP", "audio pipeline", "flows", "voices"} <= {row["part"] for row in report["findings"]}


def test_a_configuration_with_a_mistake_is_the_finding(tmp_path):
    path = tmp_path / "voiceedge.toml"
    path.write_text("[sip]\nprot = 1\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["doctor", "--config", str(path)])
    assert result.exit_code == 1
    assert f"{path}:2: sip.prot: unknown key; did you mean port?" in result.stdout


def test_connectors_are_told_with_what_is_wrong_and_whose_secrets_lie_open(config, tmp_path):
    file, token = tmp_path / "connectors.toml", tmp_path / "token"
    profile = '[connectors.crm]\nkind = "http"\nurl = "http://crm.example/{phone}"\nfound = {name = "name"}\n'
    file.write_text(profile + 'bearer_file = "token"\n')
    config = config.model_copy(update={"connectors": Connectors(file=file)})
    (finding,) = connector_check.examine(config)
    assert finding.state is State.BROKEN
    assert "connectors.crm.bearer_file" in finding.what
    token.write_text("secret")
    token.chmod(0o644)
    well, open_ = connector_check.examine(config)
    assert (well.state, well.what) == (State.FINE, "crm (http)")
    assert (open_.state, open_.remedy) == (State.REDUCED, f"chmod 640 {token}")
    token.chmod(0o600)
    assert len(list(connector_check.examine(config))) == 1
