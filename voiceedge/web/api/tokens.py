"""Tokens: a conversation goes on in another channel, or comes from one, and nobody repeats anything."""

from collections.abc import Collection
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Request

from voiceedge.context.events.digital import InteractionStarted, LinkSent
from voiceedge.context.record import Changes
from voiceedge.context.resuming.tokens import TokenRefusedError
from voiceedge.flow.call import PHONE
from voiceedge.web.api import models
from voiceedge.web.api.documents import ALWAYS, CHANGING, refusals
from voiceedge.web.api.door import ApiRoute, Caller, needs
from voiceedge.web.api.once import id_for
from voiceedge.web.api.reading import seen, shown
from voiceedge.web.api.telling import Told, tell
from voiceedge.web.keys import Scope
from voiceedge.web.problems import Problem
from voiceedge.web.services import Services, Wanted

router = APIRouter(tags=["tokens"], route_class=ApiRoute, responses=refusals(*ALWAYS))

Tokens = Annotated[Caller, needs(Scope.TOKENS)]
WHY = {
    "unknown": "there is no such token",
    "used": "it was used already: a token is for one time",
    "expired": "it is past its time: let the customer ask for a new one",
    "foreign_channel": "it is for another channel",
    "locked": "too many wrong ones were tried: wait",
}


@router.post(
    "/conversations/{conversation_id}/tokens",
    status_code=HTTPStatus.CREATED,
    responses=refusals(HTTPStatus.NOT_FOUND, *CHANGING),
)
async def issue_token(
    request: Request,
    conversation_id: Annotated[models.Identifier, Path()],
    wish: models.TokenWish,
    caller: Tokens,
    at: Wanted,
) -> models.TokenView:
    """Something by which the customer goes on in `channel`: a link or token, and for the phone a PIN or a number."""
    chats, known = _channels(at, caller)
    if wish.channel not in known:
        told = f"there is no such channel; there are: {', '.join(known)}. The channels file names more."
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "unknown_channel", told)
    found = await seen(at, caller, conversation_id, "token")
    ticket = await at.context.continuing.issue(
        found.id, wish.channel, expires_s=wish.expires_s, pin=wish.pin, number=wish.number
    )
    visit = found.channels[-1].reference if found.channels else ""
    sent = LinkSent(interaction=visit, channel=wish.channel, via="api", address=None, result="sent")
    await tell(at, request, found.id, [Told(sent)])
    given = models.TokenView.model_validate(ticket, from_attributes=True)
    return given if wish.channel in chats else given.model_copy(update={"link": None})


def _channels(at: Services, caller: Caller) -> tuple[Collection[str], list[str]]:
    """The chats that links open, and all channels in which a conversation of the caller's tenant can go on."""
    chats = {name for name, chat in at.channels.chats.items() if chat.tenant == caller.tenant}
    others = at.channels.names - at.channels.chats.keys()
    return chats, [PHONE, *sorted(chats | others)]


@router.post("/tokens/resolve", responses=refusals(HTTPStatus.NOT_FOUND, *CHANGING))
async def resolve_token(request: Request, wish: models.ResolveWish, caller: Tokens, at: Wanted) -> models.ResolvedView:
    """Burn a token that a customer has brought, and take their conversation on in your channel."""
    if wish.conversation_id:
        await seen(at, caller, wish.conversation_id, "join")
    try:
        resumed = await at.context.continuing.redeem(
            wish.channel, "link", wish.token, visit=wish.conversation_id, who=id_for(request, "resolve", at.clock),
            interaction=wish.reference, tenant=caller.tenant,
        )  # fmt: skip
    except TokenRefusedError as error:
        reason = error.reason.value
        told = WHY.get(reason, "it gives no access")
        raise Problem(HTTPStatus.CONFLICT, f"token_{reason}", told) from None
    found = await seen(at, caller, resumed.conversation.id, "resolve")
    if all(visit.reference != wish.reference for visit in found.channels):
        begun = InteractionStarted(
            interaction=wish.reference, channel=wish.channel, direction="in", customer=found.customer
        )
        await tell(at, request, found.id, [Told(begun, Changes(tenant=caller.tenant))])
        found = await at.context.archive.read(caller.tenant, found.id) or found
    return models.ResolvedView(by=resumed.by, trust=resumed.trust, conversation=shown(found, caller))
