import asyncio
import threading

import pytest

from voiceedge.clock import RealClock, VirtualClock
from voiceedge.errors import SpeechBusyError
from voiceedge.speech.evidence import PhraseScore, WhisperEvidence
from voiceedge.speech.heard import Expectation
from voiceedge.speech.service import Decider

NOTHING_SPECIAL = Expectation("ko")


class SlowRecogniser:
    """Stands where Whisper stands and answers when told to."""

    def __init__(self):
        self.heard = []
        self.go_on = threading.Semaphore(0)
        self.started = threading.Semaphore(0)

    def score(self, pcm, expectation):
        self.started.release()
        assert self.go_on.acquire(timeout=100)
        self.heard.append(pcm)
        if pcm == b"broken":
            raise RuntimeError("no such audio")
        return WhisperEvidence(transcript=pcm.decode())


async def test_utterances_are_decided_first_come_first_served():
    recogniser = SlowRecogniser()
    async with Decider(recogniser, RealClock()) as decider, asyncio.TaskGroup() as group:
        tasks = [group.create_task(decider.decide(name.encode(), NOTHING_SPECIAL)) for name in "abc"]
        recogniser.go_on.release(3)
    assert recogniser.heard == [b"a", b"b", b"c"]
    assert [task.result().transcript for task in tasks] == ["a", "b", "c"]


async def test_a_full_queue_refuses_at_once_and_takes_more_when_there_is_room():
    recogniser = SlowRecogniser()
    async with Decider(recogniser, RealClock(), queue=1) as decider, asyncio.TaskGroup() as group:
        tasks = [group.create_task(decider.decide(name, NOTHING_SPECIAL)) for name in (b"a", b"b")]
        await asyncio.to_thread(recogniser.started.acquire)
        with pytest.raises(SpeechBusyError, match=r"speech\.queue") as refused:
            await decider.decide(b"c", NOTHING_SPECIAL)
        assert refused.value.can_retry
        recogniser.go_on.release(3)
        await asyncio.gather(*tasks)
        assert (await decider.decide(b"d", NOTHING_SPECIAL)).transcript == "d"


async def test_a_late_decision_is_given_up_but_holds_its_place_until_it_is_done():
    recogniser, clock = SlowRecogniser(), VirtualClock()
    async with Decider(recogniser, clock, queue=0, decide_s=3.0) as decider:
        late = asyncio.ensure_future(decider.decide(b"late", NOTHING_SPECIAL))
        await asyncio.sleep(0)
        await asyncio.to_thread(recogniser.started.acquire)
        await clock.advance(3.1)
        with pytest.raises(SpeechBusyError, match="within 3 s"):
            await late
        with pytest.raises(SpeechBusyError, match="wait already"):
            await decider.decide(b"next", NOTHING_SPECIAL)
        recogniser.go_on.release(2)
    assert recogniser.heard == [b"late"]


async def test_a_failing_recogniser_fails_only_its_own_utterance():
    recogniser = SlowRecogniser()
    recogniser.go_on.release(2)
    async with Decider(recogniser, RealClock()) as decider:
        with pytest.raises(RuntimeError):
            await decider.decide(b"broken", NOTHING_SPECIAL)
        assert (await decider.decide(b"whole", NOTHING_SPECIAL)).transcript == "whole"


def test_evidence_survives_the_way_over_a_socket():
    evidence = WhisperEvidence("배송 쪼회", "배송 조회", -0.2, 0.1, (PhraseScore("배송 조회", -0.1),), ("a note",))
    assert WhisperEvidence.from_json(evidence.to_json()) == evidence
