"""What names a dialog, and the requests that speak of one: REFER (RFC 3515) and Replaces (RFC 3891)."""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from voiceedge.sip.headers import LONGEST_CALL_ID, address, fields, is_target, one_line, values

_TAG = re.compile(r";\s*tag\s*=\s*([^\s;,>\"]{1,256})", re.IGNORECASE)
_OTHER_METHOD = re.compile(r";method=(?!INVITE(?:;|$))", re.IGNORECASE)
_SHORT = {"i": "call-id", "f": "from", "t": "to"}
_SEQUENCE = re.compile(r"(\d{1,10})\s+\S+\Z")


@dataclass(frozen=True, slots=True)
class DialogId:
    """As we see it (RFC 3261, 12): `local` is our tag, `remote` the other side's."""

    call_id: str
    local: str
    remote: str

    @property
    def replaces(self) -> str:
        """The Replaces value by which a third party asks the other side to give this dialog up."""
        return f"{self.call_id};to-tag={self.remote};from-tag={self.local}"


@dataclass(frozen=True, slots=True)
class Refer:
    """`replaces` is the Replaces value in Refer-To, None where there is none."""

    dialog: DialogId
    sequence: int
    target: str
    replaces: str | None


def dialog_of(raw: str, *, from_us: bool) -> DialogId | None:
    """Of a message; `from_us`: its From is ours. None while a tag is missing."""
    found: dict[str, str] = {}
    for name, value in fields(raw):
        found.setdefault(_SHORT.get(name, name), value)  # the first counts
    if "call-id" not in found:
        return None
    sender, receiver = _tag(found.get("from", "")), _tag(found.get("to", ""))
    if not sender or not receiver:
        return None
    local, remote = (sender, receiver) if from_us else (receiver, sender)
    return DialogId(one_line(found["call-id"], LONGEST_CALL_ID), local, remote)


def read_replaces(value: str) -> DialogId | None:
    """The dialog of ours that a Replaces value names; None where it is malformed."""
    call_id, *parameters = (part.strip() for part in value.split(";"))
    pairs = {name.strip().lower(): tag.strip() for name, _, tag in (part.partition("=") for part in parameters)}
    local, remote = pairs.get("to-tag", ""), pairs.get("from-tag", "")
    if not call_id or not local or not remote or one_line(value) != value:
        return None
    return DialogId(call_id, local, remote)


def read_refer(raw: str) -> Refer | None:
    """A REFER within a call that asks for a call to a SIP or tel URI; None where it is anything else."""
    dialog, targets, sequences = dialog_of(raw, from_us=False), values(raw, "refer-to", "r"), values(raw, "cseq")
    found = _SEQUENCE.search(sequences[0]) if sequences else None
    if dialog is None or len(targets) != 1 or not found:
        return None
    target, _, headers = address(targets[0]).partition("?")
    if not is_target(target) or _OTHER_METHOD.search(target):
        return None
    named = (pair.partition("=") for pair in headers.split("&"))
    replaces = next((unquote(value) for name, _, value in named if name.lower() == "replaces"), None)
    if replaces is not None and read_replaces(replaces) is None:
        return None
    return Refer(dialog, int(found[1]), target, replaces)


def refer_to(target: str, replaces: DialogId) -> str:
    """A Refer-To value that asks for a call to `target` in place of one that it has with us."""
    return f"<{target}?Replaces={quote(replaces.replaces, safe='')}>"


def _tag(value: str) -> str:
    found = _TAG.search(value.rpartition(">")[2] if ">" in value else value)
    return found[1] if found else ""
