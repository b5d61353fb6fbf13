"""Call-detail records: kept once with their event, read back in order, written as CSV, and summed up."""

import csv
import io
from datetime import timedelta

from making import CLOCK, stamped

from voiceedge.context.events.call import LegEnded
from voiceedge.context.storage import legs


def leg(**told):
    facts = {
        "call_id": "call-1",
        "role": "caller",
        "direction": "in",
        "trunk": "kt",
        "agent": None,
        "far_end": "***5678",
        "began_at": "2026-11-22T09:00:00+00:00",
        "answered_at": "2026-11-22T09:00:01+00:00",
        "ended_at": "2026-11-22T09:01:00+00:00",
        "request_delay_ms": 3,
        "disconnect_delay_ms": None,
        "talk_ms": 59_000,
        "cause": "caller",
        "sip_code": 200,
        "q850": 16,
    }
    return LegEnded.model_validate(facts | told)


async def all_of(database):
    now = CLOCK.now()
    return [record async for record in legs.read(database.begin, now - timedelta(days=1), now + timedelta(days=1))]


async def test_a_record_is_kept_once_with_the_number_in_the_clear_that_no_event_shows(store, database):
    event = stamped(leg(), number="01012345678")
    assert await store.ingest([event]) == 1
    assert await store.ingest([event]) == 0
    (record,) = await all_of(database)
    assert (record.number, record.conversation, record.leg) == ("01012345678", "conversation-1", leg())
    (pending,) = await store.pending(10)
    assert "01012345678" not in pending.body
    conversation = await store.conversation("conversation-1")
    assert conversation
    assert "01012345678" not in conversation.model_dump_json()


async def test_records_are_read_in_order_however_many_they_are(store, database, monkeypatch):
    monkeypatch.setattr(legs, "READ_AT_ONCE", 3)
    events = [stamped(leg(talk_ms=number), number=f"{number}") for number in range(7)]
    later = [event.model_copy(update={"time": event.time + timedelta(seconds=n)}) for n, event in enumerate(events)]
    await store.ingest(later[::-1])
    assert [record.leg.talk_ms for record in await all_of(database)] == list(range(7))
    assert await legs.forget(database, CLOCK.now() - timedelta(hours=1)) == 0
    assert await legs.forget(database, CLOCK.now() + timedelta(hours=1)) == 7
    assert await all_of(database) == []


def test_csv_has_a_column_for_everything_and_no_formula_for_a_spreadsheet():
    written = io.StringIO()
    numbers = "+821012345678", '=HYPERLINK("http://x")', "-2+3", 'kim, "the" agent'
    legs.write_csv([legs.LegRecord("conversation-1", "node-1", number, leg()) for number in numbers], written)
    rows = list(csv.DictReader(io.StringIO(written.getvalue())))
    assert [row["number"] for row in rows] == ["+821012345678", '\'=HYPERLINK("http://x")', "'-2+3", 'kim, "the" agent']
    assert set(rows[0]) == {"conversation", "node", "number", *LegEnded.model_fields}
    assert rows[0]["q850"] == "16"


def test_the_summary_is_that_of_rfc_6076():
    failed = {"answered_at": None, "talk_ms": 0, "request_delay_ms": None}
    made = legs.summary(
        [
            leg(direction="out", request_delay_ms=100, packets_in=90, lost_in=10, mos=4.0),
            leg(direction="out", request_delay_ms=300, packets_in=100, mos=4.4),
            leg(sip_code=486, **failed),  # busy: reached
            leg(sip_code=503, **failed),  # the network's fault
            leg(sip_code=404, **failed),  # neither
            leg(sip_code=302, **failed),  # does not count
        ]
    )
    assert (made.legs, made.answered) == (5, 2)
    assert (made.ser, made.seer, made.isa) == (2 / 5, 3 / 5, 1 / 5)
    assert (made.request_delay_ms, made.mos, made.loss) == (200, 4.2, 10 / 200)
    assert made.disconnect_delay_ms is None


def test_of_no_legs_nothing_is_claimed():
    empty = legs.summary([])
    assert (empty.legs, empty.ser, empty.loss, empty.mos) == (0, None, None, None)
