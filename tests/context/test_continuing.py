"""What a customer is given to go on elsewhere, and what it opens: once, for one channel, and for no guesser."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from making import stamped
from sqlalchemy import event

from voiceedge.clock import VirtualClock
from voiceedge.config import Config
from voiceedge.context.cloudevents import StampedEvent
from voiceedge.context.events.call import CallStarted
from voiceedge.context.events.digital import InteractionStarted
from voiceedge.context.privacy.pii import pseudonym, pseudonym_key
from voiceedge.context.resuming.continuing import Continuing
from voiceedge.context.resuming.pins import EACH, TOGETHER, Pins
from voiceedge.context.resuming.tokens import Refusal, TokenRefusedError
from voiceedge.context.storage.database import Database
from voiceedge.context.storage.store import Store

MINUTE_S = 60
KIM, LEE = "01012345678", "01099998888"
NUMBERS = ("07080001001", "07080001002")


@dataclass
class Site:
    """One node's continuing, and what it told."""

    continuing: Continuing
    store: Store
    clock: VirtualClock
    key: bytes
    told: list[StampedEvent] = field(default_factory=list)

    async def chat(self, name: str = "chat-1", caller: str | None = KIM, **changes: object) -> str:
        customer = pseudonym(caller, self.key) if caller else None
        data = InteractionStarted(interaction=f"i-{name}", channel="web-chat", direction="in", customer=customer)
        began = stamped(data, name, customer=customer, **changes)
        await self.store.ingest([began.model_copy(update={"time": self.clock.now()})])
        return name

    async def call(self, name: str = "call-1") -> str:
        data = CallStarted(call_id=f"sip-{name}", direction="in", caller="", customer=None, called="1000", flow="main")
        await self.store.ingest([stamped(data, name)])
        return name

    async def refusal(self, way: str, secret: str, asker: str = "asker", channel: str = "phone", **more) -> Refusal:
        with pytest.raises(TokenRefusedError) as caught:
            await self.continuing.redeem(channel, way, secret, asker=asker, **more)
        return caught.value.reason

    async def wrong(self, times: int, asker: str = "asker", **more) -> list[Refusal]:
        return [await self.refusal("pin", "no pin", asker, **more) for _ in range(times)]


@pytest.fixture
async def site(store: Store, database: Database, tmp_path: Path) -> Site:
    clock = VirtualClock()
    config = Config.model_validate(
        {
            "site": {"data_dir": tmp_path},
            "context": {"continue_numbers": NUMBERS},
            "web": {"public_url": "https://talk.example/"},
        }
    )
    told: list[StampedEvent] = []

    async def ingest(events) -> None:
        told.extend(events)
        await store.ingest(events)

    return Site(Continuing(store, database, config, clock, ingest), store, clock, pseudonym_key(tmp_path), told)


async def test_a_ticket_holds_what_was_asked_for_and_each_opens_the_conversation_once(site: Site) -> None:
    chat = await site.chat()
    ticket = await site.continuing.issue(chat, "phone", pin=True, number=True)
    assert ticket.link == f"https://talk.example/c#{ticket.token}"
    assert ticket.number in NUMBERS
    resumed = await site.continuing.redeem("phone", "pin", ticket.pin, asker="a")
    assert (resumed.conversation.id, resumed.by, resumed.trust) == (chat, "pin", "proved")
    assert (await site.continuing.redeem("phone", "header", ticket.token)).conversation.id == chat
    assert await site.refusal("pin", ticket.pin) is Refusal.USED
    assert await site.refusal("header", ticket.token) is Refusal.USED


async def test_a_pin_is_for_its_channel_and_its_minutes(site: Site) -> None:
    chat = await site.chat()
    foreign = (await site.continuing.issue(chat, "web-chat", pin=True)).pin
    assert await site.refusal("pin", foreign) is Refusal.FOREIGN_CHANNEL
    pin = (await site.continuing.issue(chat, "phone", pin=True)).pin
    await site.clock.advance(10 * MINUTE_S)
    assert await site.refusal("pin", pin) is Refusal.EXPIRED
    lives_long = await site.continuing.issue(chat, "phone", pin=True, expires_s=7 * 86400)
    assert (lives_long.code_expires_at - site.clock.now()).total_seconds() == 3600


async def test_no_two_pins_that_live_are_the_same_and_none_is_in_the_database(site: Site, database: Database) -> None:
    chat = await site.chat()
    tickets = await asyncio.gather(*(site.continuing.issue(chat, "phone", pin=True) for _ in range(60)))
    numbers = {ticket.pin for ticket in tickets}
    assert len(numbers) == 60
    assert all(len(pin) == 6 and pin.isdigit() for pin in numbers)
    async with database.begin() as connection:
        rows = (await connection.exec_driver_sql("SELECT * FROM pins")).all()
    assert not numbers & {str(value) for row in rows for value in row}


async def test_whoever_guesses_is_locked_out_and_nobody_else(site: Site) -> None:
    chat = await site.chat()
    pin = (await site.continuing.issue(chat, "phone", pin=True, expires_s=3600)).pin
    assert await site.wrong(EACH.failures) == [Refusal.UNKNOWN] * EACH.failures
    assert await site.refusal("pin", pin) is Refusal.LOCKED  # the right one does not help him any more
    await site.clock.advance(EACH.lock_s - 1)
    assert await site.refusal("pin", pin) is Refusal.LOCKED
    assert (await site.continuing.redeem("phone", "pin", pin, asker="another")).conversation.id == chat
    await site.clock.advance(1)
    assert await site.refusal("pin", pin) is Refusal.USED


async def test_a_few_mistakes_over_a_long_time_lock_nobody_out(site: Site) -> None:
    for _ in range(3):
        assert await site.wrong(EACH.failures - 1) == [Refusal.UNKNOWN] * (EACH.failures - 1)
        await site.clock.advance(EACH.window_s)


async def test_guesses_from_many_numbers_stop_all_whose_number_is_not_sure_for_a_while(site: Site) -> None:
    chat = await site.chat()
    pin, other = [(await site.continuing.issue(chat, "phone", pin=True, expires_s=3600)).pin for _ in range(2)]
    for number in range(TOGETHER.failures // 4):
        await site.wrong(4, asker=f"number-{number}", attested=False)
    assert await site.refusal("pin", pin, "honest", attested=False) is Refusal.LOCKED
    assert (await site.continuing.redeem("phone", "pin", other, asker="sure")).conversation.id == chat
    await site.clock.advance(TOGETHER.lock_s)
    resumed = await site.continuing.redeem("phone", "pin", pin, asker="honest", attested=False)
    assert resumed.conversation.id == chat


async def test_guesses_in_one_channel_shut_no_other(site: Site) -> None:
    chat = await site.chat()
    pins = {name: (await site.continuing.issue(chat, name, pin=True)).pin for name in ("phone", "web-chat")}
    for number in range(TOGETHER.failures // 4):
        await site.wrong(4, asker=f"address-{number}", channel="web-chat")
    assert await site.refusal("pin", pins["web-chat"], "honest", "web-chat") is Refusal.LOCKED
    resumed = await site.continuing.redeem("phone", "pin", pins["phone"], asker="honest", attested=False)
    assert resumed.conversation.id == chat


async def test_right_and_wrong_pins_are_looked_up_by_the_same_statements(site: Site, database: Database) -> None:
    """… so that the time an answer takes tells nothing."""
    chat = await site.chat()
    right, used, late = [(await site.continuing.issue(chat, "phone", pin=True)).pin for _ in range(3)]
    await site.continuing.redeem("phone", "pin", used, asker="x")
    seen: list[str] = []
    event.listen(
        database._engine.sync_engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, *_: seen.append(statement),
    )

    async def statements(pin: str, asker: str) -> list[str]:
        seen.clear()
        with suppress(TokenRefusedError):
            await Pins(database, site.key, site.clock).redeem(pin, "phone", asker, "main")
        return list(seen)

    asked = await statements(right, "a")
    assert len(asked) >= 5
    assert await statements("wrong", "b") == asked
    assert await statements(used, "c") == asked
    await site.wrong(EACH.failures - 1, "b")
    assert await statements(late, "b") == asked  # locked by now
    assert await site.refusal("pin", late, "b") is Refusal.LOCKED


async def test_of_many_who_name_a_pin_at_once_one_gets_in(site: Site) -> None:
    pin = (await site.continuing.issue(await site.chat(), "phone", pin=True)).pin
    tries = (site.continuing.redeem("phone", "pin", pin, asker=f"a{number}") for number in range(10))
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(not isinstance(result, TokenRefusedError) for result in results) == 1


async def test_a_conversation_of_another_tenant_does_not_exist(site: Site) -> None:
    ticket = await site.continuing.issue(await site.chat(), "phone", pin=True, number=True)
    asker = pseudonym(KIM, site.key)
    for way, secret in (("header", ticket.token), ("pin", ticket.pin), ("number", ticket.number), ("caller", KIM)):
        assert await site.refusal(way, secret, asker, tenant="other", confirmed=True) is Refusal.UNKNOWN
    assert (await site.continuing.redeem("phone", "pin", ticket.pin, asker="a")).trust == "proved"  # nothing was burnt


async def test_what_is_issued_is_of_the_conversations_own_tenant(site: Site) -> None:
    chat = await site.chat(caller=None, tenant="shop")
    ticket = await site.continuing.issue(chat, "phone", pin=True, number=True)
    more = {"asker": "a", "confirmed": True}
    for way, secret in (("header", ticket.token), ("pin", ticket.pin), ("number", ticket.number)):
        assert await site.refusal(way, secret, **more) is Refusal.UNKNOWN
        resumed = await site.continuing.redeem("phone", way, secret, tenant="shop", **more)
        assert resumed.conversation.id == chat


async def test_what_was_issued_before_its_conversation_was_kept_opens_nothing_of_another_tenant(site: Site) -> None:
    ticket = await site.continuing.issue("chat-1", "phone", pin=True)
    await site.chat(tenant="shop")
    assert await site.refusal("pin", ticket.pin) is Refusal.UNKNOWN


async def test_a_number_is_lent_to_one_conversation_and_opens_it_for_its_customer_alone(site: Site) -> None:
    first, second, third = [
        await site.continuing.issue(await site.chat(f"chat-{number}"), "phone", number=True) for number in range(3)
    ]
    assert {first.number, second.number} == set(NUMBERS)
    assert (third.number, third.pin is not None) == (None, True)  # all are lent
    asker = pseudonym(KIM, site.key)
    for _ in range(2):  # the line broke, and he calls again
        resumed = await site.continuing.redeem("phone", "number", first.number, asker=asker)
        assert (resumed.conversation.id, resumed.trust) == ("chat-0", "proved")
    assert await site.refusal("number", first.number, pseudonym(LEE, site.key)) is Refusal.UNKNOWN
    await site.clock.advance(10 * MINUTE_S)
    assert await site.refusal("number", first.number, asker) is Refusal.UNKNOWN


async def test_a_number_of_a_customer_without_a_phone_needs_a_yes(site: Site) -> None:
    number = (await site.continuing.issue(await site.chat(caller=None), "phone", number=True)).number
    assert await site.refusal("number", number) is Refusal.UNCONFIRMED
    assert (await site.continuing.redeem("phone", "number", number, confirmed=True)).trust == "likely"


async def test_the_callers_number_is_a_hint_at_the_latest_open_chat_and_no_more(site: Site) -> None:
    await site.chat("old")
    await site.clock.advance(60)
    await site.chat("new")
    await site.chat("of-another", LEE)
    await site.call("call-9")
    assert await site.continuing.hint("main", "+82 10-1234-5678") == "new"
    assert await site.continuing.hint("main", "0212345678") is None
    assert await site.refusal("caller", KIM) is Refusal.UNCONFIRMED
    resumed = await site.continuing.redeem("phone", "caller", KIM, confirmed=True)
    assert (resumed.conversation.id, resumed.trust) == ("new", "likely")
    await site.clock.advance(2 * 86400)
    assert await site.continuing.hint("main", KIM) is None


async def test_a_call_that_continues_a_chat_becomes_a_part_of_it(site: Site) -> None:
    chat, call = await site.chat(), await site.call()
    ticket = await site.continuing.issue(chat, "phone", pin=True)
    more = {"visit": call, "interaction": "sip-call-1", "asker": "a"}
    assert await site.refusal("pin", "000000", **more) is Refusal.UNKNOWN
    for _ in range(2):  # the first answer was lost
        resumed = await site.continuing.redeem("phone", "pin", ticket.pin, **more)
        assert resumed.conversation.id == chat
    assert [visit.channel for visit in resumed.conversation.channels] == ["web-chat", "phone"]
    assert (await site.store.conversation(call)).id == chat
    refused, continued = site.told[0], site.told[1]
    assert (refused.conversation, refused.data.reason, refused.data.by) == (call, "unknown", "pin")
    assert (continued.conversation, continued.data.joined, continued.data.trust) == (chat, call, "proved")


async def test_a_conversation_that_asks_for_itself_stays_itself(site: Site) -> None:
    call = await site.call()
    ticket = await site.continuing.issue(call, "phone", pin=True)
    resumed = await site.continuing.redeem("phone", "pin", ticket.pin, visit=call, asker="a")
    assert resumed.conversation.id == call
    assert site.told[-1].data.joined is None
