"""Real parts that several rooms' tests share."""

import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from shutil import which

import pytest
import structlog
from browser import Browser, Chromium, visiting
from hypothesis import HealthCheck, settings
from mosquitto import Mosquitto
from postgres import PostgresServer

# The same examples each time: what fails one run in fifty tells little. --hypothesis-profile=default tries others.
# However busy the machine: what is too slow is for benchmarks to say.
slow = [HealthCheck.too_slow]
settings.register_profile("repeatable", derandomize=True, deadline=None, suppress_health_check=slow)
settings.load_profile("repeatable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long first, so that nobody waits for it at the end: the demo, then files with slow tests."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: ("test_the_demo" not in item.nodeid, item.path not in slow))


@pytest.fixture(autouse=True)
def _log() -> Iterator[None]:
    """As it was, after a command that has run in here and set it up."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def new_mosquitto(tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    if not (which("mosquitto") or Path("/usr/sbin/mosquitto").exists()):
        pytest.skip("mosquitto is not installed")
    brokers: list[Mosquitto] = []

    def new(extra: str = "allow_anonymous true") -> Mosquitto:
        brokers.append(Mosquitto(tmp_path, extra))
        brokers[-1].start()
        return brokers[-1]

    yield new
    for broker in brokers:
        broker.signal(signal.SIGCONT) if broker._process else None
        broker.kill()


@pytest.fixture
def mosquitto(new_mosquitto: Callable[..., Mosquitto]) -> Mosquitto:
    return new_mosquitto()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One for all: each test takes a database of its own, and leaves the server running."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    with Chromium() as chromium:
        yield chromium


@pytest.fixture
async def browser(chromium: Chromium, tmp_path: Path) -> AsyncIterator[Browser]:
    """Pages opened by it must be in order: see tests/browser.py."""
    async with visiting(chromium, tmp_path / "screenshots") as browser:
        yield browser
