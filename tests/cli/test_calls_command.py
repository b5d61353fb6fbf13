"""`voiceedge calls` beside sockets that dead workers have left."""

import asyncio
import json
import socket
import subprocess
import sys

from voiceedge.config import Config
from voiceedge.edge.between import paths
from voiceedge.edge.between.link import LinkServer


async def test_what_is_printed_is_json_and_nothing_else(tmp_path):
    config = Config.model_validate({"site": {"run_dir": tmp_path}})
    (tmp_path / "voiceedge.toml").write_text(f'[site]\nrun_dir = "{tmp_path}"\n')
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(paths.worker_socket(config, "worker-2")))
        dead.listen()

    async def calls(_head, _payload):
        return {"calls": [{"conversation": "one"}]}

    command = [sys.executable, "-m", "voiceedge", "calls", "list", "--json", "--config", tmp_path / "voiceedge.toml"]
    async with LinkServer(paths.worker_socket(config, "worker-1"), {"calls": calls}):
        told = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=True)
    assert json.loads(told.stdout) == [{"worker": "worker-1", "conversation": "one"}]
    assert told.stderr == b""
