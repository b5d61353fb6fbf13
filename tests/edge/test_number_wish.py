"""Which number somebody wants to be called back by."""

from voiceedge.edge.call.number_wish import NumberWish, Wish


def wish(caller="01012345678", reachable=lambda number: not number.startswith("00")):
    return NumberWish(caller, "ko", reachable)


def keyed(asked, keys):
    for key in keys[:-1]:
        assert asked.key(key) is Wish.OPEN
    return asked.key(keys[-1])


def said(asked):
    return " ".join(utterance.text for utterance in asked.question)


def test_the_number_the_call_came_from_is_read_back_and_confirmed_by_a_key():
    asked = wish()
    assert "공일공, 일이삼사, 오육칠팔 번으로" in said(asked)
    assert asked.question[0].personal
    assert asked.key("1") is Wish.OPEN
    assert not asked.question, "the key has cut it short"
    assert asked.paused() is Wish.CONFIRMED
    assert asked.number == "01012345678"


def test_one_and_the_end_key_confirm_at_once():
    assert keyed(wish(), "1#") is Wish.CONFIRMED


def test_another_number_is_read_back_too():
    asked = wish()
    assert keyed(asked, "0212345678#") is Wish.OPEN
    assert "공이, 일이삼사, 오육칠팔" in said(asked)
    assert keyed(asked, "1#") is Wish.CONFIRMED
    assert asked.number == "0212345678"


def test_who_shows_no_number_is_asked_for_one():
    asked = wish(caller="anonymous")
    assert "번호를 누르고" in said(asked)
    assert keyed(asked, "1#") is Wish.OPEN, "there is nothing to confirm"
    assert keyed(asked, "01098765432#") is Wish.OPEN
    assert asked.key("#") is Wish.CONFIRMED
    assert asked.number == "01098765432"


def test_a_number_that_may_not_be_called_is_asked_for_again():
    asked = wish()
    assert keyed(asked, "0019005550100#") is Wish.OPEN
    assert asked.number == ""
    assert "번호를 누르고" in said(asked)


def test_star_and_silence_go_on_waiting():
    assert wish().key("*") is Wish.WITHDRAWN
    assert wish().paused() is Wish.WITHDRAWN
    asked = wish()
    asked.key("0")
    assert asked.patience_s < wish().patience_s
