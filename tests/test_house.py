"""The house rules that can be held by reading the tree: rooms, arrows, top level, locks, what stays unpublished."""

import ast
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import voiceedge
from voiceedge.cli import COMMANDS
from voiceedge.flow.book import check_paths
from voiceedge.switch.plan import load_plan

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "voiceedge"

# From the top of the house to its ground floor: a room may import those after it, and itself.
ROOMS = (
    "client",
    "cli",
    "edge",
    "web",
    "channels",
    "switch",
    "flow",
    "connectors",
    "context",
    "bus",
    "speech",
    "sip",
    "audio",
    "appliance",
)
# Within large rooms, likewise: their floors, each a module or a package.
FLOORS = {
    "context": (
        "service",
        "resuming",
        "people",
        "publishing",
        "storage",
        "cloudevents",
        "record",
        "events",
        "privacy",
    ),
    "edge": ("demo", "checks", "front", "metrics", "rooms", "tracing", "call", "between"),
}
GROUND = ("config", "config_digital", "config_front", "toml_file", "tls", "clock", "errors")

TOP_LEVEL = {
    ".ci", ".gitignore", "CHANGELOG.md", "LICENSE", "Makefile", "README.ko.md", "README.md", "docs", "hardware",
    "ivr_flows", "native", "pyproject.toml", "requirements-dev.lock", "requirements.lock", "scripts", "systemd",
    "tests", "voiceedge",
}  # fmt: skip
MOST_LINES = 400
LONGER: dict[str, str] = {}

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
if not (ROOT / ".git").exists() or not shutil.which("git"):
    pytest.skip("these tests read what git knows", allow_module_level=True)
TRACKED = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
FILES = [ROOT / name for name in TRACKED.split("\0") if name and (ROOT / name).is_file()]
MODULES = [path for path in FILES if path.suffix == ".py" and path.is_relative_to(PACKAGE)]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{named(path)}:{node.lineno}: a relative import hides which room it enters"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(dotted: str) -> str | None:
    match dotted.split("."):
        case ["voiceedge", room, *_] if room in ROOMS or room in GROUND:
            return room
    return None


def test_arrows_between_rooms_go_down_only():
    order = {room: floor for floor, room in enumerate((*ROOMS, *GROUND))}
    lowest = len(ROOMS)
    wrong = []
    for path in MODULES:
        here = room_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
        if here is None:
            continue
        for there in {room_of(name) for name in imports(path)} - {here, None}:
            same_floor = min(order[here], lowest) == min(order[there], lowest)
            if order[here] > order[there] and not same_floor:
                wrong.append(f"{named(path)} imports {there}, which is above {here}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("room", FLOORS)
def test_arrows_within_a_room_go_down_only(room):
    order = {f"voiceedge.{room}.{floor}": height for height, floor in enumerate(FLOORS[room])}
    wrong = []
    for path in MODULES:
        here = ".".join(path.relative_to(ROOT).with_suffix("").parts[:3])
        if here not in order:
            continue
        for name in imports(path):
            there = ".".join(name.split(".")[:3])
            above = there.startswith(f"voiceedge.{room}.") and there not in order
            if above or order.get(there, len(order)) < order[here]:
                wrong.append(f"{named(path)} imports {name}, which is above it")
    assert not wrong, "\n".join(wrong)


def test_every_room_is_one_of_the_design():
    rooms = {path.relative_to(PACKAGE).parts[0] for path in MODULES if path.parent != PACKAGE}
    assert rooms <= set(ROOMS)


def test_only_the_sip_room_knows_pjsua2():
    strangers = [named(path) for path in MODULES if "pjsua2" in {name.split(".")[0] for name in imports(path)}]
    assert all(name.startswith("voiceedge/sip/") for name in strangers), strangers


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_says_in_one_sentence_what_it_is_for(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    first = (ast.get_docstring(tree) or "").split("\n")[0]
    assert first.endswith((".", ")")) or not tree.body, f"{named(path)} opens with no sentence"


def test_a_module_holds_one_idea():
    lengths = {named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    long = {name: lines for name, lines in lengths.items() if lines > MOST_LINES and name not in LONGER}
    assert not long, f"split it, or say in LONGER why not: {long}"


def test_the_top_level_is_as_given():
    assert {path.relative_to(ROOT).parts[0] for path in FILES} <= TOP_LEVEL


def test_the_tests_mirror_the_package():
    rooms = {
        path.parent.name for path in FILES if path.parent.parent == ROOT / "tests" and path.name.startswith("test_")
    }
    assert rooms <= {*ROOMS, "native", "e2e", "load", "hardware"}


def texts() -> Iterator[tuple[Path, str]]:
    for path in FILES:
        try:
            yield path, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("a registry's address", r"py[p]i\.org|python[h]osted|\.[d]ebian\.org|registry\.[n]pmjs|index-url[ =]+\S*:/"),
        ("a path of one developer's machine", r"(?<![\w.])/(?:home|Users)/\w|/root/\w|/[w]ork/|/tmp/[l]ab"),
        ("something left for later", r"\b(?:TO[D]O|FIX[M]E|X[X]X)\b"),
    ],
)  # fmt: skip
def test_nothing_is_published_that_belongs_to_one_place(what, pattern):
    found = [
        f"{named(path)}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}"
        for path, text in texts()
        if path.name != "LICENSE"
        for match in re.finditer(pattern, text)
    ]
    assert not found, f"{what}:\n" + "\n".join(found)


def locked(lock: str) -> dict[str, str]:
    text = (ROOT / lock).read_text(encoding="utf-8")
    return {
        canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE)
    }


def wanted(*extras: str) -> Iterator[Requirement]:
    project = PYPROJECT["project"]
    yield from map(Requirement, project["dependencies"])
    for extra in extras:
        yield from map(Requirement, project["optional-dependencies"][extra])


@pytest.mark.parametrize(
    ("lock", "extras"),
    [("requirements.lock", ("models", "build")), ("requirements-dev.lock", ("models", "build", "dev"))],
)
def test_what_the_project_needs_is_locked(lock, extras):
    versions = locked(lock)
    stale = [
        str(requirement)
        for requirement in wanted(*extras)
        if not requirement.specifier.contains(versions.get(canonicalize_name(requirement.name), "0"))
    ]
    assert not stale, f"run scripts/lock: {lock} does not hold {stale}"


def test_both_locks_agree_and_every_package_has_a_hash():
    service, tools = locked("requirements.lock"), locked("requirements-dev.lock")
    assert {name: tools.get(name) for name in service} == service
    for lock in ("requirements.lock", "requirements-dev.lock"):
        blocks = re.split(r"^(?=[\w-]+==)", (ROOT / lock).read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
        assert all("--hash=sha256:" in block for block in blocks)


def test_the_licence_is_the_one_we_say():
    assert "GNU GENERAL PUBLIC LICENSE" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert PYPROJECT["project"]["license"] == "GPL-3.0-or-later"


def test_the_package_is_typed_and_has_its_command():
    assert (PACKAGE / "py.typed").exists()
    assert PYPROJECT["project"]["scripts"]["voiceedge"] == "voiceedge.cli:app"
    assert {point.value for point in entry_points(group="console_scripts", name="voiceedge")} <= {"voiceedge.cli:app"}
    assert PYPROJECT["project"]["version"] == voiceedge.__version__


@pytest.mark.parametrize("readme", ["README.md", "README.ko.md"])
def test_every_command_of_the_readme_exists(readme):
    text = (ROOT / readme).read_text(encoding="utf-8")
    commands = COMMANDS
    for script in set(re.findall(r"(?<![\w/])scripts/[\w-]+", text)):
        assert (ROOT / script).exists(), script
    for command in set(re.findall(r"(?:^|[`/ ])voiceedge ([a-z]+)(?![\w/])", text, re.MULTILINE)):
        assert command in commands, f"voiceedge {command}"


@pytest.mark.parametrize("readme", ["README.md", "README.ko.md"])
def test_the_flow_in_the_readme_has_no_mistake(readme, tmp_path):
    block = re.search(r"```yaml\n(.*?)```", (ROOT / readme).read_text(encoding="utf-8"), re.DOTALL)
    file = tmp_path / "hours.yaml"
    file.write_text(block[1], encoding="utf-8")
    assert not check_paths([file])


@pytest.mark.parametrize("readme", ["README.md", "README.ko.md"])
def test_the_plan_in_the_readme_has_no_mistake(readme, tmp_path):
    block = re.search(r"```toml\n(.*?)```", (ROOT / readme).read_text(encoding="utf-8"), re.DOTALL)
    file = tmp_path / "switch.toml"
    file.write_text(block[1], encoding="utf-8")
    (tmp_path / "kim-password").write_text("secret", encoding="utf-8")
    assert load_plan(file).bridges


def test_both_readmes_have_the_same_parts():
    parts = [
        [(len(hashes), index) for index, hashes in enumerate(re.findall(r"^(#+) ", text, re.MULTILINE))]
        for text in ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.ko.md"))
    ]
    assert parts[0] == parts[1]


@pytest.mark.parametrize("script", sorted((ROOT / "scripts").glob("*")), ids=lambda path: path.name)
def test_a_script_is_executable_and_says_what_it_is_for(script):
    if script.is_dir():
        return
    assert script.stat().st_mode & 0o111, f"chmod +x {script.name}"
    first, second = script.read_text(encoding="utf-8").splitlines()[:2]
    assert first.startswith("#!")
    assert second.startswith(("# ", '"""'))


def test_every_target_of_the_makefile_is_a_script():
    targets = re.findall(r"^([a-z-]+): ##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"setup", "demo", "run", "check", "test"} <= set(targets)
    for target in set(targets) - {"help", "clean"}:
        assert (ROOT / "scripts" / target).exists(), target
