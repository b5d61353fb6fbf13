"""Telephone numbers as Korean callers dial them and carriers send them."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceedge.errors import NumberError
from voiceedge.switch.numbers import Kind, is_anonymous, read
from voiceedge.switch.plan import Numbers

KOREA = Numbers()


@pytest.mark.parametrize(
    ("text", "digits", "e164", "kind"),
    [
        ("010-1234-5678", "01012345678", "+821012345678", Kind.MOBILE),
        ("+82 10-1234-5678", "01012345678", "+821012345678", Kind.MOBILE),
        ("+82 (0)10 1234 5678", "01012345678", "+821012345678", Kind.MOBILE),
        ("8201012345678", "01012345678", "+821012345678", Kind.MOBILE),
        ("821012345678", "01012345678", "+821012345678", Kind.MOBILE),
        ("0082-10-1234-5678", "01012345678", "+821012345678", Kind.MOBILE),
        ("０１０－１２３４－５６７８", "01012345678", "+821012345678", Kind.MOBILE),
        ("011-234-5678", "0112345678", "+82112345678", Kind.MOBILE),
        ("02-312-3456", "023123456", "+8223123456", Kind.FIXED),
        ("02-2123-4567", "0221234567", "+82221234567", Kind.FIXED),
        ("312-3456", "023123456", "+8223123456", Kind.FIXED),
        ("8212-3456", "0282123456", "+82282123456", Kind.FIXED),
        ("823-1123", "028231123", "+8228231123", Kind.FIXED),
        ("051-234-5678", "0512345678", "+82512345678", Kind.FIXED),
        ("064-712-3456", "0647123456", "+82647123456", Kind.FIXED),
        ("1588-1234", "15881234", None, Kind.SERVICE),
        ("1644-1234", "16441234", None, Kind.SERVICE),
        ("1800-1234", "18001234", None, Kind.SERVICE),
        ("02-1588-1234", "15881234", None, Kind.SERVICE),
        ("+82-2-1588-1234", "15881234", None, Kind.SERVICE),
        ("+82-1588-1234", "15881234", None, Kind.SERVICE),
        ("070-1234-5678", "07012345678", "+827012345678", Kind.INTERNET),
        ("050-2123-4567", "05021234567", "+825021234567", Kind.PERSONAL),
        ("0502-1234-5678", "050212345678", "+8250212345678", Kind.PERSONAL),
        ("080-123-4567", "0801234567", "+82801234567", Kind.TOLL_FREE),
        ("060-700-1234", "0607001234", "+82607001234", Kind.PREMIUM),
        ("060-123-4567", "0601234567", "+82601234567", Kind.PREMIUM),
        ("030-1234-5678", "03012345678", "+823012345678", Kind.UNKNOWN),
        ("112", "112", None, Kind.EMERGENCY),
        ("119", "119", None, Kind.EMERGENCY),
        ("1125", "1125", None, Kind.EMERGENCY),
        ("0119", "119", None, Kind.EMERGENCY),
        ("+82119", "119", None, Kind.EMERGENCY),
        ("02-119", "02119", None, Kind.EMERGENCY),
        ("031-112", "031112", None, Kind.EMERGENCY),
        ("114", "114", None, Kind.SHORT),
        ("1330", "1330", None, Kind.SHORT),
        ("02-120", "02120", None, Kind.SHORT),
        ("201", "201", None, Kind.SHORT),
        ("001-1-212-555-1234", "+12125551234", "+12125551234", Kind.FIXED),
        ("002 1 212 555 1234", "+12125551234", "+12125551234", Kind.FIXED),
        ("00700-81-3-1234-5678", "+81312345678", "+81312345678", Kind.FIXED),
        ("00345-81-3-1234-5678", "+81312345678", "+81312345678", Kind.FIXED),
        ("00770 1 212 555 1234", "+12125551234", "+12125551234", Kind.FIXED),
        ("00799-81-3-1234-5678", "+81312345678", "+81312345678", Kind.FIXED),
        ("+870773123456", "+870773123456", "+870773123456", Kind.SATELLITE),
        ("+881612345678", "+881612345678", "+881612345678", Kind.SATELLITE),
        ("+883510012345678", "+883510012345678", "+883510012345678", Kind.SATELLITE),
        ("+1 900 555 1234", "+19005551234", "+19005551234", Kind.PREMIUM),
        ("+44 909 879 0000", "+449098790000", "+449098790000", Kind.PREMIUM),
        ("+39 06 1234 5678", "+390612345678", "+390612345678", Kind.FIXED),
    ],
)
def test_a_number_is_read_as_it_is_meant(text, digits, e164, kind):
    number = read(text, KOREA)
    assert (number.digits, number.e164, number.kind) == (digits, e164, kind)


@pytest.mark.parametrize(
    "text",
    [
        "", "+", "anonymous", "kim", "1-800-FLOWERS", "*23#01012345678", "01012345678;ext=4", "01012345678,,1",
        "sip:119@carrier", "010\r\n1234", "010\x005678", "1" * 23, "0" * 500, "²³²³²³", "٠١٠١٢٣٤٥٦٧٨", "+990123",
        "00712125551234", "007-700-1-212-555-1234", "+82", "+++821012345678",
    ],
)  # fmt: skip
def test_what_is_no_number_is_refused_and_never_dialled_in_part(text):
    with pytest.raises(NumberError):
        read(text, KOREA)


@given(st.text(max_size=80))
def test_whatever_comes_is_a_number_or_a_number_error(text):
    try:
        number = read(text, KOREA)
    except NumberError:
        return
    assert number.digits.lstrip("+").isascii()
    assert number.digits.lstrip("+").isdigit()


@given(st.from_regex(r"\+?[0-9]{1,18}", fullmatch=True))
def test_a_number_read_is_read_the_same_again(text):
    """What is dialled is what was judged: no second reading makes another number of it."""
    try:
        number = read(text, KOREA)
    except NumberError:
        return
    if number.kind is not Kind.UNKNOWN:
        assert read(number.digits, KOREA) == number
        assert number.e164 is None or read(number.e164, KOREA) == number


@given(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)), st.sampled_from(["fixed_line", "mobile"]))
def test_numbers_of_every_country_come_out_as_they_were(region, kind):
    example = phonenumbers.example_number_for_type(region, getattr(phonenumbers.PhoneNumberType, kind.upper()))
    if example is None or region == "KR":
        return
    e164 = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    number = read(e164, KOREA)
    assert (number.digits, number.e164, number.written("national", "00700")) == (e164, e164, "00700" + e164[1:])
    assert read("00700" + e164[1:], KOREA) == number


@pytest.mark.parametrize(
    ("text", "form", "prefix", "written"),
    [
        ("+821012345678", "national", "+", "01012345678"),
        ("010-1234-5678", "e164", "+", "+821012345678"),
        ("1588-1234", "e164", "+", "15881234"),
        ("+12125551234", "national", "+", "+12125551234"),
        ("+12125551234", "national", "001", "00112125551234"),
        ("00112125551234", "e164", "001", "+12125551234"),
        ("119", "e164", "+", "119"),
    ],
)
def test_a_number_is_written_as_the_carrier_wants_it(text, form, prefix, written):
    assert read(text, KOREA).written(form, prefix) == written


def test_another_country_is_at_home_elsewhere():
    america = Numbers(country="US", area="212")
    assert read("555-1234", america).e164 == "+12125551234"
    assert read("911", america).kind is Kind.EMERGENCY
    assert read("011 82 10 1234 5678", america).e164 == "+821012345678"
    assert read("010-1234-5678", america).kind is Kind.UNKNOWN
    assert read("000", Numbers(country="AU", area="")).kind is Kind.EMERGENCY


@pytest.mark.parametrize("caller", ["", " ", "anonymous", "Anonymous", "RESTRICTED", "unavailable"])
def test_a_caller_may_show_no_number(caller):
    assert is_anonymous(caller)
    assert not is_anonymous("01012345678")
