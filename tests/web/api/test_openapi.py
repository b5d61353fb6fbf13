"""The API held against its own description, by requests that fit it and requests that do not."""

import asyncio
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from api_site import Site

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.mark.slow
@pytest.mark.timeout(500)
async def test_nothing_that_is_sent_makes_it_fail(any_site: Site, tmp_path: Path):
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{any_site.url}/v1/openapi.json",
        "--header", f"Authorization: Bearer {await any_site.key()}", "--checks", CHECKS, "--seed", "5",
        "--max-examples", "5", "--phases", "examples,fuzzing", "--exclude-path-regex", "/events$",
        "--request-timeout", "60", "--no-color",
    ]  # fmt: skip
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=tmp_path, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def test_every_operation_says_what_it_takes_gives_and_refuses(site: Site):
    async with httpx.AsyncClient(timeout=60) as client:
        document = (await client.get(f"{site.url}/v1/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        assert path.startswith("/v1/"), path
        for method, operation in operations.items():
            told = {one["name"] for one in operation.get("parameters", ())}
            assert not told & {"phone", "email", "number", "address", "text"}, path  # URLs stand in logs of proxies
            told = operation["responses"]
            assert {"401", "403", "422", "429", "503"} <= told.keys(), path
            for status, answer in told.items():
                kinds = set(answer.get("content", {}))
                assert status < "400" or kinds == {"application/problem+json"}, (path, status)
            assert operation["security"], path
            assert operation.get("summary"), path
            if method in {"post", "patch"} and "requestBody" in operation:
                name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                assert document["components"]["schemas"][name]["examples"], name
