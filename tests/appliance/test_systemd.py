"""The unit: hardened, every directive explained, and in step with the configuration it starts."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parents[2] / "systemd"
UNIT = SYSTEMD / "voiceedge.service"

needs_systemd_analyze = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not here")


@needs_systemd_analyze
def test_the_unit_is_exposed_no_more_than_3_of_10():
    command = ["systemd-analyze", "security", "--offline=true", "--json=short", "--threshold=30", UNIT]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    exposed = [row["name"] for row in json.loads(result.stdout) if row.get("exposure")] if result.stdout else []
    assert result.returncode == 0, exposed


@needs_systemd_analyze
def test_every_directive_is_one_that_systemd_knows():
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", UNIT], capture_output=True, text=True, timeout=60, check=False
    )
    complaints = [line for line in result.stderr.splitlines() if "voiceedge.service" in line]
    assert not [line for line in complaints if "not executable" not in line], complaints


def test_every_directive_stands_under_a_comment():
    explained = False
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            explained = True
        elif not line or line.startswith("["):
            explained = False
        else:
            assert explained or line.startswith(("Description=", "Documentation=", "WantedBy=")), line


def test_the_unit_the_user_and_the_sample_name_the_same_places():
    unit = UNIT.read_text(encoding="utf-8")
    sample = (SYSTEMD / "voiceedge.toml").read_text(encoding="utf-8")
    assert "StateDirectory=voiceedge" in unit
    assert 'data_dir = "/var/lib/voiceedge"' in sample
    assert "RuntimeDirectory=voiceedge" in unit
    assert 'run_dir = "/run/voiceedge"' in sample
    assert re.search(r"^u +voiceedge ", (SYSTEMD / "voiceedge.sysusers").read_text(encoding="utf-8"), re.MULTILINE)
    assert "User=voiceedge" in unit
