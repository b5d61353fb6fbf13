"""The whole examination: the machine, and everything a call needs from it, tried for real wherever it can be."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from voiceedge.appliance import machine
from voiceedge.appliance.finding import Finding, broken, fine, reduced
from voiceedge.audio import synthesis, wav
from voiceedge.audio.prompts import PromptLibrary
from voiceedge.audio.recording import load_opus
from voiceedge.audio.silero import Silero, model_file
from voiceedge.audio.synthesis import RATE
from voiceedge.bus.client import Broker, BusRefusedError, connect
from voiceedge.channels.file import load_channels
from voiceedge.config import Config
from voiceedge.connectors.service import load_profiles
from voiceedge.edge.between import paths
from voiceedge.edge.between.link import LinkClient
from voiceedge.edge.between.serving import read_status
from voiceedge.edge.checks import connector_check, store_check, web_check
from voiceedge.edge.checks.flow_names import outside_of
from voiceedge.edge.front import place
from voiceedge.edge.rooms import keeping
from voiceedge.errors import BusError, ConfigError, FlowError, LinkError, ModelMissingError, NativeError, PromptError
from voiceedge.flow.book import FlowBook
from voiceedge.flow.call import Utterance
from voiceedge.flow.frame import fixed_prompts
from voiceedge.speech.models import vosk_directory, whisper_directory
from voiceedge.switch.checks import check_plan
from voiceedge.switch.plan import load_plan

Read = TypeVar("Read")

SELF_TEST_S = 60.0
BROKER_S = 10.0
ANSWER_S = 5.0


async def examine(config: Config) -> AsyncIterator[Finding]:
    """Each finding as soon as it is made."""
    ours = ports_of_running_service(config)
    if config.front.alone:  # there are no calls, flows and pages here
        for finding in (*machine.examine(config, ours), front(config), switch_plan(config, None)):
            yield finding
        yield await nodes(config)
        return
    for finding in (*machine.examine(config, ours), *web_check.examine(config, ours)):
        yield finding
    async for finding in store_check.examine(config):
        yield finding
    yield await native()
    yield voice_activity()
    yield call_recording(config)
    yield front(config)
    if config.front.fronts:
        yield await nodes(config)
    for finding in models(config):
        yield finding
    for finding in connector_check.examine(config):
        yield finding
    for finding in flows_and_prompts(config):
        yield finding
    if config.mqtt.url:
        yield await broker(config, config.mqtt.url)


def ports_of_running_service(config: Config) -> frozenset[int]:
    """What the service of this configuration listens on, if it is up."""
    try:
        status = read_status(paths.status_file(config))
        Path(f"/proc/{status['supervisor']}").stat()
        facts = [fact for process in status["processes"].values() for fact in process.items()]
    except (OSError, ValueError, KeyError):
        return frozenset()
    ports = {
        urlsplit(value).port if name.endswith("url") else value
        for name, value in facts
        if name.endswith(("port", "url"))
    }
    return frozenset(port for port in ports if port)


async def native() -> Finding:
    """In a process of its own: where PJSIP is not what we think, it aborts."""
    command = (sys.executable, "-m", "voiceedge.edge.checks.self_test")
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    remedy = "Run scripts/setup again; it rebuilds the pipeline and checks it"
    try:
        async with asyncio.timeout(SELF_TEST_S):
            output, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return broken("audio pipeline", f"the self-test hung for {SELF_TEST_S:.0f} s", remedy)
    if process.returncode != 0:
        last = errors.decode(errors="replace").strip().rpartition("\n")[2]
        return broken("audio pipeline", f"the self-test failed ({process.returncode}): {last}", remedy)
    result = json.loads(output)
    if result["problems"]:
        return broken("audio pipeline", "; ".join(result["problems"]), remedy)
    return fine("audio pipeline", f"self-test passed; the SIP stack carries {result['capacity']} calls a worker")


def voice_activity() -> Finding:
    try:
        model = model_file()
        Silero(model)
    except ModelMissingError as error:
        return reduced("voice activity", "music and noise may count as a caller's voice", str(error))
    return fine("voice activity", str(model))


def call_recording(config: Config) -> Finding:
    part, settings = "call recording", config.recording
    if not settings.enabled:
        return fine(part, "off (recording.enabled = false): record steps of flows do nothing")
    try:
        if settings.format == "opus":
            load_opus()
    except NativeError as error:
        remedy = 'apt-get install libopus0, or set recording.format = "wav"'
        return broken(part, f"no call can be recorded: {error}", remedy)
    where = f"{settings.format} files, where a flow wants them, below {paths.recordings(config)}"
    try:
        sealed = keeping.vault(config)
    except ConfigError as error:
        return broken(part, str(error), "give recording.key_file a key: openssl rand -hex 32")
    if not sealed:
        return reduced(part, f"{where}, not encrypted", "set recording.key_file: openssl rand -hex 32 makes a key")
    return fine(part, f"{where}, encrypted")


def front(config: Config) -> Finding:
    """Whether Kamailio can stand before the workers, where that is wanted."""
    part, wanted = "front", config.front.wanted
    if wanted is False:
        return fine(part, "off (front.enabled = false): one worker serves alone")
    bad = broken if wanted else reduced
    without = "one worker serves alone: no trunks, agents or queues, and no more calls than its SIP stack carries"
    try:
        program = place.find_program(config.front.program)
        version = place.version_of(program)
        missing = place.missing_modules(program, tls=config.front.tls_port is not None)
    except ConfigError as error:
        what, _, remedy = str(error).removeprefix("front.program: ").partition(". ")
        return bad(part, f"{what}; {without}", remedy)
    if version < place.OLDEST:
        remedy = f"Install Kamailio {'.'.join(map(str, place.OLDEST))} or newer"
        return bad(part, f"{program} is version {'.'.join(map(str, version))}; {without}", remedy)
    if missing:
        remedy = "apt-get install kamailio-tls-modules kamailio-extra-modules"
        return bad(part, f"modules of Kamailio are missing: {', '.join(missing)}; {without}", remedy)
    return fine(part, f"{program} {'.'.join(map(str, version))}")


async def nodes(config: Config) -> Finding:
    """Whether the other fronts answer ours: they hear nobody else, so only the running front can tell."""
    part, link = "nodes", LinkClient(paths.front_socket(config))
    try:
        found = (await link.request("nodes", {}, timeout_s=ANSWER_S))["nodes"]
    except LinkError:
        return fine(part, f"{', '.join(config.front.fronts)}; whether they answer shows once the service runs")
    finally:
        await link.close()
    silent = [node["address"] for node in found if node["state"] == "down"]
    if not silent:
        return fine(part, f"{', '.join(node['address'] for node in found)}: all answer")
    ours = "its front.nodes names" if config.front.through else "its front.through, or front.nodes, names"
    remedy = f"See that it runs, that UDP gets through both ways, and that {ours} this machine's sip.host and sip.port"
    return reduced(part, f"no answer from {', '.join(silent)}: it gets no calls, or we get none", remedy)


def models(config: Config) -> Iterator[Finding]:
    if not config.speech.enabled:
        yield fine("recognition", "off (speech.enabled = false): callers use keys")
        return
    wanted: dict[str, tuple[Callable[[], Path], str]] = {
        "Vosk model": (lambda: vosk_directory(config.speech), "nothing listens along; Whisper alone decides"),
        "Whisper model": (
            lambda: whisper_directory(config.speech, config.site.data_dir),
            "Vosk alone hears, understands little over the telephone, and asks back; keys always work",
        ),
    }
    for part, (find, without_it) in wanted.items():
        try:
            yield fine(part, str(find()))
        except ModelMissingError as error:
            yield reduced(part, without_it, str(error))


def flows_and_prompts(config: Config) -> Iterator[Finding]:
    renderer = synthesis.choose(config.prompts, config.site.data_dir)
    for missing in renderer.missing:
        what, _, remedy = missing.partition(": ")
        yield reduced("voices", what, remedy)
    if renderer.engines:
        yield fine("voices", renderer.name)
    else:
        yield broken("voices", "nothing can speak what is not recorded", "apt-get install espeak-ng")
    outside = outside_of(
        _read(load_profiles, config.connectors.file),
        _read(load_channels, config.channels.file),
        _read(load_plan, config.switch.plan),
    )
    try:
        book = FlowBook(config.flows.dir, config.flows.values, outside)
    except FlowError as error:
        yield broken("flows", str(error), "Correct the files; `voiceedge flow check` shows when they are right")
        return
    warnings = sum(len(flow.warnings) for flow in book.flows.values())
    yield fine("flows", f"{', '.join(sorted(book.flows))}; {warnings} warnings")
    in_themselves = {warning for flow in FlowBook(config.flows.dir).flows.values() for warning in flow.warnings}
    for flow in book.flows.values():
        for warning in (one for one in flow.warnings if one not in in_themselves):
            what, _, remedy = warning.message.partition(". ")
            yield reduced("names in flows", f"{warning.path}:{warning.mark.line}: {what}", remedy)
    if unknown := sorted(set(config.flows.routes.values()) - set(book.flows)):
        yield broken("routes", f"no such flow: {', '.join(unknown)}", "Correct flows.routes")
    if config.flows.default not in book.flows:
        what = f"a number without a route is led to flow {config.flows.default}, which there is not"
        told = reduced if config.switch.plan or config.flows.routes else broken
        yield told("routes", what, "Set flows.default to one of the flows, or give every number a route")
    yield switch_plan(config, book)
    prompts = [prompt for flow in book.flows.values() for prompt in fixed_prompts(flow)]
    yield from recordings(prompts)
    library = PromptLibrary(paths.prompt_cache(config), renderer)
    pieces = {piece for prompt in prompts for piece in library.pieces(prompt)}
    ready = sum(library.lookup(piece) is not None for piece in pieces)
    later = "" if ready == len(pieces) else "; the service renders the others when it starts"
    yield fine("prompts", f"{ready} of {len(pieces)} sentences ready{later}")


def _read(load: Callable[[Path | None], Read], file: Path | None) -> Read | None:
    """None where it is wrong, which is told elsewhere."""
    try:
        return load(file)
    except ConfigError:
        return None


def switch_plan(config: Config, book: FlowBook | None) -> Finding:
    """`book`: the flows that it leads to, where they are here."""
    part, remedy = "switch plan", "`voiceedge route check` shows when it is right"
    try:
        plan = load_plan(config.switch.plan)
    except ConfigError as error:
        return broken(part, str(error), remedy)
    problems = check_plan(plan, book.flows) if book else []
    text = "; ".join(map(str, problems))
    if any(problem.severity == "error" for problem in problems):
        return broken(part, text, remedy)
    if problems:
        return reduced(part, text, remedy)
    if config.switch.plan is None and not book:
        return fine(part, "none: everybody may call, and no phone can register")
    if config.switch.plan is None:
        return fine(part, "none: flows.routes and flows.default lead every call to a flow")
    held = {"trunks": plan.trunks, "routes": plan.routes, "agents": plan.agents, "queues": plan.queues}
    return fine(part, ", ".join(f"{len(those)} {name}" for name, those in held.items()))


def recordings(prompts: list[Utterance]) -> Iterator[Finding]:
    present = {Path(prompt.recording) for prompt in prompts if prompt.recording and Path(prompt.recording).exists()}
    for path in sorted(present):
        try:
            wav.load(path, RATE)
        except PromptError as error:
            yield reduced("recordings", f"{path.name} cannot be played; its text is said instead", str(error))


async def broker(config: Config, url: str) -> Finding:
    address = Broker.from_url(url, config.mqtt)
    try:
        async with asyncio.timeout(BROKER_S), connect(address):
            return fine("MQTT broker", f"{address} takes us")
    except BusRefusedError as error:
        return broken("MQTT broker", str(error), "Correct mqtt.username and mqtt.password_file, or the broker's rights")
    except (BusError, TimeoutError) as error:
        what = str(error) or f"{address} does not answer"
        return reduced("MQTT broker", what, "Start it, or correct mqtt.url; until then events wait on this disk")
