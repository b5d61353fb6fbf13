"""What a chat says of its own, beside its flow and its agents."""

from collections.abc import Mapping
from typing import Literal

Word = Literal[
    "agent", "agent_left", "by_phone", "call", "call_over", "calling", "ended", "idle", "kept", "leave", "new_flow",
    "no_taker", "reminder", "secret", "transferred", "waiting",
]  # fmt: skip

_WORDS: Mapping[str, Mapping[Word, str]] = {
    "ko": {
        "agent": "{agent} 상담원이 연결되었습니다.",
        "agent_left": "상담원이 상담을 마쳤습니다.",
        "by_phone": "이 문의는 전화로 도와드릴 수 있습니다. 지금까지의 내용은 그대로 이어집니다.",
        "call": "통화가 연결되어 있습니다. 여기서 고르거나 입력하신 내용은 통화에 바로 전달됩니다.",
        "call_over": "통화가 끝났습니다. 채팅으로 계속 도와드리겠습니다.",
        "calling": "{number}번으로 곧 전화드리겠습니다.",
        "ended": "상담이 종료되었습니다.",
        "idle": "오랫동안 말씀이 없으셔서 상담을 마칩니다. 언제든지 다시 문의해 주세요.",
        "kept": "메시지를 남겨 두었습니다.",
        "new_flow": "그사이 안내가 새로워져서 처음부터 다시 여쭤보겠습니다.",
        "no_taker": "전해 두었습니다. 통화에서는 지금 답을 기다리고 있지 않습니다.",
        "reminder": "아직 계신가요? 답을 주시면 이어서 도와드리겠습니다.",
        "secret": "안전을 위해 저장하지 않은 번호입니다. 한 번 더 입력해 주세요.",
        "leave": "기다리지 않을게요",
        "transferred": "다른 상담원에게 연결하고 있습니다.",
        "waiting": "상담원을 연결하고 있습니다. 잠시만 기다려 주세요.",
    },
    "en": {
        "agent": "{agent} has joined the chat.",
        "agent_left": "The agent has left the chat.",
        "by_phone": "We can help you with this by phone. Nothing you have told us is lost.",
        "call": "You are on a call. What you choose or type here reaches it at once.",
        "call_over": "The call has ended. We can go on here.",
        "calling": "We will call you at {number} in a moment.",
        "ended": "The chat has ended.",
        "idle": "We have not heard from you for a while, so this chat ends here. Come back any time.",
        "kept": "Your message has been kept.",
        "new_flow": "Our service has changed meanwhile, so we have to begin again.",
        "no_taker": "Noted. The call is not waiting for an answer at the moment.",
        "reminder": "Are you still there? Answer whenever you are ready.",
        "secret": "We did not keep that number, for your safety. Please enter it once more.",
        "leave": "I won't wait",
        "transferred": "You are being connected to somebody else.",
        "waiting": "We are looking for somebody to help you. One moment, please.",
    },
}


def words(language: str, word: Word) -> str:
    return _WORDS.get(language, _WORDS["en"])[word]


def means(text: str, word: Word) -> bool:
    """Whether these are its words, in whatever language."""
    return any(known[word] == text for known in _WORDS.values())
