"""Conversations: opened, found, read, added to and closed by channels and other systems."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Request

from voiceedge.context.events.digital import ConversationClosed, InteractionEnded, InteractionStarted, MessageSent
from voiceedge.context.people.archive import Wanted as Search
from voiceedge.context.privacy.beside import beside
from voiceedge.context.record import Changes, Conversation, Interaction
from voiceedge.errors import CursorError
from voiceedge.web.api import models
from voiceedge.web.api.documents import ALWAYS, CHANGING, refusals
from voiceedge.web.api.door import ApiRoute, Caller, needs
from voiceedge.web.api.knowing import claims_of, hash_of, identify
from voiceedge.web.api.once import id_for
from voiceedge.web.api.reading import known, seen, shown
from voiceedge.web.api.telling import Told, changed, slots_of, tell
from voiceedge.web.keys import Scope
from voiceedge.web.problems import Problem
from voiceedge.web.services import Services, Wanted

PHONE = "phone"

router = APIRouter(prefix="/conversations", tags=["conversations"], route_class=ApiRoute, responses=refusals(*ALWAYS))

Reads = Annotated[Caller, needs(Scope.CONVERSATIONS_READ)]
Writes = Annotated[Caller, needs(Scope.CONVERSATIONS_WRITE)]
ConversationId = Annotated[models.Identifier, Path()]


@router.post("", status_code=HTTPStatus.CREATED, responses=refusals(*CHANGING))
async def open_conversation(
    request: Request, wish: models.OpenWish, caller: Writes, at: Wanted
) -> models.ConversationView:
    """A customer has begun to talk in a channel. What is known already is not asked again wherever they go on."""
    conversation = id_for(request, "conversation", at.clock)
    slots = slots_of(wish.slots)
    claims = claims_of(wish.customer, wish.channel)
    customer = hash_of(at, claims)
    changes = Changes(tenant=caller.tenant, customer=customer, language=wish.language, intent=wish.intent, slots=slots)
    begun = InteractionStarted(interaction=wish.reference, channel=wish.channel, direction="in", customer=customer)
    told = [Told(begun, changes)]
    if wish.intent or slots:
        told.append(Told(changed(caller.key.name, wish.intent, slots)))
    told_at = await tell(at, request, conversation, told)
    await identify(at, caller, conversation, claims)
    await at.context.access.note(caller.actor, "open", conversation=conversation)
    return await _changed(at, caller, conversation, told_at)


@router.post("/search", responses=refusals(HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE))
async def search_conversations(wish: models.SearchWish, caller: Reads, at: Wanted) -> models.ConversationPage:
    """Find conversations, the newest first. Numbers and addresses of persons are no part of a URL, which others log."""
    search = Search(
        customer=wish.customer, number=wish.phone, email=wish.email, channel=wish.channel, queue=wish.queue,
        agent=wish.agent, outcome=wish.outcome, is_open=wish.open, since=_sane(wish.since), until=_sane(wish.until),
        text=wish.text,
    )  # fmt: skip
    await at.context.access.note(caller.actor, "search", "conversations")
    try:
        page = await at.context.archive.search(caller.tenant, search, limit=wish.limit, cursor=wish.cursor)
    except CursorError as error:
        raise Problem(HTTPStatus.BAD_REQUEST, "wrong_cursor", str(error)) from None
    lines = [models.ConversationLine.model_validate(one, from_attributes=True) for one in page.items]
    return models.ConversationPage(conversations=lines, next=page.cursor)


@router.get("/{conversation_id}", responses=refusals(HTTPStatus.NOT_FOUND))
async def read_conversation(conversation_id: ConversationId, caller: Reads, at: Wanted) -> models.ConversationView:
    """The whole story over all channels; also by the id of a conversation that was found to be a part of it."""
    return shown(await seen(at, caller, conversation_id, "read"), caller)


@router.patch("/{conversation_id}", responses=refusals(HTTPStatus.NOT_FOUND, *CHANGING))
async def change_conversation(
    request: Request, conversation_id: ConversationId, wish: models.ChangeWish, caller: Writes, at: Wanted
) -> models.ConversationView:
    """Note what was found out: slots are added to those there are, and what is left out stays as it is."""
    found, slots = await seen(at, caller, conversation_id, "change"), slots_of(wish.slots)
    if len(found.slots.keys() | slots.keys()) > models.MOST_SLOTS:
        told = f"slots: a conversation has at most {models.MOST_SLOTS}"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "too_many_slots", told)
    changes = Changes(language=wish.language, intent=wish.intent, outcome=wish.outcome, slots=slots)
    told_at = await tell(at, request, found.id, [Told(changed(caller.key.name, wish.intent, slots), changes)])
    return await _changed(at, caller, found.id, told_at)


@router.post("/{conversation_id}/turns", responses=refusals(HTTPStatus.NOT_FOUND, *CHANGING))
async def add_turn(
    request: Request, conversation_id: ConversationId, wish: models.TurnWish, caller: Writes, at: Wanted
) -> models.ConversationView:
    """Somebody wrote something. Numbers and addresses of persons in the text are masked before it is kept."""
    found = await seen(at, caller, conversation_id, "turn")
    visit = _visit(found, wish.reference)
    message = await beside(
        wish.text,
        lambda: MessageSent(
            interaction=visit.reference, channel=visit.channel, by=wish.by, text=wish.text, agent=wish.agent
        ),
    )
    told_at = await tell(at, request, found.id, [Told(message)])
    return await _changed(at, caller, found.id, told_at)


@router.post("/{conversation_id}/close", responses=refusals(HTTPStatus.NOT_FOUND, *CHANGING))
async def close_conversation(
    request: Request, conversation_id: ConversationId, wish: models.CloseWish, caller: Writes, at: Wanted
) -> models.ConversationView:
    """It is over in the channels of this API; a call that is up goes on to its own end."""
    found = await seen(at, caller, conversation_id, "close")
    ended = [
        Told(
            InteractionEnded(interaction=one.reference, channel=one.channel, cause=wish.ended_by, outcome=wish.outcome)
        )
        for one in _open_visits(found)
    ]
    closed = ConversationClosed(
        by=caller.key.name, outcome=wish.outcome, note=wish.note, satisfaction=wish.satisfaction
    )
    told_at = await tell(at, request, found.id, [*ended, Told(closed, Changes(outcome=wish.outcome))])
    return await _changed(at, caller, found.id, told_at)


async def _changed(at: Services, caller: Caller, conversation_id: str, told_at: datetime) -> models.ConversationView:
    """As it is after a change of ours, of that time."""
    return shown(known(await at.context.archive.changed(caller.tenant, conversation_id, told_at)), caller)


def _open_visits(found: Conversation) -> list[Interaction]:
    return [one for one in found.channels if one.channel != PHONE and one.ended_at is None]


def _visit(found: Conversation, reference: str | None) -> Interaction:
    for one in reversed(_open_visits(found)):
        if reference in {None, one.reference}:
            return one
    told = "no visit of a digital channel goes on in this conversation, or none of this reference"
    raise Problem(HTTPStatus.CONFLICT, "no_open_visit", told)


def _sane(moment: datetime | None) -> datetime | None:
    """Raises Problem for what no clock of a database tells."""
    if moment and not 1970 <= moment.year <= 9000:  # noqa: PLR2004 - years
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "wrong_time", "since and until are between 1970 and 9000")
    return moment
