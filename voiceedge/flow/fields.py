"""The kinds of values that keys of a flow can have, each read once and refused with words for its author."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator

from voiceedge.flow.expression import Expression
from voiceedge.flow.template import Template

KEYS = frozenset("0123456789*#")
AGENT = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")  # an agent's name, among those who can be dialled

Value = Expression | Template | bool | int | float


def as_list(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


def _name(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", value):
        raise ValueError(f'"{value}" is no name. A name begins with a letter and holds letters a-z, digits, _ and -.')
    return value


def _variable(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", value):
        raise ValueError(
            f'"{value}" is no slot name. A slot\'s name begins with a letter and holds letters a-z, digits and _.'
        )
    return value


def _key(value: object) -> object:
    key = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(key, str) or key not in KEYS or len(key) != 1:
        raise ValueError(f'"{value}" is no key of a telephone. Use one of 0 to 9, "*" or "#".')
    return key


def _value(value: object) -> Value:
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, str) and value.startswith("="):
        return Expression.parse(value[1:].strip())
    return Template.parse(value)


def _phrase(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a phrase is a text that a caller says. Write it, or remove it.")
    return " ".join(value.split())


def _url(template: Template) -> Template:
    """Scheme and host may come from the settings only, so that no caller chooses whom we ask."""
    head = "".join(part if isinstance(part, str) else "{" + ".".join(part.path) + "}" for part in template.parts)
    scheme, separator, rest = head.partition("://")
    if not separator and head.startswith("{settings."):
        return template
    if scheme not in {"http", "https"} or not rest:
        raise ValueError(
            "write the name of a connector, or an address: it begins with http://, https:// or a setting, such as "
            '"{settings.order_api}/orders".'
        )
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if re.search(r"\{(?!settings\.)", host):
        raise ValueError("the host of the address may hold {settings.…} only. Put other values behind its first /.")
    urlsplit(re.sub(r"\{[^}]*\}", "x", head))
    return template


def _system(value: object) -> Template | str:
    """The name of a connector, or an address."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,39}", value):
        return value
    return _url(Template.parse(value))


def _transfer_target(template: Template) -> Template:
    head = template.parts[0] if template.parts and isinstance(template.parts[0], str) else None
    if head is not None and not re.match(r"(sips?|tel):", head, re.IGNORECASE):
        raise ValueError('a call is sent to a SIP address, such as "sip:number@host", or to a setting that holds one.')
    return template


def number_in_quotes(value: object) -> Template:
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(f'put the number in quotes, such as "{value}".')  # noqa: TRY004 - told to the author
    return Template.parse(value)


def _whom(template: Template) -> Template:
    """Somebody who can be dialled. What it is must be plain to see where it holds no values."""
    known = (AGENT.pattern, r"\+?\d[\d\-.() ]{1,30}", r"(?:sips?|tel):\S+")
    if not template.fields and not re.fullmatch("|".join(known), template.source, re.IGNORECASE):
        raise ValueError(
            f'"{template.source}" cannot be dialled. Write an agent\'s name, a number, or an address such as '
            '"sip:kim@192.0.2.7".'
        )
    return template


def _place(template: Template) -> Template:
    if not template.fields:
        _name(template.source)
    return template


Name = Annotated[str, PlainValidator(_name)]
Variable = Annotated[str, PlainValidator(_variable)]
Text = Annotated[Template, PlainValidator(Template.parse)]
Prompt = Annotated[tuple[Text, ...], BeforeValidator(as_list), Field(min_length=1)]
System = Annotated[Template | str, PlainValidator(_system)]
Target = Annotated[Template, PlainValidator(Template.parse), AfterValidator(_transfer_target)]
Whom = Annotated[Template, PlainValidator(number_in_quotes), AfterValidator(_whom)]
Place = Annotated[Template, PlainValidator(Template.parse), AfterValidator(_place)]  # a name of the switch plan
Condition = Annotated[Expression, PlainValidator(Expression.parse)]
Filled = Annotated[Value, PlainValidator(_value)]
PhraseText = Annotated[str, PlainValidator(_phrase)]
Phrases = Annotated[tuple[PhraseText, ...], BeforeValidator(as_list)]
Key = Annotated[str, PlainValidator(_key)]
Seconds = Annotated[float, Field(gt=0, le=60)]
Confirm = Literal["when_unsure", "always", "never"]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)
