"""A TOML file as the model of it: every mistake is told with file, line and key, whatever file it is in."""

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, ValidationInfo
from pydantic_core import ErrorDetails

from voiceedge.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)
Place = tuple[str | int, ...]  # of a key in the file: names of tables and keys, and indexes in lists of tables


class Section(BaseModel):
    """A table of the file; keys it does not know are mistakes."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _beside_the_file(path: Path, info: ValidationInfo) -> Path:
    return Path(info.context, path.expanduser()) if isinstance(info.context, Path) else path


FilePath = Annotated[Path, AfterValidator(_beside_the_file)]


def read_toml(model: type[Model], path: Path) -> Model:
    """A TOML file as its model; used for every file of data, so that all mistakes are told in the same way."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}. Check the path and its permissions.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: is not UTF-8 text ({error.reason} at byte {error.start}). Save it as UTF-8."
        ) from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"line (\d+), column (\d+)", str(error))
        where = f"{path}:{place[1]}:{place[2]}" if place else str(path)
        raise ConfigError(f"{where}: is not TOML: {str(error).split(' (at ')[0]}") from error
    try:
        return model.model_validate(table, context=path.absolute().parent)
    except ValidationError as error:
        lines = dict(_lines_of_keys(text))
        problems = sorted({_explain(model, problem, table, lines) for problem in error.errors()})
        raise ConfigError("\n".join(f"{path}:{line}: {message}" for line, message in problems)) from error


def readable_by_others(path: Path) -> bool:
    """Whether any user of this machine may read a file that holds a secret."""
    return bool(path.stat().st_mode & 0o004)


def _explain(model: type[BaseModel], problem: ErrorDetails, table: Any, lines: Mapping[Place, int]) -> tuple[int, str]:
    location = list(_in_the_file(problem, table))
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] in {"union_tag_invalid", "union_tag_not_found"}:
        location.append(problem["ctx"]["discriminator"].strip("'"))
        tags = problem["ctx"].get("expected_tags", "").replace("'", '"')
        message = f"is one of {tags}" if tags else "is missing"
    elif problem["type"] == "extra_forbidden":
        fields = _section(model, list(problem["loc"][:-1])).model_fields
        known = [field.alias or name for name, field in fields.items()]
        near = difflib.get_close_matches(str(location[-1]), known, n=1)
        message = f"unknown key; did you mean {near[0]}?" if near else f"unknown key; known here: {', '.join(known)}"
    elif problem["type"] == "missing":
        message = "is missing"
    elif found := re.match(r"(\w+): (.*)", message, re.DOTALL):  # from a check of several keys, which names one
        location.append(found[1])
        message = found[2]
    place = tuple(location)
    line = next((lines[place[:length]] for length in range(len(place), 0, -1) if place[:length] in lines), 1)
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    return line, f"{key}: {message}"


def _in_the_file(problem: ErrorDetails, table: Any) -> Iterator[str | int]:
    """The problem's place without what pydantic adds, which is nowhere in the file: the chosen kind of a union."""
    here = table
    for length, part in enumerate(problem["loc"], 1):
        try:
            here = here[part]
        except (KeyError, IndexError, TypeError):
            if length < len(problem["loc"]) or problem["type"] != "missing":
                continue
        yield part


def _section(model: type[BaseModel], location: list[int | str]) -> type[BaseModel]:
    kinds: list[type[BaseModel]] = []
    for part in location:
        if field := model.model_fields.get(str(part)):
            kinds = list(_models_in(field.annotation))
            model = kinds[0] if kinds else model
        else:  # a name, an index, or the kind chosen
            model = next((kind for kind in kinds if part in _tags(kind)), model)
    return model


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _tags(model: type[BaseModel]) -> set[Any]:
    kinds = (field.annotation for field in model.model_fields.values())
    return {tag for kind in kinds if get_origin(kind) is Literal for tag in get_args(kind)}


def _lines_of_keys(text: str) -> Iterator[tuple[Place, int]]:
    """Each table header and key with its line: tomllib keeps no positions, but reads a single line for us."""
    header: Place = ()
    tables: dict[tuple[str, ...], int] = {}  # of each list of tables, the index of the one at hand
    for number, line in enumerate(text.splitlines(), 1):
        is_header = line.lstrip().startswith("[")
        try:
            table = tomllib.loads(line if is_header else f"{line.partition('=')[0]} = 0")
        except tomllib.TOMLDecodeError:
            continue  # the inside of a value that goes over several lines
        names = tuple(_only_path(table))
        if line.lstrip().startswith("[["):
            if names not in tables:
                yield names, number
            tables[names] = tables.get(names, -1) + 1
        if is_header:
            header = tuple(_with_indexes(names, tables))
            yield header, number
        else:
            yield header + names, number


def _only_path(table: Any) -> Iterator[str]:
    while table and table != [{}]:
        table = table[0] if isinstance(table, list) else table
        name, table = next(iter(table.items()))
        yield name


def _with_indexes(names: tuple[str, ...], tables: Mapping[tuple[str, ...], int]) -> Iterator[str | int]:
    for length, name in enumerate(names, 1):
        yield name
        if names[:length] in tables:
            yield tables[names[:length]]
