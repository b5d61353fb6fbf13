"""What a flow says where its author left it to the language: apologies, confirmations, yes and no."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from voiceedge.flow.model import Header
from voiceedge.flow.template import Template


@dataclass(frozen=True, slots=True)
class Words:
    """All of them set. Those for no input and no match are followed by the question; "confirm" knows {heard}."""

    no_input: tuple[Template, ...]
    no_match: tuple[Template, ...]
    not_right: tuple[Template, ...]
    confirm: tuple[Template, ...]
    confirm_digits: tuple[Template, ...]
    sorry: tuple[Template, ...]
    leave_message: tuple[Template, ...]
    ask_pin: tuple[Template, ...]
    wrong_pin: tuple[Template, ...]  # the question follows
    ask_continue: tuple[Template, ...]  # it must tell nothing: whoever hears it may be somebody else
    yes: tuple[str, ...]
    no: tuple[str, ...]
    no_pin: tuple[str, ...]


YES_KEY, NO_KEY = "1", "2"


def _texts(*texts: str) -> tuple[Template, ...]:
    return tuple(Template.parse(text) for text in texts)


_BUILT_IN: Mapping[str, Words] = {
    "ko": Words(
        no_input=_texts("말씀이 들리지 않았습니다.", "죄송합니다만 아직 말씀이 들리지 않습니다."),
        no_match=_texts("죄송합니다. 잘 알아듣지 못했습니다.", "죄송합니다. 이번에도 알아듣지 못했습니다."),
        not_right=_texts("네, 다시 여쭤보겠습니다."),
        confirm=_texts("{heard}, 맞으십니까?"),
        confirm_digits=_texts("{heard:digits}, 맞으십니까? 맞으시면 일 번, 아니면 이 번을 눌러 주셔도 됩니다."),
        sorry=_texts(
            "죄송합니다. 잠시 문제가 생겨 통화를 이어 가지 못하게 되었습니다. 잠시 후 다시 전화해 주시기 바랍니다."
        ),
        leave_message=_texts("삐 소리가 나면 메시지를 남겨 주세요. 다 남기셨으면 우물 정자를 눌러 주세요."),
        ask_pin=_texts("안내받으신 여섯 자리 번호를 누르거나 말씀해 주세요. 번호가 없으시면 별표를 눌러 주세요."),
        wrong_pin=_texts("번호가 맞지 않습니다."),
        ask_continue=_texts("최근에 채팅으로 문의하신 적이 있으신가요? 이어서 도와드릴까요?"),
        no_pin=("번호 없어요", "번호가 없습니다", "안 받았어요"),
        yes=("네", "예", "네 맞아요", "예 맞아요", "맞아요", "맞습니다", "그래요", "네 맞습니다"),
        no=("아니요", "아뇨", "아니오", "아니에요", "아닙니다", "틀려요", "아니 틀렸어요"),
    ),
    "en": Words(
        no_input=_texts("I didn't hear anything.", "Sorry, I still can't hear you."),
        no_match=_texts("Sorry, I didn't catch that.", "Sorry, I still didn't understand."),
        not_right=_texts("All right, let me ask again."),
        confirm=_texts("{heard}, is that right?"),
        confirm_digits=_texts("{heard:digits}, is that right? You can also press one for yes or two for no."),
        sorry=_texts(
            "I'm sorry, something went wrong and we cannot continue this call. Please call again a little later."
        ),
        leave_message=_texts("Please leave a message after the tone. Press the pound key when you have finished."),
        ask_pin=_texts("Please key in or say the six digits you were given. If you have none, press star."),
        wrong_pin=_texts("That number is not right."),
        ask_continue=_texts("Have you been in touch with us in a chat lately? Shall we go on from there?"),
        no_pin=("I have no number", "I don't have one", "no number"),
        yes=("yes", "yeah", "yes please", "that's right", "correct"),
        no=("no", "nope", "no thanks", "that's wrong", "not correct"),
    ),
}


# What is said otherwise to somebody who reads and types.
_ON_SCREEN: Mapping[str, Words] = {
    "ko": replace(
        _BUILT_IN["ko"],
        no_match=_texts(
            "죄송합니다. 무슨 말씀인지 잘 이해하지 못했습니다.", "죄송합니다. 이번에도 이해하지 못했습니다."
        ),
        confirm_digits=_texts("{heard}, 맞으십니까?"),
        sorry=_texts("죄송합니다. 잠시 문제가 생겨 채팅을 이어 가지 못하게 되었습니다. 잠시 후 다시 문의해 주세요."),
        leave_message=_texts("메시지를 남겨 주세요."),
        ask_pin=_texts("안내받으신 여섯 자리 번호를 입력해 주세요."),
    ),
    "en": replace(
        _BUILT_IN["en"],
        no_match=_texts("Sorry, I didn't understand that.", "Sorry, I still didn't understand."),
        confirm_digits=_texts("{heard}, is that right?"),
        sorry=_texts("I'm sorry, something went wrong and we cannot go on here. Please try again a little later."),
        leave_message=_texts("Please write your message."),
        ask_pin=_texts("Please enter the six digits you were given."),
    ),
}


def words_of(header: Header, *, on_screen: bool = False) -> Words:
    own, built_in = header.words, (_ON_SCREEN if on_screen else _BUILT_IN)[header.language]
    return Words(
        no_input=own.no_input or built_in.no_input,
        no_match=own.no_match or built_in.no_match,
        not_right=own.not_right or built_in.not_right,
        confirm=own.confirm or built_in.confirm,
        confirm_digits=own.confirm_digits or built_in.confirm_digits,
        sorry=own.sorry or built_in.sorry,
        leave_message=own.leave_message or built_in.leave_message,
        ask_pin=own.ask_pin or built_in.ask_pin,
        wrong_pin=own.wrong_pin or built_in.wrong_pin,
        ask_continue=own.ask_continue or built_in.ask_continue,
        yes=own.yes or built_in.yes,
        no=own.no or built_in.no,
        no_pin=built_in.no_pin,
    )
