import asyncio
import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from voiceedge.clock import VirtualClock
from voiceedge.context.privacy.keys import KeyRing
from voiceedge.context.resuming.tokens import LONGEST_S, Refusal, TokenRefusedError, Tokens, tokens_in
from voiceedge.context.storage.database import Database


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def ring(tmp_path: Path, clock: VirtualClock) -> KeyRing:
    return KeyRing(tmp_path, "token", clock)


@pytest.fixture
def tokens(database: Database, ring: KeyRing, clock: VirtualClock) -> Tokens:
    return Tokens(database, ring, clock)


async def refusal(tokens: Tokens, token: str, channel: str = "web-chat") -> Refusal:
    with pytest.raises(TokenRefusedError) as caught:
        await tokens.redeem(token, channel)
    return caught.value.reason


async def test_a_token_opens_its_conversation_once(tokens: Tokens) -> None:
    token = await tokens.issue("c1", "web-chat", 60)
    assert await tokens.redeem(token, "web-chat") == "c1"
    assert await refusal(tokens, token) is Refusal.USED


async def test_a_token_is_for_its_channel_and_a_stranger_does_not_burn_it(tokens: Tokens) -> None:
    token = await tokens.issue("c1", "web-chat", 60)
    assert await refusal(tokens, token, "sms") is Refusal.FOREIGN_CHANNEL
    assert await tokens.redeem(token, "web-chat") == "c1"
    assert await refusal(tokens, token, "sms") is Refusal.FOREIGN_CHANNEL


async def test_a_token_expires(tokens: Tokens, clock: VirtualClock) -> None:
    token = await tokens.issue("c1", "web-chat", 60)
    other = await tokens.issue("c2", "web-chat", 60)
    await clock.advance(59.9)
    assert await tokens.redeem(other, "web-chat") == "c2"
    await clock.advance(0.1)
    assert await refusal(tokens, token) is Refusal.EXPIRED
    assert await refusal(tokens, other) is Refusal.USED


async def test_each_single_altered_character_is_noticed(tokens: Tokens) -> None:
    token = await tokens.issue("c1", "web-chat", 60)
    for place in range(len(token)):
        altered = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert await refusal(tokens, altered) is Refusal.UNKNOWN
    assert await tokens.redeem(token, "web-chat") == "c1"


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b.c", "é.ü.ß", "\udcff.x.y", "x" * 100_000, "a.b.c.d", "' OR 1=1 --"]
)
async def test_nonsense_is_unknown(tokens: Tokens, token: str) -> None:
    assert await refusal(tokens, token) is Refusal.UNKNOWN


async def test_a_token_of_another_installation_is_unknown(
    tokens: Tokens, database: Database, tmp_path: Path, clock: VirtualClock
) -> None:
    other = Tokens(database, KeyRing(tmp_path / "other", "token", clock), clock)  # even if it could use the same store
    assert await refusal(tokens, await other.issue("c1", "web-chat", 60)) is Refusal.UNKNOWN


async def test_a_token_survives_a_restart(
    tokens: Tokens, new_database: Callable[..., Database], ring: KeyRing, clock: VirtualClock
) -> None:
    token = await tokens.issue("c1", "web-chat", 60)
    database = new_database()
    await database.open()
    assert await Tokens(database, ring, clock).redeem(token, "web-chat") == "c1"
    assert await refusal(tokens, token) is Refusal.USED
    await database.close()


async def test_of_many_who_come_at_once_one_gets_in(tokens: Tokens) -> None:
    token = await tokens.issue("c1", "web-chat", 60)
    results = await asyncio.gather(*(tokens.redeem(token, "web-chat") for _ in range(50)), return_exceptions=True)
    assert results.count("c1") == 1
    assert all(result == "c1" or isinstance(result, TokenRefusedError) for result in results)


async def test_tokens_hold_enough_chance_and_fit_a_text_message(tokens: Tokens) -> None:
    issued = [await tokens.issue("c1", "web-chat", 60) for _ in range(20)]
    chances = {base64.urlsafe_b64decode(token.split(".")[1] + "==") for token in issued}
    assert len(chances) == 20
    assert all(len(chance) * 8 >= 128 for chance in chances)
    assert all(len(token) <= 60 for token in issued)


async def test_a_refusal_does_not_repeat_the_token(tokens: Tokens) -> None:
    token = await tokens.issue("c1", "web-chat", 60)
    with pytest.raises(TokenRefusedError) as caught:
        await tokens.redeem(token, "sms")
    assert token not in str(caught.value)


async def test_the_visit_that_burnt_a_token_may_ask_again_where_the_answer_was_lost(tokens: Tokens) -> None:
    token = await tokens.issue("c1", "phone", 60)
    assert await tokens.redeem(token, "phone", "visit-1") == "c1"
    assert await tokens.redeem(token, "phone", "visit-1") == "c1"
    with pytest.raises(TokenRefusedError, match="used"):
        await tokens.redeem(token, "phone", "visit-2")


async def test_tokens_of_a_key_that_was_replaced_hold_until_they_expire(
    tokens: Tokens, ring: KeyRing, clock: VirtualClock, tmp_path: Path
) -> None:
    old, first = await tokens.issue("c1", "web-chat", LONGEST_S), ring.signing()
    ring.rotate(LONGEST_S)
    new = await tokens.issue("c2", "web-chat", 60)
    assert new.split(".")[0] == ring.signing().id != first.id == old.split(".")[0]
    await clock.advance(30)
    assert await tokens.redeem(new, "web-chat") == "c2"
    await clock.advance(LONGEST_S - 31)
    assert ring.verifying(first.id)
    assert await tokens.redeem(old, "web-chat") == "c1"
    await clock.advance(2)
    assert ring.verifying(first.id) is None
    ring.rotate(LONGEST_S)
    assert len(list(tmp_path.glob("token*.key"))) == 2  # noqa: ASYNC240 - few files; the first one's is gone


async def test_a_key_that_was_copied_before_it_signs_verifies_at_every_node(
    database: Database, tmp_path: Path, clock: VirtualClock
) -> None:
    rings = [KeyRing(tmp_path / node, "token", clock) for node in ("a", "b")]
    nodes = [Tokens(database, ring, clock) for ring in rings]
    (tmp_path / "b").mkdir()
    rings[0].signing()
    for name in ("token.key", rings[0].prepare().name):
        (tmp_path / "b" / name).write_bytes((tmp_path / "a" / name).read_bytes())
    rings[0].rotate(LONGEST_S)
    assert await nodes[1].redeem(await nodes[0].issue("c1", "sms", 60), "sms") == "c1"
    assert await nodes[0].redeem(await nodes[1].issue("c2", "sms", 60), "sms") == "c2"
    rings[1].rotate(LONGEST_S)
    assert rings[1].signing() == rings[0].signing()


async def test_a_token_is_found_in_whatever_surrounds_it(tokens: Tokens) -> None:
    token = await tokens.issue("c1", "phone", 60)
    assert tokens_in(f"voiceedge:{token};x=1") == tokens_in(token) == [token]
    assert tokens_in(token[1:]) == tokens_in(token + "A") == tokens_in("") == []
