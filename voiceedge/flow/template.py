"""Texts with values in them: "{order_number:digits}" is read out digit by digit; Korean particles follow the sound."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from voiceedge.audio import reading

_READERS: Mapping[str, Callable[[str, str], str]] = {
    "digits": reading.read_digits,
    "number": reading.read_number,
    "won": lambda text, language: reading.read_amount(text, language, "KRW"),
    "dollars": lambda text, language: reading.read_amount(text, language, "USD"),
    "date": reading.read_date,
    "day": lambda text, language: reading.read_date("-" + text.strip()[4:], language),  # a date without its year
    "time": reading.read_time,
}
FORMATS = ("plain", *_READERS)
_FIELD = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_INSIDE = re.compile(r"\s*([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\s*(?::\s*(\w*)\s*)?")
_PARTICLE = re.compile(r"(이/가|은/는|을/를|과/와|으로/로|이라고/라고|이에요/예요|이고/고)")


class TemplateError(Exception):
    """A text could not be filled in: the value is missing, or not of the kind its format reads out."""


@dataclass(frozen=True, slots=True)
class Field:
    path: tuple[str, ...]
    format: str


@dataclass(frozen=True, slots=True)
class Template:
    source: str
    parts: tuple[str | Field, ...]

    @staticmethod
    def parse(source: object) -> "Template":
        """Raises ValueError with a message for the flow's author."""
        if isinstance(source, int | float) and not isinstance(source, bool):
            source = str(source)
        if not isinstance(source, str):
            raise ValueError(f"text is expected here, not {source!r}. Put it in quotes.")  # noqa: TRY004
        if not source.strip():
            raise ValueError("the text is empty. Write what the caller should hear, or remove the key.")
        return Template(source, tuple(_parts(source)))

    @property
    def names(self) -> frozenset[str]:
        return frozenset(part.path[0] for part in self.parts if isinstance(part, Field))

    @property
    def fields(self) -> tuple[Field, ...]:
        return tuple(part for part in self.parts if isinstance(part, Field))

    def fill(self, values: Mapping[str, Any], render: Callable[[Field, Any], str]) -> str:
        """The text with each field's value as `render` writes it. Raises TemplateError."""
        out = ""
        for part in self.parts:
            if isinstance(part, Field):
                out += render(part, look_up(values, part.path))
            elif out and isinstance(part, str):
                out += _fit_particle(out, part)
            else:
                out += part
        return out


def look_up(values: Mapping[str, Any], path: Iterable[str]) -> Any:
    """Raises TemplateError, which names the path and never the value."""
    value: Any = values
    names = tuple(path)
    for name in names:
        if not isinstance(value, Mapping) or name not in value:
            raise TemplateError(f"{'.'.join(names)} has no value")
        value = value[name]
    if value is None:
        raise TemplateError(f"{'.'.join(names)} has no value")
    return value


def speak(value: Any, format_: str, language: str) -> str:
    """A value as it is said aloud. Raises TemplateError where it is not of that kind."""
    text = plain(value)
    reader = _READERS.get(format_)
    if reader is None or isinstance(value, bool):
        return text
    try:
        return reader(text, language)
    except ValueError:
        raise TemplateError(f"a value cannot be read as {format_}") from None


def plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise TemplateError("a list or a record cannot be put into a text")


def _parts(source: str) -> Iterable[str | Field]:
    text, position = "", 0
    for match in _FIELD.finditer(source):
        text += source[position : match.start()]
        position = match.end()
        sign = match.group()
        if sign in {"{{", "}}"}:
            text += sign[0]
            continue
        inside = _INSIDE.fullmatch(match[1]) if match[1] is not None else None
        if inside is None:
            raise ValueError(
                f'"{sign}" is not a value. Write {{name}} or {{name:format}}; write {{{{ for a brace itself.'
            )
        format_ = inside[2] if inside[2] is not None else "plain"
        if format_ not in FORMATS:
            raise ValueError(f'unknown format "{format_}" in "{sign}". There are: {", ".join(FORMATS)}.')
        if text:
            yield text
        text = ""
        yield Field(tuple(inside[1].split(".")), format_)
    text += source[position:]
    if text:
        yield text


def _fit_particle(before: str, text: str) -> str:
    """The particle that fits: "{carrier}이/가" becomes 우체국이 or 택배가; the form after a consonant is first."""
    match = _PARTICLE.match(text)
    if not match:
        return text
    closed, opened = match[1].split("/")
    last = before.rstrip(" .,!?)\"'")[-1:]
    code = ord(last) - 0xAC00 if last else -1
    final = code % 28 if 0 <= code < 11172 else _FINAL_OF_READING.get(last.upper(), 0)  # noqa: PLR2004 - Hangul syllables
    rieul = 8
    use_closed = final not in {0, rieul} if closed == "으로" else final != 0
    return (closed if use_closed else opened) + text[match.end() :]


# Digits and letters by the sound of their Korean names: 8 is ㄹ, any other non-zero a final consonant.
_FINAL_OF_READING = {"0": 21, "1": 8, "3": 16, "6": 1, "7": 8, "8": 8, "L": 8, "M": 16, "N": 4, "R": 8}
