"""Tokens in the headers of calls: RFC 7433 as it should be, as carriers make it, and as an attacker would."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceedge.edge.call.user_to_user import MOST, tokens_of, uui_of

TOKEN = "0a1b2c3d.AbCdEfGhIjKlMnOpQrStUv.AbCdEfGhIjKlMnOpQrStUvWx"
OTHER = "0a1b2c3d.BbCdEfGhIjKlMnOpQrStUv.AbCdEfGhIjKlMnOpQrStUvWx"
HEX = TOKEN.encode().hex()


@pytest.mark.parametrize(
    "value",
    [
        HEX,
        f"{HEX};encoding=hex",
        f"{HEX.upper()} ; purpose=isdn-uui ;encoding=HEX;content=isdn-uui",
        f"04{HEX};encoding=hex;purpose=isdn-uui",  # with a protocol discriminator
        f"00{HEX};encoding=hex",
        f'"{TOKEN}";encoding=text',
        f"{TOKEN};encoding=token",
        TOKEN,
        f'"voiceedge {TOKEN}, please";purpose="a;b,c"',
        f"00;encoding=hex, {HEX};encoding=hex",  # two headers, joined as RFC 3261 says
        f'"a \\" b, c", {TOKEN}',
    ],
)
def test_a_token_is_found_however_it_is_written(value):
    assert tokens_of({"User-to-User": value}) == [TOKEN]


def test_a_token_may_come_in_another_header_that_is_believed():
    assert tokens_of({"X-Customer-Ref": f"ref={TOKEN}"}) == [TOKEN]
    assert tokens_of({"X-Customer-Ref": TOKEN, "user-to-user": OTHER}) == [OTHER, TOKEN]


def test_a_call_with_many_tokens_gets_a_few_tries():
    many = ", ".join(f"0a1b2c3d.{letter}bCdEfGhIjKlMnOpQrStUv.AbCdEfGhIjKlMnOpQrStUvWx" for letter in "CDEFGHIJ")
    assert len(tokens_of({"User-to-User": many})) == MOST


@pytest.mark.parametrize("value", ["", ";;;", '"', '"\\', ",,,,", "abc;encoding=hex", "0g", HEX[1:], f"x{TOKEN}y", "é"])
def test_nonsense_holds_no_token(value):
    assert tokens_of({"User-to-User": value, "X-A": value}) == []


@given(st.text(alphabet='0aF";,\\= encodighx\x00é', max_size=1024))
def test_whatever_comes_is_read_to_its_end(value):
    assert all(isinstance(data, str) for data, _ in uui_of(value))
    assert tokens_of({"User-to-User": value}) == []


@given(st.lists(st.binary(max_size=40).map(bytes.hex), max_size=5), st.booleans())
def test_hexadecimal_data_of_others_does_no_harm(parts, encoded):
    value = ", ".join(f"{part};encoding=hex" if encoded else part for part in parts)
    assert tokens_of({"User-to-User": f"{value}, {HEX}"}) == [TOKEN]


def test_a_hostile_header_costs_no_time():
    for value in ("; " * 512, '"' * 1024, "a; ;" * 256 + '"x', ", " * 512, "encoding" * 128):
        assert tokens_of({"User-to-User": value}) == []
