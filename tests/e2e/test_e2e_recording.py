"""Calls that are recorded: what is in the file of a real call, what is not, and what a full disk does to the call."""

import asyncio
import json
import wave
from datetime import datetime

import numpy as np
import pytest
from rtp import FRAME, RATE, tone
from talk import now_ns, talk

from tests.disk import small_disk
from voiceedge.audio import wav
from voiceedge.audio.inspection import inspect
from voiceedge.audio.tones import DEFAULT_FILE, load_plan

pytestmark = pytest.mark.slow

CARD = "4111111111111111"
SPOKEN_HZ = 1000
ROWS, COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477)
MARGIN_S = 0.1  # an event is a moment before or after what it tells


def keyed_in_band(keys):
    parts = []
    for key in keys:
        row, column = divmod("123456789*0#".index(key), 3)
        parts += [tone(ROWS[row], 120, 0.2) + tone(COLUMNS[column], 120, 0.2), np.zeros(RATE // 10, np.int16)]
    return np.concatenate(parts)


def at_s(call, kind, **fields):
    """When it was told, in seconds of the recording."""
    begun, moment = (
        next(
            datetime.fromisoformat(event["time"])
            for event in call.events
            if event["type"] == f"voiceedge.{name}" and wanted.items() <= event["data"].items()
        )
        for name, wanted in (("recording.started", {}), (kind, fields))
    )
    return (moment - begun).total_seconds()


async def agree(call):
    """Asked again they key it again: twice the first key of a service was not heard, and it is not known why yet."""
    await call.entered("may_record")
    await call.press("1")
    heard = await call.until("turn.heard", step="may_record")
    if heard["decision"] == "no_input":
        await call.press("1")
    await call.entered("menu")
    return await call.until("recording.started")


async def answers(call, step, kind, keys):
    """Key it as tones once the question has been asked."""
    since = now_ns()
    await call.entered(step, kind)
    await call.silence(await call.spoken_to(since))
    call.rtp.say(keyed_in_band(keys))


def left_out_s(call):
    """How long the worker stood still: the frames of that time are nowhere, nor are they on file."""
    packets = list(call.rtp.packets)
    return max(0.0, (packets[-1].at_ns - packets[0].at_ns) / 1e9 - FRAME / RATE * len(packets))


@pytest.fixture(scope="module")
def recording(light):
    with light(recording={"enabled": True}) as service:
        yield service


async def test_both_sides_of_a_call_are_on_file_and_the_card_number_is_not(recording):
    async with talk(recording, "8000") as call:
        started = await agree(call)
        call.rtp.say(tone(SPOKEN_HZ, 700))
        await answers(call, "menu", "ask", "1")
        await answers(call, "card", "ask", CARD)
        await answers(call, "card", "confirm", "1")
        await answers(call, "receipt", "ask", "1")
        ended = await call.until("recording.ended")
        assert (await call.over())["outcome"] == "paid"

    file = recording.directory / "data" / "recordings" / started["path"]
    assert file.name == f"{call.conversation}.wav"
    assert [path.stat().st_mode & 0o777 for path in (file, file.parent, file.parent.parent)] == [0o600, 0o700, 0o700]
    with wave.open(str(file)) as standard:
        assert (standard.getnchannels(), standard.getframerate()) == (2, RATE)
    (said, heard), _ = wav.load_channels(file)

    assert (ended["path"], ended["error"], ended["pauses"]) == (started["path"], None, 1)
    assert len(said) / RATE == pytest.approx(ended["seconds"], abs=0.1)
    missing_s = left_out_s(call)
    assert len(said) / RATE == pytest.approx(at_s(call, "call.ended") - missing_s, abs=1)

    card_s, receipt_s = (at_s(call, "step.entered", step=step) for step in ("card", "receipt"))
    before = slice(0, int(card_s * RATE))
    secret = slice(int((card_s + MARGIN_S) * RATE), int((receipt_s - missing_s) * RATE))
    spectrum = np.abs(np.fft.rfft(said[before]))
    assert np.argmax(spectrum) * RATE / len(said[before]) == pytest.approx(SPOKEN_HZ, abs=5)
    assert np.abs(heard[before]).max() > 1000
    assert receipt_s - card_s > len(CARD) * 0.18
    assert not said[secret].any()
    assert not heard[secret].any()
    assert np.abs(heard[int((receipt_s + 0.6) * RATE) :]).max() > 1000

    caller, prompts = inspect(file, load_plan("kr", DEFAULT_FILE)).sides
    assert [key.key for key in caller.keys] == ["1", "1"], "of the menu and of the receipt"
    assert prompts.keys == []
    assert CARD not in json.dumps(call.events)


async def test_who_does_not_agree_is_not_recorded(recording):
    async with talk(recording, "8000") as call:
        await call.entered("may_record")
        await call.press("2")
        await call.entered("menu")
    assert not list(recording.directory.glob(f"data/recordings/*/{call.conversation}*"))
    assert call.of("recording.started") == []


async def test_who_hangs_up_has_a_whole_recording(recording):
    async with talk(recording, "8000") as call:
        started = await agree(call)
        await call.spoken_to(now_ns())
    assert call.of("recording.ended")[0]["error"] is None
    channels, _ = wav.load_channels(recording.directory / "data" / "recordings" / started["path"])
    assert channels.shape[1] / RATE == pytest.approx(at_s(call, "call.ended") - left_out_s(call), abs=1)


async def test_a_site_that_records_nothing_serves_the_call_all_the_same(service):
    async with talk(service, "8000") as call:
        await call.entered("may_record")
        await call.press("1")
        await call.entered("menu")
    assert call.of("recording.started") == call.of("recording.ended") == []
    assert not (service.directory / "data" / "recordings").exists()


async def test_a_full_disk_ends_the_recording_and_not_the_call(light, tmp_path):
    directory = tmp_path / "data" / "recordings"
    directory.mkdir(parents=True)
    with small_disk(directory) as full, light(tmp_path, recording={"enabled": True}) as service:
        async with talk(service, "8000") as call:
            await agree(call)
            with full():
                assert (await call.until("recording.ended"))["error"] == "No space left on device"
                async with talk(service, "8000") as late:
                    await late.entered("may_record")
                    await late.press("1")
                    assert "No space left" in (await late.until("recording.ended"))["error"]
                    await late.entered("menu")
            await call.press("1")
            await call.entered("card")
            await call.press(CARD)
            await call.entered("card", "confirm")
            await call.press("1")
            await call.entered("receipt")
            await call.press("1")
            assert (await call.over())["outcome"] == "paid"
        assert "recording_failed" in service.log.read_text()


async def test_what_a_killed_worker_had_not_sealed_lies_in_the_clear_until_its_successor_starts_or_the_service_stops(
    light, tmp_path
):
    key, drafts = tmp_path / "key", tmp_path / "run" / "drafts"
    key.write_text("ab" * 32)
    with light(tmp_path, recording={"enabled": True, "key_file": str(key)}) as service:
        async with talk(service, "8000") as call:
            await agree(call)
            pid = service.pid("worker-1")
            (draft,) = drafts.iterdir()
            assert draft.name.startswith(f"{pid}-")
            service.kill("worker-1")
            await asyncio.to_thread(service.replaced, "worker-1", pid)
            assert not list(drafts.iterdir())
        draft.write_bytes(b"of a worker that is killed when all stop")
        assert service.stop() == 0
    assert not list(drafts.iterdir())
