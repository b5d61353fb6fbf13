"""Calls out: the trunks in their order, the number as each wants it, and never another's number shown."""

import pytest
from plans import plan

from voiceedge.switch.guard import Guard, Reason, Refusal
from voiceedge.switch.outgoing import Outgoing
from voiceedge.switch.plan import Plan

PLAN = plan()
OUT = Outgoing(PLAN, Guard(PLAN))


def uris(number, **options):
    return [(attempt.trunk, attempt.uri, attempt.caller_id) for attempt in OUT.attempts(number, **options)]


def test_the_cheapest_that_serves_it_comes_first_and_each_gets_its_own_form():
    assert uris("010-1234-5678") == [
        ("cheap", "sip:+821012345678@sip.cheap.example:5080;transport=tls", "+827012345678"),
        ("carrier", "sip:01012345678@198.51.100.10:5060;transport=udp", "0212345678"),
    ]
    assert [trunk for trunk, *_ in uris("02-777-8888")] == ["carrier"]
    assert [trunk for trunk, *_ in uris("+12125551234")] == ["cheap", "carrier"]


def test_a_foreign_number_in_national_form_begins_with_the_trunks_prefix():
    assert uris("+12125551234")[1][1] == "sip:+12125551234@198.51.100.10:5060;transport=udp"
    table = PLAN.model_dump(by_alias=True)
    table["trunks"]["carrier"]["international_prefix"] = "00700"
    changed = Plan.model_validate(table)
    attempts = Outgoing(changed, Guard(changed)).attempts("+12125551234")
    assert attempts[1].uri == "sip:0070012125551234@198.51.100.10:5060;transport=udp"


@pytest.mark.parametrize(
    ("wished", "shown"),
    [
        (None, "0212345678"),
        ("1588-1234", "15881234"),
        ("02 1234 5678", "0212345678"),
        ("010-9999-8888", "0212345678"),  # somebody else's
        ("112", "0212345678"),
        ("anonymous", "0212345678"),
    ],
)
def test_only_a_number_of_the_trunks_own_is_shown(wished, shown):
    assert uris("02-777-8888", wished_caller_id=wished) == [
        ("carrier", "sip:027778888@198.51.100.10:5060;transport=udp", shown)
    ]


def test_codecs_and_encryption_are_the_trunks():
    first, second = OUT.attempts("010-1234-5678")
    assert (first.codecs, first.srtp) == (("PCMA",), "required")
    assert (second.codecs, second.srtp) == ((), "off")
    assert first.headers["X-VoiceEdge-Trunk"] == "cheap"


def test_hops_are_counted_on_and_end_a_loop():
    assert OUT.attempts("027778888")[0].headers["X-VoiceEdge-Hops"] == "70"
    assert OUT.attempts("027778888", hops=20)[0].headers["X-VoiceEdge-Hops"] == "19"
    assert OUT.attempts("027778888", hops=200)[0].headers["X-VoiceEdge-Hops"] == "70"
    assert OUT.attempts("027778888", hops=1).reason is Reason.LOOP


def test_a_call_of_ours_that_came_back_goes_out_no_more():
    assert OUT.attempts("027778888", caller="+82212345678").reason is Reason.LOOP


def test_every_trunk_that_is_not_used_says_why():
    explained = OUT.explained("02-777-8888")
    assert explained.passed == (
        "cheap: serves only +8210*, +1*", "pbx: has no host, so calls only come in by it",
    )  # fmt: skip


def test_without_a_trunk_the_refusal_says_so():
    found = Outgoing(Plan(), Guard(Plan())).attempts("010-1234-5678")
    assert isinstance(found, Refusal)
    assert (found.reason, found.sip_code) == (Reason.NO_TRUNK, 503)


def test_an_emergency_number_that_is_allowed_is_marked_so_that_no_cap_holds_it_back():
    (attempt,) = OUT.attempts("119")
    assert (attempt.is_emergency, attempt.uri) == (True, "sip:119@198.51.100.10:5060;transport=udp")
    assert not OUT.attempts("114")[0].is_emergency
