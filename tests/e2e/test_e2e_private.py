"""What the caller tells us in confidence: goes to the channel it is handed over to, and nowhere else."""

import json
from contextlib import asynccontextmanager

import pytest
from talk import talk

from voiceedge.edge.between.link import LinkClient
from voiceedge.errors import LinkError

pytestmark = pytest.mark.slow

CALLER, PHONE, ORDER = "01055667788", "01098765432", "20261"


@asynccontextmanager
async def control_of(service):
    client = LinkClient(service.directory / "run" / "control.sock")
    try:
        yield client
    finally:
        await client.close()


async def test_a_conversation_handed_over_is_known_once_to_its_channel_and_told_to_nobody_else(service):
    async with talk(service, "5000", user=CALLER) as call:
        await call.entered("phone")
        await call.press(PHONE)
        await call.entered("phone", "confirm")
        await call.press("1")
        await call.entered("order")
        await call.press(ORDER)
        handed_over = await call.until("conversation.handed_over", channel="web-chat")
        await call.call.ended()
        ended = await call.over()
        assert ended["outcome"] == "handed_over"
    assert handed_over["slots"]["order"] == ORDER
    assert handed_over["slots"]["phone"] not in {"", PHONE}

    async with control_of(service) as control:
        wish = {"token": handed_over["token"], "channel": "sms"}
        with pytest.raises(LinkError, match="channel"):
            await control.request("redeem_token", wish, timeout_s=30)
        wish["channel"] = "web-chat"
        answer = await control.request("redeem_token", wish, timeout_s=30)
        assert answer["conversation"]["slots"]["phone"]["value"] == PHONE
        assert answer["conversation"]["slots"]["order"]["value"] == ORDER
        with pytest.raises(LinkError, match="used"):
            await control.request("redeem_token", wish, timeout_s=30)

    told = json.dumps(call.events, ensure_ascii=False) + service.log.read_text()
    assert ORDER in told
    for secret in (CALLER, PHONE):
        spoken = "".join("공일이삼사오육칠팔구"[int(digit)] for digit in secret)
        for written in (secret, f"{secret[:3]}-{secret[3:7]}-{secret[7:]}", secret[3:], spoken[3:7], spoken[7:]):
            assert written not in told
