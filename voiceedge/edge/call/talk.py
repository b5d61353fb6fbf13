"""A caller and whoever was called for them, from the moment they hear each other until they part (docs/bridges.md).

talking ── hold ──► music ──► talking          the caller's leg outlives all others
   │ ── consult ──► asking ── hangs up ──► talking (to the third)
   │                  │  └── *3 ──► all three
   └── send on ──► ringing ── answered ──► talking (to the third)
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Literal

import structlog

from voiceedge.audio.events import Offset, Onset
from voiceedge.edge.call.agent_keys import PATIENCE_S, AgentKeys, BackToCaller, Command, Consult, SendOn, TalkAll
from voiceedge.edge.call.customer import Caller
from voiceedge.edge.call.inbox import Rung, SentOn, Signal, Told
from voiceedge.edge.call.lines import Candidate
from voiceedge.edge.call.party import Party
from voiceedge.edge.call.ringing import Background, Ringing
from voiceedge.edge.call.talk_record import TalkRecord
from voiceedge.edge.call.transcript import Listener, Speaker
from voiceedge.errors import LegEndedError, SipError
from voiceedge.flow.call import DialResult
from voiceedge.sip.events import Ended, Held, Key, Resumed, TransferAsked
from voiceedge.sip.leg import Leg
from voiceedge.switch.guard import Refusal

_CODES = {DialResult.BUSY: 486, DialResult.NO_ANSWER: 480, DialResult.REFUSED: 603, DialResult.FAILED: 503}
_OK, _TAKEN_BACK = 200, 487

Left = Callable[[Party, bool], None]  # who, and whether their line broke under a caller who stays

log = structlog.get_logger()


class Parted(StrEnum):
    """How a talk ended while the caller stayed.

    `BROKE`: the other side's line failed, or a transfer led nowhere. `SENT_ON`: to the queue that `sent_to` names.
    """

    HUNG_UP = "hung_up"
    BROKE = "broke"
    SENT_ON = "sent_on"


_ENDED_BY: Mapping[Parted, Literal["other", "failed", "transfer"]] = {
    Parted.HUNG_UP: "other",
    Parted.BROKE: "failed",
    Parted.SENT_ON: "transfer",
}


class Mode(StrEnum):
    TALKING = "talking"
    RINGING = "ringing"  # a third party, to whom the caller is to be sent
    CONSULTING = "consulting"  # a third party is rung, or talks with the partner
    ALL = "all"


class Talk:
    def __init__(self, caller: Caller, language: str, *, queue: str | None = None, left: Left | None = None) -> None:
        """`left` hears when the first partner leaves, which may be long before the talk is over."""
        self._caller, self._inbox, self._lines = caller, caller.inbox, caller.lines
        self._partner: Party | None = None
        self._third: Party | None = None
        self._first: Party | None = None
        self._listener = (
            Listener(caller.transcripts, caller.journal, caller.facts.call_id, language) if caller.transcripts else None
        )
        self._left = left or (lambda _party, _broke: None)
        self._mode = Mode.TALKING
        self._keys = AgentKeys()
        self._rings = Background(self._lines, self._inbox.post)
        self._asked: Party | None = None  # whose REFER waits for its end
        self._record = TalkRecord(caller.journal, caller.facts.call_id, caller.clock, queue)
        self._parted: Parted | None = None
        self._sought = ""  # whom the caller is being sent on to
        self.sent_to = ""

    @property
    def call_id(self) -> str:
        return self._caller.facts.call_id

    @property
    def partner(self) -> str | None:
        """With whom the caller talks, for others to read."""
        return self._partner.masked if self._partner else None

    async def run(self, partner: Party, by: Literal["dial", "queue"], wait_ms: int) -> Parted:
        """Until they part. Raises CallEnded when it is the caller who hangs up."""
        self._partner = self._first = partner
        ended_by: Literal["caller", "other", "failed", "transfer"] = "caller"
        try:
            await self._join(self._adopt(partner), by, wait_ms)
            while self._parted is None:
                signal = await self._inbox.next(PATIENCE_S if self._keys.pending else None)
                await self._take(signal)
            ended_by = _ENDED_BY[self._parted]
            return self._parted
        finally:
            self._caller.recordings.overhear(None)
            self._record.end(ended_by)
            self._lines.talks.pop(self._caller.leg.number, None)
            self._rings.stop()
            for party in (self._partner, self._third):
                if party:
                    self._leave(party)

    def send_on(self, to: str | Candidate) -> bool:
        """To a queue, or to somebody who is rung; what comes of it is told by events. False: not at this moment."""
        may = self._mode is Mode.TALKING and self._parted is None and self._partner is not None
        if may:
            self._inbox.post(SentOn(to))
        return may

    def give_up(self) -> Party | None:
        """Somebody else's caller takes over whom ours talks with (attended transfer); our own talk is over."""
        partner = self._partner
        if self._mode is not Mode.TALKING or self._parted or partner is None or partner.ended:
            return None
        self._partner, self._parted = None, Parted.HUNG_UP
        if partner is self._first:
            self._left(partner, False)
            self._first = None
        self._inbox.post(Rung(0, DialResult.FAILED))  # so that it is noticed
        return partner

    # --- what happens ---

    async def _take(self, signal: Signal | None) -> None:
        match signal:
            case None:
                self._keys.forget()
            case Told(party=party, signal=Ended() as ended):
                await self._gone(party, ended)
            case Told(party=party, signal=Onset() | Offset() as voice) if party is self._partner:
                self._overhear("agent", voice)
            case Onset() | Offset():
                self._overhear("caller", signal)
            case Told(party=party, signal=inner) if party in (self._partner, self._third):
                await self._told(party, inner)
            case Rung():
                await self._rung(self._rings.claim(signal))
            case Key(key=key, method=method) if method != "in_band":  # which is audio, and heard as such
                self._relay(key, self._partner)
            case SentOn() | Held() | Resumed() if self._mode is Mode.TALKING and self._partner:
                await self._obeyed(signal, self._partner)

    async def _obeyed(self, signal: SentOn | Held | Resumed, partner: Party) -> None:
        match signal:
            case SentOn(to=str(queue)):
                self.sent_to, self._parted = queue, Parted.SENT_ON
            case SentOn(to=Candidate() as somebody):
                await self._seek(somebody, Mode.RINGING)
            case Held():
                await self._part_audio()
                partner.sound.music()
            case Resumed():
                await self._join_audio()

    def _overhear(self, speaker: Speaker, voice: Onset | Offset) -> None:
        if self._listener and self._mode in {Mode.TALKING, Mode.ALL}:
            self._listener.hear(speaker, voice)

    async def _told(self, party: Party, signal: Signal) -> None:
        match signal:
            case Key(key=key, method=method) if method != "in_band" and party is self._partner:
                await self._key(key, is_agent=party.agent is not None)
            case Held() if self._mode is Mode.TALKING:
                await self._part_audio()
                self._caller.sound.music()
            case Resumed() if self._mode is Mode.TALKING:
                await self._join_audio()
            case TransferAsked() if party is self._partner and self._mode is Mode.TALKING:
                await self._refer(party, signal)
            case TransferAsked():
                await party.quietly(party.leg.decline_transfer())

    async def _key(self, key: str, *, is_agent: bool) -> None:
        was_pending = self._keys.pending
        command = self._keys.press(key) if is_agent else None
        if command:
            await self._obey(command)
        elif not was_pending and not self._keys.pending:
            self._relay(key, None)

    async def _obey(self, command: Command) -> None:
        match command, self._mode:
            case SendOn(number=number), Mode.TALKING:
                await self._ring(number, Mode.RINGING)
            case Consult(number=number), Mode.TALKING:
                await self._ring(number, Mode.CONSULTING)
            case TalkAll(), Mode.CONSULTING if self._third:
                await self._join_all()
            case BackToCaller(), Mode.CONSULTING | Mode.ALL | Mode.RINGING:
                await self._back()

    async def _gone(self, party: Party, ended: Ended) -> None:
        if party is self._third:
            self._third = None
            if self._partner:
                await self._back()
            else:
                self._parted = Parted.HUNG_UP
            return
        if party is not self._partner:
            return
        broke = ended.cause not in {"caller", "transfer"}
        stays = self._third or self._rings.active
        self._leave(party, broke=broke and not stays)
        self._partner = None
        if self._third:
            await self._take_over(self._third, "consultation")
        elif not stays:
            self._parted = Parted.BROKE if broke else Parted.HUNG_UP
        # else the caller is being sent on: whoever is rung decides

    # --- sending the caller on ---

    async def _ring(self, target: str, mode: Mode, in_place_of: str = "") -> bool:
        """False where nobody may be rung. `in_place_of`: the dialog at another process whose place our call takes."""
        found = self._lines.find(target, caller=self._name(), hops=self._caller.hops)
        if not isinstance(found, Candidate):
            why = found.why if isinstance(found, Refusal) else "nobody has that name or number"
            log.warning("transfer_refused", why=why)
            return False
        await self._seek(found.in_place_of(in_place_of) if in_place_of else found, mode, music=bool(in_place_of))
        return True

    async def _seek(self, found: Candidate, mode: Mode, *, music: bool = False) -> None:
        await self._part_audio()
        self._mode, self._sought = mode, found.masked
        if mode is Mode.CONSULTING or music:
            self._caller.sound.music()
        else:
            self._caller.sound.ringing()
        if self._partner:
            self._partner.sound.ringing()
        asker = self._partner.agent if self._partner and mode is Mode.CONSULTING else None
        shown = self._lines.extension(asker) if asker else self._caller.shown
        self._rings.start(Ringing(self._lines, self._caller.legs), [found.showing(shown)])

    async def _rung(self, found: Party | DialResult | None) -> None:
        if found is None:
            return
        if isinstance(found, DialResult):
            await self._nobody(found)
            return
        if self._mode is Mode.CONSULTING and self._partner:
            self._third = self._adopt(found)
            self._partner.sound.quiet()
            await self._bridge_legs(self._partner.leg, found.leg)
        elif self._mode in {Mode.CONSULTING, Mode.RINGING}:
            await self._take_over(self._adopt(found), "transfer")
        else:  # taken back in the meantime
            self._lines.spawn(found.close())

    async def _nobody(self, result: DialResult) -> None:
        if self._parted or self._mode not in {Mode.CONSULTING, Mode.RINGING}:
            return
        if self._mode is Mode.RINGING:
            self._record.transferred(self._sought, result)
        await self._report(_CODES.get(result, 503))
        if self._partner:
            await self._back()
        else:
            self._parted = Parted.BROKE

    async def _take_over(self, heir: Party, by: Literal["transfer", "consultation"]) -> None:
        """The caller talks with `heir` from now on, and whoever sent them on is let go."""
        self._caller.recordings.overhear(None)
        self._record.end("transfer")
        old, self._third = self._partner, None
        self._partner, self._mode = heir, Mode.TALKING
        self._record.transferred(heir.masked)
        if old:
            await self._report(_OK)
            self._leave(old)
        await self._join(heir, by, 0)

    async def _refer(self, partner: Party, wish: TransferAsked) -> None:
        """The partner's phone sends the caller on (RFC 3515), perhaps to whom it talks with on another line."""
        if wish.replaces:
            other = self._lines.talks.get(wish.replaces.number)
            heir = other.give_up() if other and other is not self else None
            if heir is None:
                await partner.quietly(partner.leg.decline_transfer())
                return
            self._adopt(heir)  # before anything else can happen to them
            await partner.quietly(partner.leg.accept_transfer())
            self._asked = partner
            await self._take_over(heir, "transfer")
            return
        self._asked = partner
        if await self._ring(wish.target, Mode.RINGING, wish.elsewhere):
            partner.sound.quiet()
            await partner.quietly(partner.leg.accept_transfer())
        else:
            self._asked = None
            await partner.quietly(partner.leg.decline_transfer())

    async def _report(self, code: int) -> None:
        if asked := self._asked:
            self._asked = None
            await asked.quietly(asked.leg.transfer_progress(code))

    async def _back(self) -> None:
        """The partner and the caller alone again."""
        self._rings.stop()
        if third := self._third:
            self._third = None
            self._lines.spawn(third.close())
        self._mode = Mode.TALKING
        self._keys.forget()
        await self._report(_TAKEN_BACK)
        await self._join_audio()

    async def _join_all(self) -> None:
        self._mode = Mode.ALL
        await self._join_audio()
        if self._third:
            await self._bridge_legs(self._caller.leg, self._third.leg)
            self._caller.recordings.overhear(self._third.leg.channel)

    # --- audio ---

    async def _join(self, party: Party, by: Literal["dial", "queue", "transfer", "consultation"], wait_ms: int) -> None:
        await self._join_audio()
        self._lines.talks[self._caller.leg.number] = self
        self._record.begin(party, by, wait_ms)

    async def _join_audio(self) -> None:
        self._caller.sound.quiet()
        if self._partner:
            self._partner.sound.quiet()
            await self._bridge_legs(self._caller.leg, self._partner.leg)
            self._caller.recordings.overhear(self._partner.leg.channel)

    async def _part_audio(self) -> None:
        if self._partner:
            self._caller.recordings.overhear(None)
            await self._caller.leg.unbridge(self._partner.leg)

    @staticmethod
    async def _bridge_legs(one: Leg, other: Leg) -> None:
        try:
            await one.bridge(other)
        except LegEndedError:
            return  # its Ended is on its way to us
        except SipError as error:
            log.error("bridge_failed", problem=str(error))  # noqa: TRY400 - the message says it all

    def _relay(self, key: str, party: Party | None) -> None:
        """Whoever talks with a machine presses keys for it: those of RFC 4733 are not in the audio."""
        leg = party.leg if party else self._caller.leg
        if self._mode is Mode.TALKING:
            self._lines.spawn(_send_key(leg, key))

    # --- coming and going ---

    def _adopt(self, party: Party) -> Party:
        party.tell(self._inbox.post)
        party.leg.may_transfer = party.leg.may_be_replaced = party.agent is not None  # nobody else calls at our expense
        return party

    def _leave(self, party: Party, *, broke: bool = False) -> None:
        if party is self._first:
            self._left(party, broke)
            self._first = None
        self._lines.spawn(party.close())

    def _name(self) -> str:
        """Of whoever pays for a further call: the partner who asks for it."""
        return (self._partner and self._partner.agent) or self._caller.facts.caller


async def _send_key(leg: Leg, key: str) -> None:
    try:
        await leg.send_key(key)
    except (LegEndedError, SipError):
        return  # nobody is there to hear it
