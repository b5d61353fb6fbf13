"""Workers ask control for tickets and for earlier conversations over the link; links go out to whom they should."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from post_office import Gateway, gateway

from voiceedge.clock import RealClock
from voiceedge.config import Config
from voiceedge.context.cloudevents import StampedEvent, new_id
from voiceedge.context.events.call import HandedOver
from voiceedge.context.events.digital import InteractionStarted
from voiceedge.context.privacy.pii import pseudonym, pseudonym_key
from voiceedge.context.record import Changes
from voiceedge.context.service import ContextService
from voiceedge.edge.between.link import LinkClient, LinkServer
from voiceedge.edge.call import tickets
from voiceedge.edge.call.tickets import TicketOffice
from voiceedge.edge.rooms import continuing_room
from voiceedge.flow.call import CallFacts, Continued, HandOver, HandOverTicket, NotContinued

CLOCK, KIM = RealClock(), "01012345678"
FACTS = CallFacts("call-1", "visit-1", caller=KIM, called="1588", trusted=True, trunk="own")
WISH = HandOver(channel="web-chat", reason="chat", intent=None, slots={}, expires_s=900, with_pin=True)
CHANNELS = """
[channels.sms]
kind = "sms"
url = "URL"
json = {{ to = "{address}", text = "{link}" }}
[channels.app]
kind = "webhook"
url = "URL"
secret_file = "secret"
link = "app://go?{token}"
"""


@dataclass
class Site:
    office: TicketOffice
    service: ContextService
    gate: Gateway
    key: bytes

    async def hand_over(self, facts: CallFacts = FACTS, **wish) -> tuple[HandOverTicket | None, list[HandedOver]]:
        told: list[HandedOver] = []
        journal = type("Journal", (), {"record": staticmethod(lambda event, _=None: told.append(event))})
        return await self.office.hand_over(facts, replace(WISH, **wish), journal), told

    async def chat(self, caller: str | None = KIM, tenant: str = "main") -> str:
        name, customer = new_id(CLOCK), pseudonym(caller, self.key) if caller else None
        data = InteractionStarted(interaction=name, channel="web-chat", direction="in", customer=customer)
        changes = Changes.model_validate(
            {"customer": customer, "slots": {"order": {"value": "12345"}}, "tenant": tenant}
        )
        event = StampedEvent(
            id=new_id(CLOCK), time=CLOCK.now(), conversation=name, type=data.type, data=data, changes=changes
        )
        await self.service.ingest([event])
        return name


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setattr(tickets, "TICKET_S", 30)  # the caller who waits for a ticket is a busy machine
    async with AsyncExitStack() as stack:
        gate = await stack.enter_async_context(gateway())
        (tmp_path / "secret").write_text("hush")
        (tmp_path / "channels.toml").write_text(CHANNELS.replace("URL", gate.url).replace("{{", "{").replace("}}", "}"))
        config = Config.model_validate(
            {
                "site": {"name": "seoul", "data_dir": tmp_path, "run_dir": tmp_path},
                "mqtt": {"embedded_port": 0},
                "web": {"public_url": "https://talk.example"},
                "channels": {"file": tmp_path / "channels.toml"},
                "context": {"continue_numbers": ["070-8000-1001"], "tenants": {"1600": "shop"}},
            }
        )
        service = await stack.enter_async_context(ContextService(config, CLOCK))
        room = await stack.enter_async_context(continuing_room.opened(config, service, CLOCK))
        await stack.enter_async_context(LinkServer(tmp_path / "control.sock", room.handlers()))
        control, key = LinkClient(tmp_path / "control.sock"), pseudonym_key(tmp_path)
        stack.push_async_callback(control.close)
        numbers = config.context.continue_numbers
        office = TicketOffice(
            control, CLOCK, continue_numbers=numbers, customer_of=lambda number: pseudonym(number, key)
        )
        yield Site(office, service, gate, key)


async def test_a_ticket_holds_what_can_be_said_of_it(site: Site) -> None:
    ticket, told = await site.hand_over()
    assert ticket.link == f"https://talk.example/c#{ticket.token}"
    assert (len(ticket.pin), ticket.minutes, ticket.sent) == (6, 15, False)
    assert (told[0].channel, told[0].token) == ("web-chat", ticket.token)
    assert ticket.pin not in told[0].model_dump_json()
    assert site.gate.requests == []


@pytest.mark.parametrize("wish", [{"channel": "sms"}, {"send": "sms"}])
async def test_a_link_to_the_chat_goes_to_the_callers_own_phone(site: Site, wish: dict) -> None:
    ticket, told = await site.hand_over(**wish)
    await site.gate.until(1)
    assert json.loads(site.gate.requests[0].body) == {"to": KIM, "text": ticket.link}
    assert (ticket.sent, ticket.channel, told[0].channel) == (True, "web-chat", "web-chat")


@pytest.mark.parametrize(
    "facts",
    [
        {"trusted": False},
        {"attestation": "failed"},
        {"caller": "anonymous"},
        {"caller": "0212345678"},
        {"trusted": False, "attestation": "none", "caller": "01099998888"},
    ],
)
async def test_nobody_has_links_sent_to_a_number_that_may_be_anothers(site: Site, facts: dict) -> None:
    ticket, _ = await site.hand_over(replace(FACTS, **facts), send="sms")
    assert ticket.token
    assert not ticket.sent
    sent, _ = await site.hand_over(replace(FACTS, **facts), send="sms", to="010-5555-6666")
    assert sent.sent  # the flow has asked for it


async def test_an_attested_number_is_the_callers_own(site: Site) -> None:
    ticket, _ = await site.hand_over(replace(FACTS, trusted=False, attestation="passed"), send="sms")
    assert ticket.sent


async def test_a_channel_with_links_of_its_own_gets_tokens_of_its_own(site: Site) -> None:
    ticket, told = await site.hand_over(channel="app", to="user-7")
    await site.gate.until(1)
    assert json.loads(site.gate.requests[0].body)["link"] == ticket.link == f"app://go?{ticket.token}"
    assert told[0].channel == "app"


async def test_a_channel_that_is_not_in_the_file_sends_nothing_and_the_ticket_is_good(site: Site) -> None:
    ticket, _ = await site.hand_over(send="pigeon")
    assert ticket.token
    assert not ticket.sent


async def test_a_call_continues_by_pin_and_by_number(site: Site) -> None:
    chat = await site.chat()
    ticket = await site.service.continuing.issue(chat, "phone", pin=True, number=True)
    resumed = await site.office.resume(FACTS, "pin", ticket.pin)
    assert isinstance(resumed, Continued)
    assert (resumed.conversation, resumed.trust, resumed.channel) == (chat, "proved", "web-chat")
    assert resumed.slots["order"].value == "12345"
    lent = replace(FACTS, called="07080001001", conversation_id="visit-2", call_id="call-2")
    assert await site.office.resume(replace(lent, trusted=False), "number", "") is NotContinued.UNCONFIRMED
    assert await site.office.resume(replace(lent, attestation="failed"), "number", "") is NotContinued.UNKNOWN
    assert (await site.office.resume(lent, "number", "")).trust == "proved"


async def test_a_call_to_a_customer_is_of_the_tenant_of_its_conversation(site: Site) -> None:
    """The number called is the customer's, and says nothing."""
    order = await site.chat(None, "shop")
    calling = replace(FACTS, conversation_id=order, called=KIM, trusted=False)
    ticket, _ = await site.hand_over(calling, channel="phone")
    assert await site.office.resume(FACTS, "pin", ticket.pin) is NotContinued.UNKNOWN
    other = await site.service.continuing.issue(await site.chat(None, "shop"), "phone", pin=True)
    assert isinstance(await site.office.resume(calling, "pin", other.pin), Continued)


async def test_an_ordinary_call_has_nothing_to_continue_and_nothing_is_told_of_it(site: Site) -> None:
    await site.chat("01099998888")
    for way in ("header", "number", "caller"):
        assert await site.office.resume(FACTS, way, "") is NotContinued.ABSENT
    assert await site.service.conversation(FACTS.conversation_id) is None  # no event was made


async def test_a_hint_is_given_for_a_number_that_is_sure_alone(site: Site) -> None:
    await site.chat()
    assert await site.office.resume(FACTS, "caller", "") is NotContinued.UNCONFIRMED
    for doubt in ({"trusted": False}, {"attestation": "failed"}, {"called": "1600"}):
        assert await site.office.resume(replace(FACTS, **doubt), "caller", "") is NotContinued.ABSENT
    assert (await site.office.resume(FACTS, "caller", "", confirmed=True)).trust == "likely"


async def test_where_control_is_away_a_call_goes_on_without(tmp_path: Path) -> None:
    control = LinkClient(tmp_path / "nobody.sock")
    office = TicketOffice(control, CLOCK, customer_of=lambda _: "hash")
    assert await office.resume(FACTS, "pin", "123456") is NotContinued.ABSENT
    assert await office.hand_over(FACTS, WISH, None) is None
    await control.close()
