"""The API on both kinds of database."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import api_site
import pytest
from api_site import Site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with api_site.opened(tmp_path) as site:
        yield site


@pytest.fixture(params=["sqlite", "postgres"])
async def any_site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    tables: dict[str, Any] = {}
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        tables["store"] = {"url": server.url(server.new_database()), "password_file": server.password_file}
    async with api_site.opened(tmp_path, **tables) as site:
        yield site
