"""A Mosquitto of a test's own."""

import os
import socket
import subprocess
import time
from pathlib import Path
from shutil import which

from ports import held_tcp_port

START_S = 60


class Mosquitto:
    """A Mosquitto of our own on a free port; `kill` is SIGKILL, and `start` after it uses the same port."""

    def __init__(self, directory: Path, extra: str = "allow_anonymous true", host: str = "127.0.0.1") -> None:
        self.host, self.port = host, held_tcp_port(host)
        self._file = directory / f"mosquitto-{self.port}.conf"
        self._file.write_text(f"listener {self.port} {host}\nuser root\n{extra}\n")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://{self.host}:{self.port}"

    def start(self) -> None:
        program = which("mosquitto") or "/usr/sbin/mosquitto"
        self._process = subprocess.Popen([program, "-c", self._file], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection((self.host, self.port), timeout=1).close()
            except OSError:
                assert self._process.poll() is None, f"mosquitto ended: {self._process.returncode}"
                assert time.monotonic() < deadline, f"mosquitto did not listen within {START_S} s"
                time.sleep(0.01)
            else:
                return

    def signal(self, number: int) -> None:
        assert self._process
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
