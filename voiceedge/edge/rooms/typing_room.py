"""Answers typed on a screen while a call goes on: from the chat in control to the worker that has the call."""

from collections.abc import Callable, Iterable, Mapping

from voiceedge.config import Config
from voiceedge.edge.between.link import Handler, Head
from voiceedge.edge.call.live_view import ask_workers
from voiceedge.edge.call.session import Session


class TypedAnswers:
    """A worker's handler: typed {call, step, text | choice} → {"taken"}."""

    def __init__(self, sessions: Callable[[], Iterable[Session]]) -> None:
        self._sessions = sessions

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {"typed": self.typed}

    async def typed(self, head: Head, _payload: bytes) -> Head:
        call, step, text, choice = (head.get(key) for key in ("call", "step", "text", "choice"))
        return {"taken": any(session.typed(str(call), str(step), text, choice) for session in self._sessions())}


class WorkerCalls:
    """The calls of this node, for its chats."""

    def __init__(self, config: Config) -> None:
        self._config = config

    async def typed(self, call: str, step: str, *, text: str | None, choice: str | None) -> bool:
        body = {"call": call, "step": step, "text": text, "choice": choice}
        answers = await ask_workers(self._config, "typed", body)
        return any(answer.get("taken") for answer in answers.values())
