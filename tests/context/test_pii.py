import os
import stat
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceedge.context.keys import load_key
from voiceedge.context.pii import PersonalDataClass, mask, mask_text, pseudonym, pseudonym_key
from voiceedge.errors import StoreError

KEY = bytes(32)


@pytest.mark.parametrize(
    ("value", "cls", "seen"),
    [
        ("12345678", PersonalDataClass.NONE, "12345678"),
        ("010-1234-5678", PersonalDataClass.PERSONAL, "***5678"),
        ("+82 10 1234 5678", PersonalDataClass.PERSONAL, "***5678"),
        ("공일공 일이삼사 오육칠팔", PersonalDataClass.PERSONAL, "***5678"),
        ("김철수", PersonalDataClass.PERSONAL, "***"),
        ("1234", PersonalDataClass.PERSONAL, "***"),
        ("880101-1234567", PersonalDataClass.PERSONAL, "***"),
        ("당뇨 12345678", PersonalDataClass.SENSITIVE, "***"),
        ("4111 1111 1111 1234", PersonalDataClass.CARD, "***1234"),
        ("123", PersonalDataClass.CARD, "***"),
        ("", PersonalDataClass.PERSONAL, "***"),
    ],
)
def test_a_value_is_masked_by_its_class(value: str, cls: PersonalDataClass, seen: str) -> None:
    assert mask(value, cls) == seen


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("제 번호는 010-1234-5678이에요", "제 번호는 ***5678이에요"),
        ("01012345678로 전화 주세요", "***5678로 전화 주세요"),
        ("010 1234 5678, 02-345-6789", "***5678, ***6789"),
        ("(02) 1234-5678", "(***5678"),
        ("+82 10-1234-5678", "+***5678"),
        ("+1 415 555 0100 please", "+***0100 please"),
        ("sip:821012345678@10.0.0.1", "sip:***5678@10.0.0.1"),
        ("0１0-1234-5678", "***5678"),
        ("번호는 공일공 일이삼사 오육칠팔 입니다", "번호는 ***5678 입니다"),
        ("공일공에 일이삼사에 오육칠팔이요", "***5678이요"),
        ("공 일 공 일 이 삼 사 오 육 칠 팔", "***5678"),
        ("010 일이삼사 오륙칠팔", "***5678"),
        ("zero one zero one two three four five six seven eight", "***5678"),
        ("팔팔공일공일 일이삼사오육칠", "***"),
        ("주민번호 880101-1234567 맞죠", "주민번호 *** 맞죠"),
        ("8801011234567", "***"),
        ("카드는 4111-1111-1111-1111입니다", "카드는 ***1111입니다"),
        ("사공일이 팔팔팔팔 팔팔팔팔 일팔팔일", "***1881"),
        ("메일은 hong.gildong@example.co.kr 입니다", "메일은 *** 입니다"),
        ("일이삼사오육칠팔구일", "***"),
    ],
)
def test_numbers_and_addresses_of_a_person_are_masked_in_free_text(text: str, seen: str) -> None:
    assert mask_text(text) == seen


@pytest.mark.parametrize(
    "text",
    [
        "주문 번호 12345678",
        "대표 번호는 1588-1234입니다",
        "2026년 11월 22일 오후 3시, 1,234,567원",
        "2026-11-22 13:45:10",
        "이 일은 사이에 오이 이사 일이 있어요",
        "주문 번호는 일이삼사오육칠팔 입니다",
        "4111-1111-1111-1112",  # no card: its check digit is wrong
        "one of two, no one",
        "",
    ],
)
def test_other_text_is_left_alone(text: str) -> None:
    assert mask_text(text) == text


@given(st.text(alphabet="공일이삼사오육칠팔구0123456789- .,+@가나다 에", max_size=80))
def test_masking_is_total_and_never_shows_a_whole_mobile_number(text: str) -> None:
    assert "01012345678" not in mask_text(text + " 01012345678")


def test_a_long_hostile_text_is_masked_in_reasonable_time() -> None:
    mask_text("1 " * 5_000 + "a@" * 5_000)


def test_one_number_has_one_pseudonym_however_it_is_written() -> None:
    ways = ["010-1234-5678", "01012345678", "+82 10 1234 5678", "821012345678", "+82 (0)10-1234-5678"]
    assert len({pseudonym(way, KEY) for way in ways}) == 1
    assert pseudonym("Hong@Example.com ", KEY) == pseudonym("hong@example.com", KEY)


def test_a_pseudonym_depends_on_number_and_key_and_shows_neither() -> None:
    one = pseudonym("01012345678", KEY)
    assert one != pseudonym("01012345679", KEY)
    assert one != pseudonym("01012345678", b"\1" * 32)
    assert "5678" not in one or len(one) == 32


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    key = pseudonym_key(tmp_path / "new")
    assert pseudonym_key(tmp_path / "new") == key
    (file,) = (tmp_path / "new").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_processes_that_make_the_key_at_once_agree_on_it(tmp_path: Path) -> None:
    with get_context("fork").Pool(4) as pool:
        assert len(set(pool.map(pseudonym_key, [tmp_path] * 16))) == 1


def test_a_damaged_key_is_refused_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "pseudonym.key").write_bytes(b"short")
    with pytest.raises(StoreError, match="restore it"):
        load_key(tmp_path, "pseudonym")


@pytest.mark.skipif(os.getuid() == 0, reason="root writes anywhere")
def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match=r"site\.data_dir"):
        load_key(tmp_path, "pseudonym")
