"""No line of our log is given what holds a caller's data, unless it was masked on the way."""

import ast
from collections.abc import Iterator

import pytest
from test_house import MODULES, named

LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "bind"}
# Names, or parts of them, of what holds a caller's data.
TELLING = {
    "address", "addresses", "answer", "body", "called", "caller", "card", "customer", "digits", "email", "evidence",
    "far", "headers", "heard", "keyed", "keys", "mail", "message", "number", "numbers", "payload", "phone",
    "pin", "reply", "said", "secret", "slot", "slots", "subject", "text", "token", "transcript", "value", "values",
}  # fmt: skip
MASKING = {"mask", "mask_text", "pseudonym", "len", "type", "one_line"}
# What is passed all the same: where, and what it holds instead.
HARMLESS = {
    ("voiceedge/edge/call/hearing.py", "self._number"): "hearings are counted",
    ("voiceedge/sip/leg.py", "self.number"): "so are legs",
    ("voiceedge/sip/stack.py", "call.number"): "so are legs",
    ("voiceedge/sip/stack.py", "former.number"): "so are legs",
    ("voiceedge/edge/supervisor.py", "signal.Signals(number).name"): "a signal of the system",
    ("voiceedge/edge/front/nodes.py", "node.address"): "a machine of ours",
}


def logged() -> Iterator[tuple[str, int, ast.expr]]:
    """Every argument of every call that writes to the log: its file, its line and its expression."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(attr=level, value=ast.Name(id="log" | "logger")), args=args):
                    if level in LEVELS:
                        arguments = [*args, *(keyword.value for keyword in node.keywords)]
                        yield from ((named(path), argument.lineno, argument) for argument in arguments)


def telling(expression: ast.expr) -> Iterator[str]:
    """The parts of an expression that are named like a caller's data and are not masked on the way."""
    match expression:
        case ast.Call(func=ast.Name(id=name)) if name in MASKING:
            return
        case ast.Name(id=name) | ast.Attribute(attr=name):
            if set(name.strip("_").lower().split("_")) & TELLING:
                yield ast.unparse(expression)
    inner = [] if isinstance(expression, ast.Attribute) else ast.iter_child_nodes(expression)
    for child in inner:
        if isinstance(child, ast.expr):
            yield from telling(child)


def test_no_line_of_the_log_is_given_a_callers_data_in_the_clear():
    found = [
        f"{path}:{line}: {part}"
        for path, line, expression in logged()
        for part in telling(expression)
        if (path, part) not in HARMLESS
    ]
    assert not found, "mask it, or say in HARMLESS what it is:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("str(error)", []),
        ("mask(call.caller, PersonalDataClass.PERSONAL)", []),
        ("call.caller", ["call.caller"]),
        ("f'to {leg.called_number}'", ["leg.called_number"]),
        ("{'to': [self._caller]}", ["self._caller"]),
        ("transcript[:80]", ["transcript"]),
        ("len(keys)", []),
    ],
)
def test_what_is_named_like_a_callers_data_is_seen(source, parts):
    assert list(telling(ast.parse(source, mode="eval").body)) == parts
