"""What somebody in a queue is told: their place, the time it will take, and what their keys can do."""

from voiceedge.audio import reading
from voiceedge.flow.call import Utterance

LEAVE_KEY, CALL_BACK_KEY = "*", "#"
YES_KEY = "1"
_SOON_S = 60.0
_WITHOUT_AREA = 8  # digits


def connecting(language: str) -> Utterance:
    korean, english = (
        "상담원에게 연결해 드리겠습니다. 잠시만 기다려 주세요.",
        "Please hold the line. We are connecting you.",
    )
    return _said(language, korean, english)


def place(position: int, expected_wait_s: float | None, language: str) -> list[Utterance]:
    said = [_said(language, f"현재 {position}번째로 대기하고 계십니다.", f"You are number {position} in the queue.")]
    if expected_wait_s is not None:
        minutes = max(1, round(expected_wait_s / 60))
        soon = _said(language, "곧 연결해 드리겠습니다.", "It will not be long.")
        about = _said(
            language, f"예상 대기 시간은 약 {minutes}분입니다.", f"You will wait for about {_minutes(minutes)}."
        )
        said.append(soon if expected_wait_s < _SOON_S else about)
    return said


def keys(*, may_leave: bool, may_be_called_back: bool, language: str) -> list[Utterance]:
    said = []
    if may_be_called_back:
        korean = "기다리지 않고 상담원의 전화를 받으시려면 우물 정자를 눌러 주세요."
        said.append(_said(language, korean, "To keep your place and be called back, press the pound key."))
    if may_leave:
        said.append(_said(language, "대기를 그만두시려면 별표를 눌러 주세요.", "To leave the queue, press star."))
    return said


def confirm(number: str, language: str) -> list[Utterance]:
    """Whether this is the number to call back; another may be keyed."""
    spoken = ", ".join(reading.read_digits(group, language) for group in _groups(number))
    ours = _said(language, f"{spoken} 번으로 전화드리겠습니다.", f"We will call you at {spoken}.", personal=True)
    korean = "맞으시면 일 번을, 다른 번호로 받으시려면 그 번호와 우물 정자를, 계속 기다리시려면 별표를 눌러 주세요."
    english = "Press one if that is right. Or key another number and the pound key, or star to go on waiting."
    return [ours, _said(language, korean, english)]


def ask_number(language: str) -> list[Utterance]:
    korean = "전화를 받으실 번호를 누르고 우물 정자를 눌러 주세요. 계속 기다리시려면 별표를 눌러 주세요."
    english = "Key the number that we shall call, and the pound key. Or star, to go on waiting."
    return [_said(language, korean, english)]


def call_back_follows(language: str) -> Utterance:
    """To the agent."""
    return _said(language, "콜백입니다. 고객에게 연결합니다.", "This is a call-back. We are calling the customer.")


def not_reached(language: str) -> Utterance:
    return _said(language, "고객이 전화를 받지 않습니다.", "The customer cannot be reached.")


def _groups(number: str) -> list[str]:
    """As it is read out: 010 1234 5678, 02 123 4567, 1588 1234."""
    digits = "".join(filter(str.isdigit, number))
    area = 0 if len(digits) <= _WITHOUT_AREA else 2 if digits.startswith("02") else 3
    return [group for group in (digits[:area], digits[area:-4], digits[-4:]) if group]


def _minutes(count: int) -> str:
    return "one minute" if count == 1 else f"{count} minutes"


def _said(language: str, korean: str, english: str, *, personal: bool = False) -> Utterance:
    return Utterance(english if language == "en" else korean, language, personal=personal)
