"""Every command of docs/api.md, in its order, against the service as it runs."""

import re
import subprocess
import sys
from pathlib import Path
from shutil import which

import pytest
from ports import free_tcp_port
from service import RunningService

DOCUMENT = Path("docs/api.md")
FLOWS = Path("tests/e2e/flows")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_channel_developer_follows_the_page(tmp_path):
    for program in ("curl", "jq", "bash"):
        if not which(program):
            pytest.skip(f"{program} is not installed")
    text = DOCUMENT.read_text(encoding="utf-8")
    web, hook = free_tcp_port(), free_tcp_port()
    (tmp_path / "channels.toml").write_text('[channels.my-chat]\nkind = "api"\n', encoding="utf-8")
    settings = {
        "channels": {"file": str(tmp_path / "channels.toml")},
        "speech": {"enabled": False},
        "web": {"port": web, "webhook_targets": [f"http://127.0.0.1:{hook}"]},
    }
    with RunningService(tmp_path, flows=FLOWS, settings=settings) as service:
        service.until(lambda status: status["processes"]["control"].get("web_port"))
        blocks = re.findall(r"^```(sh|python)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        receiver = next(code for kind, code in blocks if kind == "python" and "# receiver.py" in code)
        (tmp_path / "receiver.py").write_text(receiver.replace("9000", str(hook)), encoding="utf-8")
        commands = "\n".join(code for kind, code in blocks if kind == "sh")
        commands = commands.replace("127.0.0.1:8080", f"127.0.0.1:{web}").replace("127.0.0.1:9000", f"127.0.0.1:{hook}")
        script = f"""
            set -euo pipefail
            trap 'kill ${{RECEIVER:-}} 2>/dev/null || true' EXIT
            voiceedge() {{ {sys.executable} -m voiceedge "$@" --config {service.config}; }}
            python() {{ exec {sys.executable} "$@"; }}
        """
        done = subprocess.run(
            ["bash", "-c", script + commands], cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "forged" not in done.stdout
    for told in ("voiceedge.test", "voiceedge.conversation.closed", '"order": "A-20231"', '"solved"', '"pin": "'):
        assert told in done.stdout, told
