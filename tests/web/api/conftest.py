"""The API on both kinds of database: one service for all tests of a module, and for each test tenants of its own."""

import secrets
from collections.abc import AsyncIterator
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import api_site
import pytest
import pytest_asyncio
from api_site import Site

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests run in the loop of the service that they share."""
    for item in items:
        if HERE in item.path.parents and iscoroutinefunction(getattr(item, "function", None)):
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def _sqlite(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with api_site.opened(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgres"])
async def _any(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    tables: dict[str, Any] = {}
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        tables["store"] = {"url": server.url(server.new_database()), "password_file": server.password_file}
    async with api_site.opened(tmp_path_factory.mktemp("site"), **tables) as site:
        yield site


@pytest_asyncio.fixture(loop_scope="module")
async def site(_sqlite: Site) -> AsyncIterator[Site]:
    own = Site(_sqlite.services, _sqlite.url, f"-{secrets.token_hex(4)}")
    yield own
    await own.close()


@pytest_asyncio.fixture(loop_scope="module")
async def any_site(_any: Site) -> AsyncIterator[Site]:
    own = Site(_any.services, _any.url, f"-{secrets.token_hex(4)}")
    yield own
    await own.close()
