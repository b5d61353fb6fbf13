"""What was loaded before a fork stays shared by those who use it after the fork."""

import subprocess
import sys

import pytest

FORK = """
import gc, os, sys
from voiceedge.edge.immortal import immortalise

loaded = [{"name": str(number), "parts": (number, [number])} for number in range(1000, 101_000)]
gc.collect()
if sys.argv[1] == "immortal":
    immortalise()
gc.freeze()
pid = os.fork()
if pid == 0:
    for one in loaded:
        name, parts = one["name"], one["parts"]
    with open("/proc/self/smaps_rollup") as rollup:
        print(sum(int(line.split()[1]) for line in rollup if line.startswith("Private_Dirty:")), flush=True)
    os._exit(0)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python knows immortal objects from 3.12 on")
def test_a_child_that_uses_what_was_loaded_before_the_fork_gets_no_copy_of_it():
    assert written_kb("immortal") < written_kb("mortal") / 4


def written_kb(kind: str) -> int:
    """Memory that the child has written to, after it has looked at all that its parent had loaded."""
    done = subprocess.run([sys.executable, "-c", FORK, kind], check=True, capture_output=True, text=True, timeout=60)
    return int(done.stdout)
