"""A request over the link as the model of what it asks."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from voiceedge.edge.between.link import Handler, Head
from voiceedge.errors import VoiceEdgeError

Request = TypeVar("Request", bound=BaseModel)


def takes(
    kind: type[Request], method: Callable[[Request], Awaitable[Head]], refusal: Callable[[str], VoiceEdgeError]
) -> Handler:
    """What is wrong with it is told by its fields, without their values, as a `refusal`."""

    async def handle(head: Head, _payload: bytes) -> Head:
        try:
            request = kind.model_validate(head)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors())
            raise refusal(f"{head.get('request')}: {wrong}.") from None
        return await method(request)

    return handle
