"""What is wrong with a flow file is told all at once, each with its line, and with what to do about it."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from voiceedge.cli import app
from voiceedge.flow.book import check_paths
from voiceedge.flow.checks import check
from voiceedge.flow.lint import lint
from voiceedge.flow.loader import understand
from voiceedge.flow.source import LARGEST_FILE, Source, parse

TEN_MISTAKES = """\
flow: planted
language: ko
start: greeting
slots:
  number: {means: 주문 번호, class: nonne}
steps:
  greeting:
    say: ""
    next: menuu
  menu:
    ask: 배송 조회는 일 번, 교환은 이 번입니다.
    choices:
      delivery: {say: [배송 조회], key: 1, next: by_number}
      return: {say: [교환], key: 1, next: bye}
    barge-in: true
    otherwise: bye
  by_number:
    choose:
      - {when: number = "1", next: bye}
      - {when: numbr == "2", next: bye}
    otherwise: sub
  sub:
    run: nowhere
    on: {done: silent}
  silent:
    say: 감사합니다.
  orphan:
    hang_up: 아무도 오지 않습니다.
  bye:
    hang_up: 감사합니다.
"""

END = "\n  b: {hang_up: 네}"
HEAD = "flow: test\nlanguage: ko\nstart: a\n"


def test_ten_planted_mistakes_are_ten_messages_with_the_right_line(tmp_path):
    file = tmp_path / "planted.yaml"
    file.write_text(TEN_MISTAKES, encoding="utf-8")
    result = CliRunner().invoke(app, ["flow", "check", str(file)])
    found = [line.removeprefix(f"{file}:") for line in result.stdout.splitlines()]
    assert result.exit_code == 1
    assert [(line.split(": ")[0], part) for line, part in zip(found, [
        "nonne", "empty", "menuu", "already", "barge-in", '"=="', "numbr", "nowhere", "next", "orphan",
    ], strict=True) if part in line] == [
        ("5:33", "nonne"), ("8:10", "empty"), ("9:11", "menuu"), ("14:32", "already"), ("15:5", "barge-in"),
        ("19:16", '"=="'), ("20:16", "numbr"), ("23:10", "nowhere"), ("25:3", "next"), ("27:3", "orphan"),
    ]  # fmt: skip
    assert 'Did you mean "menu"?' in found[2]
    assert 'Did you mean "barge_in"?' in found[4]
    assert "10 errors" in result.stderr


@pytest.mark.slow
@pytest.mark.speech
def test_a_right_flow_has_no_problems_and_exit_code_0():
    result = CliRunner().invoke(app, ["flow", "check", "ivr_flows"])
    assert (result.exit_code, result.stdout) == (0, "")


def test_a_file_that_is_not_there_is_wrong_usage():
    assert CliRunner().invoke(app, ["flow", "check", "no/such.yaml"]).exit_code == 2


def test_warnings_fail_only_when_asked_to(flows):
    file = flows.write(HEAD + "steps:\n  a: {ask: 네, otherwise: b, choices: {" + ", ".join(
        f"c{n}: {{key: {n}, next: b}}" for n in range(6)) + "}}\n  b: {hang_up: 네}\n")  # fmt: skip
    assert CliRunner().invoke(app, ["flow", "check", "--no-vocabulary", str(file)]).exit_code == 0
    assert CliRunner().invoke(app, ["flow", "check", "--no-vocabulary", "--strict", str(file)]).exit_code == 1


def test_an_empty_directory_is_a_problem(tmp_path):
    assert "no flow files" in str(check_paths([tmp_path])[0])


@pytest.mark.parametrize(
    ("steps", "place", "words"),
    [
        ("  a: {say: 네}", "5:3", '"next" is missing'),
        ("  a: {say: 네, next: b}", "5:21", 'no step "b"'),
        ("  a: {say: 네, nxt: b}\n  b: {hang_up: 네}", "5:15", 'Did you mean "next"'),
        ("  a: {say: 3, hang_up: 네}", "5:15", "two things"),
        ("  a: {syy: 네}", "5:3", 'Did you mean "say"'),
        ("  a: 네", "5:3", "must hold keys"),
        ("  a: {hang_up: [네, '']}", "5:20", "empty"),
        ("  a: {hang_up: {text: 네}}", "5:7", "text is expected"),
        ("  a: {hang_up: '{numbr}'}", "5:16", 'no slot "numbr"'),
        ("  a: {hang_up: '{n:digit}'}", "5:16", 'unknown format "digit"'),
        ("  a: {hang_up: 'n} '}", "5:16", "write {{ for a brace"),
        ("  a: {hang_up: '{settings.x}'}", "5:16", 'no "settings.x"'),
        ("  a: {hang_up: '{now}'}", "5:16", "is a group"),
        ("  a: {transfer: 02-1234-5678, failed: b}\n  b: {hang_up: 네}", "5:17", "a SIP address"),
        ("  a: {hang_up: 네, recording: no.wav}", "5:30", 'no file "no.wav"'),
        ("  a: {hang_up: 네, recording: ../no.wav}", "5:30", "outside the folder"),
        ("  a: {set: {n: 1}, next: a}", "5:3", "never ends"),
        ("  a: {set: {m: 1}, next: b}\n  b: {hang_up: 네}", "5:13", 'no slot "m"'),
        ("  a: {set: {n: '= n +'}, next: b}\n  b: {hang_up: 네}", "5:16", "not complete"),
        ("  a: {set: {n: '= foo(n)'}, next: b}\n  b: {hang_up: 네}", "5:16", 'unknown function "foo"'),
        ("  a: {choose: [], otherwise: b}\n  b: {hang_up: 네}", "5:7", '"choose" is empty'),
        ("  a: {choose: [{when: n == 1, next: c}], otherwise: b}\n  b: {hang_up: 네}", "5:37", 'no step "c"'),
        ("  a: {choose: [{when: 3, next: b}], otherwise: b}\n  b: {hang_up: 네}", "5:23", "a condition is expected"),
        ("  a: {choose: [{when: now.hour == 3, next: b}], otherwise: b}\n  b: {hang_up: 네}", "5:23", "now.hour"),
        ("  a: {ask: 네, otherwise: b}\n  b: {hang_up: 네}", "5:3", "no answers"),
        ("  a: {ask: 네, choices: {x: {key: 1, next: b}}}\n  b: {hang_up: 네}", "5:3", "trapped"),
        ("  a: {ask: 네, choices: {x: {key: 1}}, otherwise: b}\n  b: {hang_up: 네}", "5:25", "leads nowhere"),
        ("  a: {ask: 네, choices: {x: {next: b}}, otherwise: b}\n  b: {hang_up: 네}", "5:25", "nobody can choose"),
        ("  a: {ask: 네, choices: {x: {key: A, next: b}}, otherwise: b}\n  b: {hang_up: 네}", "5:34", "no key of"),
        ("  a: {ask: 네, digits: 5..3, into: n, next: b, otherwise: b}\n  b: {hang_up: 네}", "5:23", "must grow"),
        ("  a: {ask: 네, digits: five, into: n, next: b, otherwise: b}\n  b: {hang_up: 네}", "5:23", "5..12"),
        ("  a: {ask: 네, digits: 4, next: b, otherwise: b}\n  b: {hang_up: 네}", "5:3", '"into" is missing'),
        ("  a: {ask: 네, digits: 4, into: m, next: b, otherwise: b}\n  b: {hang_up: 네}", "5:32", 'no slot "m"'),
        ("  a: {ask: 네, digits: 4, into: n, next: b, otherwise: b, choices: {x: {key: 1, next: b}}}"
         + END, "5:77", "part of the number"),
        ("  a: {look_up: 'ftp://x/', into: n, found: b, not_found: b, error: b}" + END, "5:16", "http://"),
        ("  a: {look_up: 'http://{n}/', into: n, found: b, not_found: b, error: b}" + END, "5:16", "host"),
        ("  a: {look_up: 'http://x/', into: n, found: b, not_found: b, error: b, timeout_s: 99}\n  b: {hang_up: 네}",
         "5:83", "less than or equal to 10"),
        ("  a: {hand_over: chat, reason: 네, take: [m], next: b, failed: b}" + END, "5:42", 'no slot "m"'),
        ("  a: {transfer: 'sip:x@y'}", "5:3", '"failed" is missing'),
        ("  a: {run: test, on: {x: b}}\n  b: {return: x}", "5:12", "without end"),
        ("  a: {hang_up: 네}\n  again: {hang_up: 네}", "6:3", "another name"),
        ("  a: {hang_up: 네, outcome: 3}", "5:28", "must be text"),
        ("  a b: {hang_up: 네}", "3:8", 'no step "a"'),
    ],
)  # fmt: skip
def test_each_kind_of_mistake_is_told_at_its_place(flows, steps, place, words):
    errors = flows.errors(HEAD + "steps:\n" + steps + "\nslots: {n: 번호}\n")
    assert any(error.startswith(f"{place}: ") and words in error for error in errors), errors


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "1:1", "is empty"),
        ("- a\n", "1:1", "Begin with"),
        ("flow: a\n", "1:1", "needs steps"),
        ("flow: test\nlanguage: fr\nstart: a\nsteps: {a: {hang_up: x}}\n", "2:11", '"ko" or "en"'),
        ("flow: test\nlanguage: ko\nsteps: {a: {hang_up: x}}\n", "1:1", '"start" is missing'),
        (HEAD + "timezone: Asia/Soul\nsteps: {a: {hang_up: x}}\n", "4:11", "no time zone"),
        (HEAD + "stepps: {}\nsteps: {a: {hang_up: x}}\n", "4:1", 'Did you mean "steps"'),
        (HEAD + "slots: {now: x}\nsteps: {a: {hang_up: x}}\n", "4:9", "meaning of its own"),
        (HEAD + "slots: {a-b: x}\nsteps: {a: {hang_up: x}}\n", "4:9", "no slot name"),
        (HEAD + "words: {yes: [yes]}\nsteps: {a: {hang_up: x}}\n", "4:15", "not Hangul"),
        (HEAD + "anywhere: {x: {key: 0}}\nsteps: {a: {hang_up: x}}\n", "4:12", "leads nowhere"),
        (HEAD + "on_error: q\nsteps: {a: {hang_up: x}}\n", "4:11", 'no step "q"'),
        (HEAD + "steps:\n  a: {hang_up: x\n", "5:6", "a { is not closed"),
        (HEAD + 'steps:\n  a:\n    hang_up: "x\n', "6:14", "quotation mark is not closed"),
        (HEAD + 'steps:\n  a:\n    say: "x\n    next: b\n  b:\n    hang_up: "네"\n', "6:10", "quotation mark"),
        (HEAD + "steps:\n\ta: {hang_up: x}\n", "5:1", "Indent with spaces"),
        (HEAD + "steps:\n  a: {hang_up: 네: 네: 네}\n   b: 1\n", "5:", "cannot be read"),
        (HEAD + "steps: {a: &x {hang_up: x}}\n", "4:12", "no YAML anchors"),
        (HEAD + "steps: {a: !!python/object {hang_up: x}}\n", "4:12", "no YAML tags"),
        (HEAD + "steps: {a: " + "[" * 30 + "]" * 30 + "}\n", "4:", "nested"),
        (HEAD + "steps: {a: {hang_up: x}}\n---\na: 1\n", "5:1", "one flow"),
        (HEAD + "steps: {a: {hang_up: x}, a: {hang_up: y}}\n", "4:26", "second time"),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_as_a_whole_says_where_to_begin(flows, text, place, words):
    errors = flows.errors(text)
    assert any(error.startswith(place) and words in error for error in errors), errors


def test_an_english_flow_takes_english_phrases_only(flows):
    errors = flows.errors(
        "flow: test\nlanguage: en\nstart: a\notherwise: b\nsteps:\n"
        "  a: {ask: Yes?, next: b, choices: {x: {say: [네]}, y: {say: [option 2]}, z: {say: [it's ok]}}}\n"
        "  b: {hang_up: Bye}\n"
    )
    assert [error.split(" ")[1] for error in errors] == ['"네"', '"option']


def test_the_same_phrase_is_found_however_it_is_spaced(flows):
    errors = flows.errors(
        HEAD + "otherwise: b\nsteps:\n  a: {ask: 네, next: b, choices: {x: {say: [배송 조회]}, y: {say: 배송조회}}}\n"
        "  b: {hang_up: 네}\n"
    )
    assert len(errors) == 1
    assert 'already a phrase of "x"' in errors[0]


def test_sub_flows_must_exist_return_what_is_expected_and_know_their_slots(flows):
    flows.write(
        "flow: inner\nlanguage: ko\nstart: a\nslots: {given: x}\nsteps:\n"
        "  a: {choose: [{when: given == '1', next: b}], otherwise: c}\n  b: {return: good}\n  c: {return: bad}\n",
        "inner",
    )
    errors = flows.errors(
        HEAD + "slots: {n: 번호}\nsteps:\n"
        "  a: {run: inner, with: {gven: 1}, into: {n: gvn}, on: {good: b, bat: b}}\n  b: {hang_up: 네}\n"
    )
    assert sorted(error.split('"')[3] for error in errors) == ["bad", "bat", "gven", "gvn"]


def test_flows_that_run_each_other_in_circles_are_refused(flows):
    text = "flow: {0}\nlanguage: ko\nstart: a\nsteps:\n  a: {{run: {1}, on: {{done: b}}}}\n  b: {{return: done}}\n"
    flows.write(text.format("one", "two"), "one")
    flows.write(text.format("two", "one"), "two")
    problems = check_paths([flows.directory])
    assert len(problems) == 2
    assert all("without end" in problem.message for problem in problems)


def test_two_files_with_the_same_flow_name_are_refused(flows):
    flows.write(HEAD + "steps: {a: {hang_up: 네}}\n", "one")
    flows.write(HEAD + "steps: {a: {hang_up: 네}}\n", "two")
    assert ["also the name of one.yaml" in problem.message for problem in check_paths([flows.directory])] == [True]


def test_a_slot_that_cannot_have_a_value_yet_is_warned_of(flows):
    text = HEAD + "slots: {n: 번호}\nsteps:\n  a: {say: '{n}번', next: b}\n  b: {hang_up: 네}\n"
    assert flows.warnings(text) == ['6: slot "n" has no value here yet. Set it before, or give it starts: under slots:']
    assert flows.warnings(text.replace("n: 번호", "n: {means: 번호, starts: 3}")) == []


@pytest.mark.parametrize(
    ("name", "slot", "ask", "class_"),
    [
        ("phone", "{means: 번호, class: none}", "번호를 눌러 주세요.", "personal"),
        ("n", "{means: 생년월일, class: none}", "눌러 주세요.", "personal"),
        ("n", "{means: 번호, class: none}", "휴대 전화 번호를 눌러 주세요.", "personal"),
        ("n", "{means: date of birth, class: none}", "눌러 주세요.", "personal"),
        ("n", "주민등록번호", "눌러 주세요.", "sensitive"),
        ("passport", "{means: 번호, class: personal}", "눌러 주세요.", "sensitive"),
        ("n", "{means: 번호, class: sensitive}", "카드 번호를 눌러 주세요.", "card"),
        ("card_number", "{means: 번호, class: none}", "눌러 주세요.", "card"),
    ],
)
def test_a_slot_that_sounds_more_personal_than_its_class_is_warned_of(flows, name, slot, ask, class_):
    text = HEAD + f"slots:\n  {name}: {slot}\nsteps:\n  a: {{ask: {ask}, digits: 4, into: {name}, next: b}}" + END
    text = text.replace("start: a", "start: a\notherwise: b")
    (warning,) = flows.warnings(text)
    assert warning.startswith("6: ")
    assert f"Give it class: {class_}," in warning
    fitting = f"{{means: {slot.split(':')[1].split(',')[0] if ':' in slot else slot}, class: {class_}}}"
    assert flows.warnings(text.replace(slot, fitting)) == []


@pytest.mark.parametrize("means", ["주문 번호", "상품 이름", "매장 주소", "the store's address", "order number"])
def test_a_slot_about_things_may_be_of_no_class(flows, means):
    text = HEAD + f'slots: {{n: {{means: "{means}", class: none, starts: 1}}}}\nsteps:\n  a: {{hang_up: "{{n}}번"}}\n'
    assert flows.warnings(text) == []


def test_menus_prompts_and_phrases_that_are_hard_on_callers_are_warned_of(flows):
    warnings = flows.warnings(
        HEAD + "otherwise: b\nsteps:\n  a:\n    ask: " + "안녕하십니까 " * 40 + "\n    choices:\n"
        "      x: {say: 배송 조회, next: b}\n      y: {say: 배송 조예, next: b}\n"
        + "".join(f"      c{n}: {{key: {n}, next: b}}\n" for n in range(4))
        + "  b: {hang_up: 네}\n"
    )
    assert [warning.split(":")[0] for warning in warnings] == ["7", "8", "10"]
    for warning, part in zip(warnings, ["takes about", "remember", "sounds like"], strict=True):
        assert part in warning


def test_a_phrase_that_the_recogniser_has_no_words_for_is_warned_of(flows):
    path = flows.write(HEAD + "otherwise: b\nsteps:\n  a: {ask: 네, next: b, choices: {x: {say: [배송, 뷁]}}}" + END)
    problems = check_paths([path], lambda expectation: [p.text for p in expectation.phrases if p.text == "뷁"])
    assert [(problem.mark.line, problem.severity) for problem in problems] == [(6, "warning")]
    assert '"뷁" is not in the vocabulary' in problems[0].message


def test_a_circle_without_a_question_is_warned_of(flows):
    warnings = flows.warnings(
        HEAD + "slots: {n: {means: 수, starts: 0}}\nsteps:\n  a: {choose: [{when: n < 3, next: c}], otherwise: b}\n"
        "  b: {hang_up: 네}\n  c: {set: {n: '= n + 1'}, next: a}\n"
    )
    assert len(warnings) == 1
    assert "back to itself" in warnings[0]


def test_a_huge_or_binary_file_is_refused_before_it_is_parsed(flows):
    path = flows.write("x" * (LARGEST_FILE + 1))
    assert "larger than" in check_paths([path])[0].message
    path.write_bytes(b"flow: a\nlanguage: \xff\xfe\n")
    assert check_paths([path])[0].mark.line == 2


TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
NAMES = TEXT | st.sampled_from(
    [
        *("flow", "language", "start", "steps", "slots", "words", "anywhere", "otherwise", "next", "a", "b"),
        *("say", "ask", "choices", "digits", "into", "confirm", "key", "choose", "when", "set", "hang_up"),
        *("look_up", "found", "not_found", "error", "hand_over", "reason", "take", "transfer", "failed"),
        *("run", "with", "on", "return"),
    ]
)
TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | NAMES
    | st.just("{a:digits}")
    | st.just("= a + 1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TREES, TREES)
def test_no_data_whatever_breaks_the_loader(tree, step):
    whole = {"flow": "x", "language": "ko", "start": "a", "slots": {"a": "x"}, "steps": {"a": step, "b": tree}}
    for data in (tree, whole, {**whole, **(tree if isinstance(tree, dict) else {})}):
        draft = understand(Source(Path("x.yaml"), data))
        check(draft)
        lint(draft)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60) | st.text("ab: {}[]\"'\n-#&*!|>%@", max_size=60))
def test_no_text_whatever_breaks_the_parser(text):
    draft = understand(parse(text, Path("x.yaml")))
    assert draft.problems  # none of these is a flow
