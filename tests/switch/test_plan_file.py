"""The plan's file: mistakes told with their line, also in lists of tables; and the examples that we publish."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from voiceedge.errors import ConfigError
from voiceedge.switch.checks import check_plan
from voiceedge.switch.plan import Plan, load_plan

ROOT = Path(__file__).parents[2]
PAGE, EXAMPLE = ROOT / "docs" / "switch.md", ROOT / "systemd" / "switch.toml"


def complaint(tmp_path, text):
    path = tmp_path / "switch.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_plan(path)
    return str(caught.value).replace(str(path), "FILE")


def test_a_mistake_in_the_second_of_two_routes_is_told_with_its_line(tmp_path):
    text = '[[routes]]\nflow = "a"\n\n[[routes]]\ncalled = "1588*"\nflwo = "b"\n[queues.q]\nring = "some"\n'
    assert complaint(tmp_path, text).splitlines() == [
        "FILE:6: routes[1].flwo: unknown key; did you mean flow?",
        "FILE:8: queues.q.ring: Input should be 'longest_idle' or 'all'",
    ]


def test_a_route_to_two_places_or_none_is_told_with_its_line(tmp_path):
    text = '[[routes]]\nflow = "a"\n[[routes]]\ncalled = "1"\n'
    assert complaint(tmp_path, text).startswith("FILE:4: routes[1].called: a route leads to exactly one of ")


def test_a_name_that_is_nowhere_is_told_at_the_routes(tmp_path):
    text = '[guard]\n\n[[routes]]\nflow = "a"\n[[routes]]\nqueue = "none"\n'
    assert complaint(tmp_path, text).startswith('FILE:3: routes: route 2 names queue "none", which the plan does not')


@pytest.mark.parametrize(("key", "value"), [("closed", '["2026-13-01"]'), ("timezone", '"Seoul"'), ("open", "[{}]")])
def test_hours_that_cannot_be_are_told(tmp_path, key, value):
    text = "[hours.office]\n" + ("open = []\n" if key != "open" else "") + f"{key} = {value}\n"
    assert re.search(rf"FILE:[23]: hours\.office\.{key}", complaint(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[agents.kim]\nphone = "1001@pbx.example"\n', "agents.kim.phone"),
        ('[agents.kim]\nphone = "1001>;x"\n', "agents.kim.phone"),
        ('[agents.kim]\nphone = ""\n', "agents.kim.phone"),
        ('[trunks.kt]\nusername = "edge;trusted=1"\n', "trunks.kt.username"),
        ("[trunks.kt]\ninbound_user = 'a\"b'\n", "trunks.kt.inbound_user"),
    ],
)
def test_what_would_be_something_else_in_a_sip_message_or_the_fronts_tables_is_refused(tmp_path, text, key):
    assert complaint(tmp_path, text).startswith(f"FILE:2: {key}: ")


def test_the_plan_to_start_from_is_sound(tmp_path):
    text = EXAMPLE.read_text(encoding="utf-8")
    for secret in re.findall(r'"/etc/voiceedge/(.*?-password)"', text):
        (tmp_path / secret).touch()
    path = tmp_path / "switch.toml"
    path.write_text(text.replace("/etc/voiceedge", str(tmp_path)), encoding="utf-8")
    assert check_plan(load_plan(path), ["retail"]) == []


def test_the_page_shows_the_plan_to_start_from_as_it_is():
    (shown,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert EXAMPLE.read_text(encoding="utf-8").endswith(shown)


def test_the_page_names_every_key_of_the_plan():
    page = PAGE.read_text(encoding="utf-8")
    assert not [key for key in keys_of(Plan) if f"`{key}`" not in page]


def keys_of(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = list(models_in(field.annotation))
        if inner:
            yield from (key for kind in inner for key in keys_of(kind))
        else:
            yield field.alias or name


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)
