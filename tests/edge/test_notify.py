"""What systemd is told."""

import os
import socket

import pytest

from voiceedge.edge import systemd


@pytest.fixture
def listener(tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        channel.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield channel


def test_a_state_reaches_systemd_as_lines(listener):
    systemd.notify("READY=1", "STATUS=answering calls")
    assert listener.recv(1000) == b"READY=1\nSTATUS=answering calls"


def test_a_reload_tells_its_moment(listener):
    systemd.notify_reloading()
    reloading, moment = listener.recv(1000).split(b"\n")
    assert reloading == b"RELOADING=1"
    assert int(moment.removeprefix(b"MONOTONIC_USEC=")) > 0


def test_an_abstract_socket_is_understood(monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        name = f"voiceedge-test-{os.getpid()}"
        channel.bind(f"\0{name}")
        channel.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        systemd.notify("STOPPING=1")
        assert channel.recv(1000) == b"STOPPING=1"


def test_without_systemd_nothing_is_said(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    systemd.notify("READY=1")


@pytest.mark.parametrize(
    ("microseconds", "pid", "interval"),
    [("30000000", "", 15.0), ("30000000", "ours", 15.0), ("30000000", "1", None), ("", "", None)],
)
def test_the_watchdog_is_fed_twice_as_often_as_it_bites(monkeypatch, microseconds, pid, interval):
    monkeypatch.setenv("WATCHDOG_USEC", microseconds)
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if pid == "ours" else pid)
    assert systemd.watchdog_interval_s() == interval
