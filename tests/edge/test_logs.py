"""What may stand in the log, and what becomes of it when there is no room."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import structlog
from voiceedge.config import Log
from voiceedge.edge.between import logs

logs.configure(Log(format="json"))
log = structlog.get_logger()
caller = "01012345678"
try:
    raise ValueError("broken")
except ValueError:
    log.exception("call_failed")
print("still here")
"""


def test_a_trace_holds_no_variables():
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert "01012345678" not in ran.stderr
    assert json.loads(ran.stderr)["exception"][0]["exc_type"] == "ValueError"


QUOTING = """
import logging
import structlog
from voiceedge.config import Log
from voiceedge.edge.between import logs

logs.configure(Log(format="FORMAT"))
log = structlog.get_logger()
try:
    try:
        raise ValueError("no such number: 010-1234-5678")
    except ValueError as inner:
        raise RuntimeError("공일공 일이삼사 오육칠팔") from inner
except RuntimeError as error:
    log.exception("failed", problem=str(error), cause=error)
    logging.getLogger("library").exception("880101-1234567 is refused")
log.warning("told", facts={"to": ["hong@example.com", ("4111111111111111", 3)]}, conversation="01012345678", count=12)
"""


@pytest.mark.parametrize("form", ["json", "text"])
def test_nothing_that_is_logged_or_raised_shows_a_number_of_a_person(form):
    program = QUOTING.replace("FORMAT", form)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    shown = ran.stderr.replace("conversation", "").replace("01012345678", "", 1)  # our own names stay as they are
    for planted in ("1234-5678", "01012345678", "일이삼사", "880101", "hong@", "4111111"):
        assert planted not in shown
    assert "***5678" in shown
    assert "***1111" in shown
    assert "RuntimeError" in shown


def test_a_log_without_room_harms_nobody():
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=full, text=True, check=False
        )
    assert ran.stdout == "still here\n"
