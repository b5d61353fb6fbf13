"""Connectors are tried out by supervisors of the main tenant."""

from types import SimpleNamespace

import pytest

from voiceedge.web.desk import supervising
from voiceedge.web.problems import Problem


async def test_another_tenants_supervisor_tries_no_connector() -> None:
    asker = SimpleNamespace(entry=SimpleNamespace(tenant="shop"), actor="agent:kim")
    connectors = SimpleNamespace(profiles={"crm": None}, state=lambda: [SimpleNamespace(name="crm")])
    room = SimpleNamespace(services=SimpleNamespace(connectors=connectors))
    assert await supervising.connectors(asker, room) == []
    with pytest.raises(Problem) as refused:
        await supervising.try_out("crm", supervising.Trying(values={}), asker, room)
    assert refused.value.status == 404
