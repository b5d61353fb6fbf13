import asyncio
import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from voiceedge.clock import VirtualClock
from voiceedge.context.database import Database
from voiceedge.context.store import Store
from voiceedge.context.tokens import Refusal, TokenRefusedError, Tokens


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def tokens(store: Store, tmp_path: Path, clock: VirtualClock) -> Tokens:
    return Tokens(store, tmp_path, clock)


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
    tokens: Tokens, store: Store, tmp_path: Path, clock: VirtualClock
) -> None:
    other = Tokens(store, tmp_path / "other", clock)  # even if it could use the same store
    assert await refusal(tokens, await other.issue("c1", "web-chat", 60)) is Refusal.UNKNOWN


async def test_a_token_survives_a_restart(
    tokens: Tokens, new_database: Callable[..., Database], tmp_path: Path, clock: VirtualClock
) -> None:
    token = await tokens.issue("c1", "web-chat", 60)
    database = new_database()
    await database.open()
    assert await Tokens(Store(database, "seoul"), tmp_path, clock).redeem(token, "web-chat") == "c1"
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
    assert all(len(token) <= 60 and "c1" not in token.split(".")[0] for token in issued)


async def test_a_refusal_does_not_repeat_the_token(tokens: Tokens) -> None:
    token = await tokens.issue("c1", "web-chat", 60)
    with pytest.raises(TokenRefusedError) as caught:
        await tokens.redeem(token, "sms")
    assert token not in str(caught.value)
