import os
import stat
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recognised import false_alarms, missed, ordinary

from voiceedge.context.privacy import identifiers
from voiceedge.context.privacy.keys import load_key
from voiceedge.context.privacy.pii import PersonalDataClass, mask, mask_text, pseudonym, pseudonym_key
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
        ("19880101", PersonalDataClass.PERSONAL, "***"),  # a birthday
        ("220-81-62517", PersonalDataClass.PERSONAL, "***"),
        ("제 번호는 공일공 일이삼사 오육칠팔이에요", PersonalDataClass.PERSONAL, "***5678"),
        ("이 일은 사이에 오이 이사 일이", PersonalDataClass.PERSONAL, "***"),
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
        ("공일공 음 일이삼사 어 오육칠팔이요", "***5678이요"),
        ("공하나공 일둘삼사 오육칠팔", "***5678"),
        ("공일공 천이백삼십사에 오천육백칠십팔이요", "***요"),
        ("공일공에 이십삼 사십오 육십칠 팔십구", "***"),
        ("oh one oh, one double two three, five six seven eight", "***5678"),
        ("0082-10-1234-5678", "***5678"),
        ("주민번호 앞자리는 880101 뒷자리는 1234567입니다", "주민번호 앞자리는 *** 뒷자리는 ***입니다"),
        ("주민번호는 팔팔공이삼공에 일이삼사오육칠", "주민번호는 ***"),  # no such day, but its name says what it is
        ("외국인등록번호 900101-5123456", "외국인등록번호 ***"),
        ("사업자번호 220-81-62517", "사업자번호 ***"),
        ("220-81-62517", "***"),
        ("사업자등록번호는 이이공 팔일 육이오일칠", "사업자등록번호는 ***"),
        ("법인등록번호 1345110004412", "법인등록번호 ***"),
        ("134511-0004412", "***"),
        ("여권 M12345678이고요", "여권 ***이고요"),
        ("m123A4567", "***"),
        ("엠 일이삼 에이 사오육칠", "***"),
        ("passport number AB1234567", "passport number AB***"),
        ("11-22-123456-12", "***"),
        ("서울 12-345678-90", "서울 ***"),
        ("면허 번호는 일일 이이 일이삼사오육 칠팔", "면허 번호는 ***"),
        ("국민은행 계좌 123456-04-123456으로", "국민은행 계좌 ***으로"),
        ("통장 번호는 일이삼 사오육칠팔구 공일 이삼사", "통장 번호는 ***"),
        ("카드번호 4111-1111-1111-1112", "카드번호 ***1112"),  # misheard, but its name says what it is
        ("hong@example.co.kr입니다", "***입니다"),
        ("홍길동 골뱅이 네이버 점 컴이에요", "***이에요"),
        ("에이치 오 엔 지 일이삼 골뱅이 지메일 닷컴", "***"),
        ("gil 점 dong 골뱅이 shop 점 씨오 점 케이알", "***"),
        ("hong dot gildong at example dot com please", "*** please"),
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
        "220-81-62518",  # no business: its check digit is wrong
        "주문 번호는 이공이육 일일이이 공공일입니다",
        "주문번호 9001011234567",
        "상품 바코드 8801234567890",
        "송장 2026112212345678",
        "계좌로 1,234,567,890원 들어왔어요",
        "계좌로 환불해 주시고 주문 번호는 20261122001입니다",
        "이천이십육 년 십일 월 이십이 일 만이천삼백사십오 원",
        "골뱅이 무침 두 개",
        "look at example dot com",
        "from 12345678",
        "recordings/2026-11-22/01985672-1234-7123-8123-123456789012.wav",
        "one of two, no one",
        "",
    ],
)
def test_other_text_is_left_alone(text: str) -> None:
    assert mask_text(text) == text


@given(st.text(alphabet="공일이삼사오육칠팔구0123456789- .,+@가나다 에", max_size=80))
def test_masking_is_total_and_never_shows_a_whole_mobile_number(text: str) -> None:
    assert "01012345678" not in mask_text(text + " 01012345678")


BAIT = ("7", "1 ", "일이", "oh ", "a@", "a.", "가 골뱅이 ", "a dot a dot   at x dot com ", "계좌 1", "M123", "공일공천")


@pytest.mark.parametrize("bait", BAIT)
def test_a_long_hostile_text_is_masked_in_reasonable_time(bait: str) -> None:
    mask_text(bait * (20_000 // len(bait)))


@pytest.mark.parametrize("bait", ["공일", "0-", "9 ", "사"])
def test_of_a_text_of_digits_few_stretches_are_looked_at(bait: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many that control has time for others meanwhile; a stretch takes some microseconds."""
    seen, real = [], identifiers._kind
    monkeypatch.setattr(identifiers, "_kind", lambda digits, *rest: seen.append(digits) or real(digits, *rest))
    text = bait * (2_000 // len(bait))
    mask_text(text)
    assert len(seen) <= 5 * len(text)


def test_no_ordinary_sentence_is_taken_for_a_number_of_a_person() -> None:
    assert len(ordinary()) > 500
    assert false_alarms() == []


def test_no_planted_identifier_is_missed() -> None:
    assert {kind: sentences for kind, sentences in missed().items() if sentences} == {}


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
