from datetime import UTC, datetime, timedelta

from making import CALL, one_of_each, stamped

from voiceedge.context.events.call import CallEnded, CallStarted, EventData, StepEntered, TurnHeard
from voiceedge.context.privacy.pii import PersonalDataClass
from voiceedge.context.record import LONGEST_HISTORY, Changes, Conversation, Slot

START = datetime(2026, 11, 22, 9, tzinfo=UTC)


def told(*events: EventData, changes: Changes | None = None) -> Conversation:
    record = Conversation.begin("c1", START)
    for seconds, event in enumerate(events):
        record = record.apply(START + timedelta(seconds=seconds), event, changes or Changes())
    return record


def started(call_id: str) -> CallStarted:
    return CallStarted(call_id=call_id, direction="in", caller="1", customer="x", called="1588", flow="f")


def ended(call_id: str) -> CallEnded:
    return CallEnded(call_id=call_id, cause="flow", sip_code=200, reason="", duration_ms=1, talk_ms=1)


def test_a_call_is_told_from_its_events() -> None:
    record = told(*one_of_each())
    (visit,) = record.channels
    assert (visit.channel, visit.reference, visit.cause) == ("phone", CALL, "caller")
    assert visit.answered_at == START + timedelta(seconds=1)
    assert record.ended_at == visit.ended_at == START + timedelta(seconds=11)
    assert [(turn.speaker, turn.text) for turn in record.turns] == [
        ("voiceedge", "안녕하세요. 무엇을 도와드릴까요?"),
        ("caller", "배송 조회요, 번호는 ***5678"),
        ("caller", ""),
    ]
    assert [entry.step for entry in record.journey] == ["greet", "keep"]
    assert [note.channel for note in record.hand_overs] == ["web-chat"]
    assert (record.queue, record.agent) == (None, None)


def test_slots_are_added_to_and_the_flow_has_the_last_word() -> None:
    step = StepEntered(call_id=CALL, flow="f", step="s", kind="set")
    record = told(started(CALL))
    record = record.apply(START, step, Changes(slots={"a": Slot(value="1"), "b": Slot(value="2")}))
    card = Slot(value="3", personal_data=PersonalDataClass.CARD)
    record = record.apply(START, step, Changes(slots={"b": card}, intent="return", language="en"))
    assert record.slots == {"a": Slot(value="1"), "b": card.model_copy(update={"value": "***"})}
    assert (record.intent, record.language, record.customer) == ("return", "en", "x")


def test_a_conversation_is_over_when_each_of_its_calls_is() -> None:
    assert told(started("1"), ended("1")).ended_at
    assert told(started("1"), ended("1"), started("2")).ended_at is None
    assert told(started("1"), ended("1"), started("2"), ended("2")).ended_at


def test_a_caller_who_goes_round_in_circles_does_not_grow_the_record_without_end() -> None:
    silent = TurnHeard(call_id=CALL, flow="f", step="s", by="none", decision="no_input")
    again = StepEntered(call_id=CALL, flow="f", step="s", kind="ask", says="?")
    record = told(started(CALL), *([again, silent] * LONGEST_HISTORY))
    assert (len(record.turns), len(record.journey)) == (LONGEST_HISTORY, LONGEST_HISTORY)


def test_a_record_is_read_back_as_it_was_written_also_from_a_newer_release() -> None:
    record = told(*one_of_each(), changes=Changes(slots={"a": Slot(value="1")}))
    assert Conversation.model_validate_json(record.model_dump_json()) == record
    assert Conversation.model_validate(record.model_dump() | {"mood": "fine"}) == record


def test_text_from_the_network_is_made_fit_to_publish() -> None:
    event = started("a\x00b\x1b[31m\udcff")
    assert event.call_id == "a b [31m?"
    assert len(started("x" * 100_000).call_id) == 4000
    assert stamped(event).model_dump_json()
