"""A PostgreSQL of a test's own, which can be killed, frozen and started again."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Self
from urllib.parse import quote

import pytest
from ports import held_tcp_port

START_S, STOP_S = 60, 120
USER = "voiceedge"


def _programs() -> Path | None:
    """Debian keeps the server's programs beside one another by version, and none of them in PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    anywhere = shutil.which("initdb")
    return Path(anywhere).resolve().parent if anywhere else None


class PostgresServer:
    """On a free port of 127.0.0.1, or `host`, and a unix socket, with a password; nothing is synced to the disk."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        programs = _programs()
        if programs is None:
            pytest.skip("PostgreSQL is not installed")
        self._programs, self.host = programs, host
        self._user = "nobody" if os.getuid() == 0 else None  # initdb refuses root
        # Not in pytest's own directory: that is closed to other users.
        self.directory = Path(tempfile.mkdtemp(prefix="voiceedge-postgres-"))
        self.directory.chmod(0o755)
        self._data = self.directory / "data"
        self.password = secrets.token_urlsafe(12)
        self.password_file = self.directory / "password"
        self.password_file.write_text(self.password + "\n")
        self.password_file.chmod(0o600)
        self._data.mkdir(mode=0o700)
        self.port = 0
        if self._user:
            for path in (self._data, self.password_file, self.directory):
                shutil.chown(path, self._user)
        self._process: subprocess.Popen[bytes] | None = None
        initdb = [
            programs / "initdb", "--pgdata", self._data, "--username", USER, "--auth", "scram-sha-256",
            "--pwfile", self.password_file, "--no-sync", "--encoding", "UTF8", "--locale", "C",
        ]  # fmt: skip
        done = subprocess.run(initdb, user=self._user, cwd="/", capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        with (self._data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all all scram-sha-256\n")

    def url(self, database: str = "postgres", parameters: str = "") -> str:
        return f"postgresql://{USER}@{self.host}:{self.port}/{quote(database)}{parameters}"

    def __enter__(self) -> Self:
        """Started, and removed at the block's end."""
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def start(self, *options: str) -> None:
        """Again, too, after a `stop`: with the same data on the same port."""
        self.port = self.port or held_tcp_port(self.host)
        assert self._started(options), (self.directory / "log").read_text()

    def _started(self, options: tuple[str, ...]) -> bool:
        command = [
            self._programs / "postgres", "-D", self._data, "-F",
            "-k", self.directory, "-h", self.host, "-p", str(self.port),
            *(part for option in options for part in ("-c", option)),
        ]  # fmt: skip
        with (self.directory / "log").open("ab") as sink:
            self._process = subprocess.Popen(command, user=self._user, cwd="/", stdout=sink, stderr=sink)
        deadline = time.monotonic() + START_S
        while not self._is_ready(self._process.pid):
            if self._process.poll() is not None:
                self._process = None
                return False
            assert time.monotonic() < deadline, f"PostgreSQL did not start within {START_S} s"
            time.sleep(0.02)
        return True

    def take(self, file: Path) -> None:
        """A copy beside its data, which only the server may read."""
        copy = self._data / file.name
        shutil.copy(file, copy)
        copy.chmod(0o600)
        if self._user:
            shutil.chown(copy, self._user)

    def _is_ready(self, pid: int) -> bool:
        """By its own file, which may still be that of a predecessor who was killed."""
        try:
            lines = (self._data / "postmaster.pid").read_text().split("\n")
        except FileNotFoundError:
            return False
        return lines[0] == str(pid) and any(line.strip() == "ready" for line in lines)

    def stop(self) -> None:
        if self._process:
            for pid in self._family():  # at once; as after a power cut, what was committed is recovered
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGQUIT)
            self.thaw()  # whatever stood still ends before it does anything else
            self._process.wait(STOP_S)
            self._process = None

    def freeze(self) -> None:
        """It keeps its connections, takes new ones, and answers nothing."""
        assert self._process
        os.kill(self._process.pid, signal.SIGSTOP)  # it starts and buries nobody any more
        for pid in self._family():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        for pid in self._family():
            with suppress(ProcessLookupError):  # one that never stood still may be gone meanwhile
                os.kill(pid, signal.SIGCONT)

    def _family(self) -> list[int]:
        assert self._process
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return [self._process.pid, *map(int, children)]

    def execute(self, statement: str, database: str = "postgres") -> str:
        """By psql, over the unix socket."""
        done = subprocess.run(
            [self._programs / "psql", "-XAtq", "-h", self.directory, "-p", str(self.port), "-U", USER, "-d", database,
             "-c", statement],
            env={**os.environ, "PGPASSWORD": self.password}, capture_output=True, text=True, check=False, cwd="/",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def new_database(self, template: str = "template0") -> str:
        """Its name: a database that no other test uses, empty, or a copy of the one named `template`."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.directory)
