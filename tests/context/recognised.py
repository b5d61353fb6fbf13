"""How often identifiers are found and ordinary sentences left alone: run it to see the figures."""

import random
import sys
from collections.abc import Iterator
from pathlib import Path

from voiceedge.context.privacy.pii import mask_text
from voiceedge.flow.source import read

ROOT = Path(__file__).parents[2]
EACH = 200  # values of each kind
FRAMES = ("{}", "제 번호는 {}이에요", "네 그러니까 {} 맞습니다", "my number is {} please")
SAID = dict(zip("0123456789", "공일이삼사오육칠팔구", strict=True))
ENGLISH = dict(
    zip("0123456789", ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"], strict=True)
)


def ordinary() -> list[str]:
    """What callers and flows say that identifies nobody: every text of our flows, and a list of sentences."""
    sentences = (Path(__file__).parent / "ordinary_sentences.txt").read_text(encoding="utf-8").splitlines()
    flows = [*(ROOT / "ivr_flows").glob("*.yaml"), *(ROOT / "tests/e2e/flows").glob("*.yaml")]
    for path in (path for path in flows if path.stem != "planted"):  # that one is full of them
        sentences += _texts(read(path).data)
    return sentences


def _texts(data: object) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    for inner in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        yield from _texts(inner)


def false_alarms() -> list[str]:
    return [text for text in ordinary() if mask_text(text) != text]


def planted(seed: int = 5) -> Iterator[tuple[str, str, str]]:
    """The kind, a sentence, and the value in it, `EACH` of a kind."""
    chance = random.Random(seed)
    for kind, make in KINDS.items():
        for count in range(EACH):
            value = make(chance)
            yield kind, FRAMES[count % len(FRAMES)].format(value), value


def missed(seed: int = 5) -> dict[str, list[str]]:
    """By kind, the sentences in which the value still stands, or more of its digits than may be seen."""
    out: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for kind, sentence, value in planted(seed):
        if "***" not in (seen := mask_text(sentence)) or value[-len(value) // 2 :] in seen:
            out[kind].append(sentence)
    return out


def _digits(chance: random.Random, count: int) -> str:
    return "".join(chance.choices("0123456789", k=count))


def _said(digits: str, *lengths: int) -> str:
    out, place = [], 0
    for length in lengths:
        out.append("".join(SAID[digit] for digit in digits[place : place + length]))
        place += length
    return " ".join(out)


def _mobile(chance: random.Random) -> str:
    return "010" + chance.choice("23456789") + _digits(chance, 7)


def _land_line(chance: random.Random) -> str:
    return chance.choice(("02", "031", "042", "051", "064", "070")) + chance.choice("23456789") + _digits(chance, 6)


def _card(chance: random.Random) -> str:
    body = chance.choice(("4", "5", "9", "35")) + _digits(chance, 15)
    body = body[:15]
    total = sum(int(digit) if place % 2 else sum(divmod(2 * int(digit), 10)) for place, digit in enumerate(body))
    return body + str(-total % 10)


def _resident(chance: random.Random) -> str:
    year, sexes = chance.choice(((chance.randrange(100), "1256"), (chance.randrange(26), "3478")))
    day = f"{year:02}{chance.randrange(1, 13):02}{chance.randrange(1, 29):02}"
    return f"{day}{chance.choice(sexes)}{_digits(chance, 6)}"


def _business(chance: random.Random) -> str:
    body = str(chance.randrange(101, 1000)) + f"{chance.randrange(1, 100):02}" + _digits(chance, 4)
    total = sum(int(digit) * weight for digit, weight in zip(body, (1, 3, 7, 1, 3, 7, 1, 3, 5), strict=True))
    return body + str(-(total + int(body[8]) * 5 // 10) % 10)


def _company(chance: random.Random) -> str:
    body = f"{chance.randrange(1101, 2900)}{chance.choice(('11', '21', '71'))}{_digits(chance, 6)}"
    return body + str(-sum(int(digit) * (1 + place % 2) for place, digit in enumerate(body)) % 10)


def _licence(chance: random.Random) -> str:
    return f"{chance.randrange(11, 27)}{_digits(chance, 10)}"


def _grouped(digits: str, *lengths: int, by: str = "-") -> str:
    ends = [sum(lengths[: index + 1]) for index in range(len(lengths))]
    return by.join(digits[end - length : end] for end, length in zip(ends, lengths, strict=True))


def _email(chance: random.Random) -> str:
    return chance.choice(("hong", "gil.dong", "kim2026", "lee_s")) + "@" + chance.choice(("example.com", "shop.co.kr"))


KINDS = {
    "mobile": _mobile,
    "mobile-grouped": lambda chance: _grouped(_mobile(chance), 3, 4, 4, by=chance.choice("- .")),
    "mobile-abroad": lambda chance: "+82 " + _grouped(_mobile(chance)[1:], 2, 4, 4),
    "mobile-said": lambda chance: _said(_mobile(chance), 3, 4, 4),
    "mobile-said-one-by-one": lambda chance: _said(_mobile(chance), *[1] * 11),
    "mobile-said-with-e": lambda chance: _said(_mobile(chance), 3, 4, 4).replace(" ", "에 "),
    "mobile-said-in-english": lambda chance: " ".join(ENGLISH[digit] for digit in _mobile(chance)),
    "land-line": _land_line,
    "land-line-said": lambda chance: _said(_land_line(chance).ljust(9), 2, 3, 4),
    "card": _card,
    "card-grouped": lambda chance: _grouped(_card(chance), 4, 4, 4, 4, by=chance.choice("- ")),
    "card-said": lambda chance: _said(_card(chance), 4, 4, 4, 4),
    "resident": _resident,
    "resident-grouped": lambda chance: _grouped(_resident(chance), 6, 7),
    "resident-said": lambda chance: _said(_resident(chance), 6, 7),
    "business-grouped": lambda chance: _grouped(_business(chance), 3, 2, 5),
    "business-named": lambda chance: f"사업자등록번호 {_business(chance)}",
    "business-said": lambda chance: "사업자 번호는 " + _said(_business(chance), 3, 2, 5),
    "company-grouped": lambda chance: _grouped(_company(chance), 6, 7),
    "licence-grouped": lambda chance: _grouped(_licence(chance), 2, 2, 6, 2),
    "licence-said": lambda chance: "면허 번호 " + _said(_licence(chance), 2, 2, 6, 2),
    "passport-old": lambda chance: f"M{_digits(chance, 8)}",
    "passport-new": lambda chance: f"M{_digits(chance, 3)}{chance.choice('ABCDEFGH')}{_digits(chance, 4)}",
    "passport-said": lambda chance: (
        f"엠 {_said(_digits(chance, 3), 3)} {chance.choice(('에이', '비', '씨'))} " + _said(_digits(chance, 4), 4)
    ),
    "account-named": lambda chance: "계좌번호 " + _grouped(_digits(chance, 14), 3, 6, 2, 3),
    "account-said": lambda chance: "계좌는 " + _said(_digits(chance, 13), 6, 2, 5),
    "email": _email,
    "email-said": lambda chance: (
        chance.choice(("홍길동", "에이 비 씨 일이삼", "gildong"))
        + chance.choice(
            (" 골뱅이 네이버 점 컴", " 골뱅이 지메일 닷컴", " 앳 example 점 씨오 점 케이알", " at example dot com")
        )
    ),
}


def report() -> Iterator[str]:
    alarms = false_alarms()
    yield f"false alarms: {len(alarms)} of {len(ordinary())} ordinary texts"
    yield from alarms
    for kind, sentences in missed().items():
        yield f"missed: {len(sentences)} of {EACH} {kind}"
        yield from sentences[:3]


if __name__ == "__main__":
    sys.stdout.write("\n".join(report()) + "\n")
