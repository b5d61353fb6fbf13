"""Warns of slots that sound like personal data and are handled with less care than that needs."""

import re
from collections.abc import Iterator

from voiceedge.context.privacy.pii import PersonalDataClass
from voiceedge.flow.loader import Draft
from voiceedge.flow.steps import Ask

_CARE = tuple(PersonalDataClass)  # from the least on
_SOUNDS_LIKE = {
    PersonalDataClass.CARD: r"(?:신용|체크)\s?카드|카드\s?(?:번호|뒷자리|비밀번호|유효)|\b(?:card|cvc|cvv)\b",
    PersonalDataClass.SENSITIVE: (
        r"주민\s?(?:등록)?\s?번호|외국인\s?등록|여권\s?번호|면허\s?번호|비밀\s?번호"
        r"|\b(?:passport|licen[cs]e|resident registration|social security|rrn|ssn|password)\b"
    ),
    PersonalDataClass.PERSONAL: (
        r"전화\s?번호|휴대\s?(?:폰|전화)|연락처|생년\s?월일|생일|주소|성함|이름|이메일|계좌|사업자\s?(?:등록)?\s?번호"
        r"|\b(?:phone|telephone|mobile|birth(?:day|date)?|address|e-?mail|account number)\b"
        r"|\b(?:first|last|full|your) name\b"
    ),
}
_NAMED_SO = {
    "name": PersonalDataClass.PERSONAL,
    "dob": PersonalDataClass.PERSONAL,
    "jumin": PersonalDataClass.SENSITIVE,
}
_OF_THINGS = re.compile(
    r"(?:상품|제품|매장|지점|가게|회사|서비스|웹|홈페이지)\s?(?:의\s?)?(?:전화\s?번호|주소|이름|이메일|연락처)"
    r"|\b(?:product|shop|store|branch|company|web)(?:'s)? (?:phone|address|e-?mail|name)\b",
    re.IGNORECASE,
)


def check_discretion(draft: Draft) -> None:
    """Add a warning for each slot whose name, meaning or question asks for a stricter class than it has."""
    header = draft.header
    if header is None:
        return
    for name, slot in header.slots.items():
        told = [_words(name), slot.means, *_questions(draft, name)]
        heard = [found for text in told for found in _fitting(text)]
        if name.casefold() in _NAMED_SO:
            heard.append((_NAMED_SO[name.casefold()], name))
        class_, word = max(heard, key=lambda found: _CARE.index(found[0]), default=(PersonalDataClass.NONE, ""))
        if _CARE.index(slot.class_) < _CARE.index(class_):
            message = (
                f'slot "{name}" is of class {slot.class_} and sounds like personal data ("{word}"). '
                f"Give it class: {class_}, or word it otherwise if it is none."
            )
            draft.warn(("slots", name), message, key=True)


def _fitting(text: str) -> Iterator[tuple[PersonalDataClass, str]]:
    text = _OF_THINGS.sub("", text)
    for class_, pattern in _SOUNDS_LIKE.items():
        if found := re.search(pattern, text, re.IGNORECASE):
            yield class_, found[0]


def _words(name: str) -> str:
    return name.replace("_", " ")


def _questions(draft: Draft, slot: str) -> Iterator[str]:
    """What is asked to fill it by digits; a choice is of the flow's own words."""
    for step in draft.steps.values():
        if isinstance(step, Ask) and step.digits and step.into == slot:
            yield from ("".join(part for part in text.parts if isinstance(part, str)) for text in step.ask)
