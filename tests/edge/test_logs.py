"""What may stand in the log, and what becomes of it when there is no room."""

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import structlog
from voiceedge.config import Log
from voiceedge.edge import logs

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


def test_a_log_without_room_harms_nobody():
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=full, text=True, check=False
        )
    assert ran.stdout == "still here\n"
