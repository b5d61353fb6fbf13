"""A switch that bridges: its plan, its flows, and how to tell who hears whom."""

from pathlib import Path

from ports import free_port
from rtp import RATE, strength, tone
from talk import until

CALLER_HZ, KIM_HZ, LEE_HZ = 700.0, 1100.0, 1900.0
LONG_MS = 60_000
DIALLED = {exit_: exit_ for exit_ in ("busy", "no_answer", "refused", "failed")} | {"talked": "next"}
QUEUED = {exit_: exit_ for exit_ in ("full", "closed", "timeout", "left", "call_back", "failed")} | {"talked": "next"}
TAKEN = {"kept": "next", "empty": "empty", "failed": "failed"}
STEPS = {
    "main": ("dial: kim", DIALLED),
    "1001": ("dial: kim", DIALLED),
    "1002": ("dial: kim, ring_s: 8, whisper: A customer with a question about an order.", DIALLED),
    "1003": ("dial: [kim, lee]", DIALLED),
    "1004": ("dial: kim, whisper: Press one., accept: true", DIALLED),
    "1005": ('dial: "{call.channel}"', DIALLED),  # nobody's name, which no check before the call can tell
    "1006": ('dial: "02-1234-5678"', DIALLED),
    "1007": ('dial: "+1 900 555 0100"', DIALLED),
    "1008": ("dial: kim, recorded: true", DIALLED),
    "1009": ("dial: lee", DIALLED),
    "2001": ("queue: sales", QUEUED),
    "2002": ("queue: small", QUEUED),
    "2003": ("queue: sales", {"failed": "failed", "talked": "next"}),
    "3001": ("voicemail: sales, prompt: Speak.", TAKEN),
}


def hears(rtp, hertz, since_ns=0):
    """Whether the last 200 ms that came since then are this tone, alone or with others."""
    return strength(rtp.heard(since_ns)[-RATE // 5 :], hertz) > 0.2


async def in_talk(call, agent, hertz=KIM_HZ):
    """Both hear each other: each says a tone until the other has heard it."""
    for speaker, tone_hz in ((call.rtp, CALLER_HZ), (agent.rtp, hertz)):
        speaker.hush()
        speaker.say(tone(tone_hz, LONG_MS))
    await until(lambda: hears(agent.rtp, CALLER_HZ))
    await until(lambda: hears(call.rtp, hertz))


def free(names):
    return {name: free_port() for name in names}


def write_flows(directory: Path) -> None:
    """Each dials, or does something else, and ends by the name of the exit taken."""
    for number, (step, exits) in STEPS.items():
        targets = ", ".join(f"{key}: {exit_}" for exit_, key in exits.items())
        ends = "\n".join(f"  {exit_}: {{hang_up: }}" for exit_ in exits)
        name = f"f{number}" if number.isdigit() else number
        text = f"flow: {name}\nlanguage: en\nstart: a\nsteps:\n  a: {{{step}, {targets}}}\n{ends}\n"
        (directory / f"{name}.yaml").write_text(text, encoding="utf-8")


def write_plan(path: Path, ports: dict[str, int]) -> None:
    lines = []
    for code, name in enumerate(("kim", "lee"), 1):
        lines += [f"[agents.{name}]", f'phone = "sip:{name}@127.0.0.1:{ports[name]}"', f'code = "{code}"']
        lines += ["ring_s = 30.0", "after_call_s = 0.0", 'queues = ["sales", "small"]']
    for rank, name in enumerate(("first_trunk", "second_trunk"), 1):
        lines += [f"[trunks.{name}]", 'host = "127.0.0.1"', f"port = {ports[name]}", f"priority = {rank}"]
        lines += ['caller_id = "0270001234"']
    lines += ["[queues.sales]", 'title = "Sales"', "announce_every_s = 5.0", 'whisper = "A customer for sales."']
    lines += ["[queues.small]", "most_waiting = 1", "longest_wait_s = 2.0"]
    lines += ["[mailboxes.sales]", "longest_s = 20.0"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
