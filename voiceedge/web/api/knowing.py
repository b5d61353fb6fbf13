"""Whose conversation it is: identities that a channel gives, and the customer whom they tell."""

from http import HTTPStatus

from voiceedge.context.people.customers import Claim, plain
from voiceedge.context.privacy.pii import pseudonym, pseudonym_key
from voiceedge.errors import CustomerError
from voiceedge.web.api.door import Caller
from voiceedge.web.api.models import CustomerWish
from voiceedge.web.problems import Problem
from voiceedge.web.services import Services


def claims_of(wish: CustomerWish | None, channel: str) -> list[Claim]:
    """Accounts and ids of other systems need no proof: they are the channel's own. Raises Problem."""
    if wish is None:
        return []
    claims = [
        Claim("phone", wish.phone or "", wish.verified, channel),
        Claim("email", wish.email or "", wish.verified, channel),
        Claim("chat", f"{channel}:{wish.chat}" if wish.chat else "", True, channel),
        Claim("external", wish.external or "", True, channel),
    ]
    given = [claim for claim in claims if claim.value]
    for claim in given:
        try:
            plain(claim.kind, claim.value)
        except CustomerError as error:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "wrong_identity", f"{claim.kind}: {error}") from None
    return given


def hash_of(at: Services, claims: list[Claim]) -> str | None:
    """By which the same person is known in events: of their number, if one is given, as calls have it."""
    return pseudonym(claims[0].value, pseudonym_key(at.config.site.data_dir)) if claims else None


async def identify(at: Services, caller: Caller, conversation: str, claims: list[Claim]) -> None:
    for claim in claims:
        await at.context.customers.identify(conversation, claim, who=caller.actor)


async def phone_of(at: Services, caller: Caller, customer_id: str) -> str | None:
    """A number that the customer has shown to be theirs, or else one that they gave. Raises Problem."""
    found = await at.context.customers.read(caller.tenant, customer_id)
    if found is None:
        raise Problem(HTTPStatus.NOT_FOUND, "no_such_customer", "there is no such customer")
    await at.context.access.note(caller.actor, "call", customer=found.id)
    phones = [one for one in found.identities if one.kind == "phone"]
    return max(phones, key=lambda one: one.verified).value if phones else None
