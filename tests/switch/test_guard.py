"""Toll fraud: what may not be dialled, however it is written."""

import pytest
from plans import plan

from voiceedge.switch.guard import Guard, Reason, Refusal
from voiceedge.switch.plan import Plan

STRICT = Guard(Plan())
OURS = Guard(plan())


def verdict(guard, number):
    found = guard.read(number)
    return found.reason if isinstance(found, Refusal) else "allowed"


@pytest.mark.parametrize(
    "number",
    ["010-1234-5678", "02-1234-5678", "1588-9999", "070-1234-5678", "050-2123-4567", "080-123-4567", "+82 51 234 5678"],
)
def test_ordinary_numbers_at_home_are_allowed_unasked(number):
    assert verdict(STRICT, number) == "allowed"


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("+12125551234", Reason.INTERNATIONAL),
        ("00112125551234", Reason.INTERNATIONAL),
        ("00700-1-212-555-1234", Reason.INTERNATIONAL),
        ("00777-53-7-123-4567", Reason.INTERNATIONAL),
        ("060-700-1234", Reason.PREMIUM),
        ("060-000-0000", Reason.PREMIUM),
        ("+82607001234", Reason.PREMIUM),
        ("+881612345678", Reason.INTERNATIONAL),
        ("030-1234-5678", Reason.UNKNOWN),
        ("013012345678", Reason.UNKNOWN),
        ("112", Reason.EMERGENCY),
        ("119", Reason.EMERGENCY),
        ("02-119", Reason.EMERGENCY),
        ("+82112", Reason.EMERGENCY),
        ("1121", Reason.EMERGENCY),
        ("114", Reason.SHORT),
        ("02-120", Reason.SHORT),
        ("201", Reason.SHORT),
        ("0071234", Reason.NOT_A_NUMBER),
        ("kim", Reason.NOT_A_NUMBER),
    ],
)
def test_nothing_else_is_unless_the_plan_lists_it(number, reason):
    assert verdict(STRICT, number) is reason


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("+12125551234", "allowed"),
        ("+16045551234", "allowed"),  # Canada's numbers cost what the United States' do
        ("+18765551234", Reason.INTERNATIONAL),  # Jamaica, within the same country code
        ("+19005551234", Reason.PREMIUM),
        ("+81312345678", "allowed"),
        ("+819012345678", Reason.DENIED),
        ("+870773123456", "allowed"),
        ("+881612345678", Reason.INTERNATIONAL),
        ("+442071234567", Reason.INTERNATIONAL),
        ("+1555", Reason.UNKNOWN),
        ("114", "allowed"),
        ("1330", "allowed"),
        ("119", "allowed"),
        ("112", Reason.EMERGENCY),  # 1* does not name it
        ("030-1234-5678", "allowed"),
        ("1588-1234", Reason.LOOP),
        ("0215881234", Reason.LOOP),
        ("+827012345678", Reason.LOOP),
    ],
)
def test_the_plan_opens_what_it_names_and_no_more(number, expected):
    assert verdict(OURS, number) == expected


def test_the_whole_world_leaves_out_satellites_and_islands_that_share_a_country_code():
    world = Guard(plan(international=["+"]))
    assert verdict(world, "+442071234567") == "allowed"
    for number in ("+870773123456", "+881612345678", "+883510012345678", "+979123456789", "+18765551234"):
        assert verdict(world, number) is Reason.INTERNATIONAL, number
    for number in ("+19005551234", "+449098790000", "+447012345678"):
        assert verdict(world, number) is Reason.PREMIUM, number
    assert verdict(Guard(plan(international=["+1876"])), "+18765551234") == "allowed"


def test_premium_numbers_are_opened_apart_and_denied_goes_before_all():
    assert verdict(Guard(plan(premium=True)), "060-700-1234") == "allowed"
    assert verdict(Guard(plan(premium=True, denied=["060*"])), "060-700-1234") is Reason.DENIED
    assert verdict(Guard(plan(denied=["11?"])), "119") is Reason.DENIED


def test_a_refusal_names_the_setting_and_no_number():
    for number in ("+442071234567", "060-700-1234", "112", "+819012345678"):
        found = OURS.read(number)
        assert "guard." in found.why
        assert not any(character.isdigit() for character in found.why)


@pytest.mark.parametrize(("number", "code"), [("kim", 484), ("15881234", 482), ("112", 403), ("+442071234567", 403)])
def test_a_refusal_has_a_sip_code(number, code):
    assert OURS.read(number).sip_code == code
