"""What the doctor says about the database and the nodes that share it."""

import pytest

from voiceedge.appliance.finding import State
from voiceedge.clock import RealClock
from voiceedge.config import Config, Mqtt, Site, Store, Switch
from voiceedge.context.service import ContextService
from voiceedge.edge.checks import store_check


@pytest.fixture
def node(tmp_path, postgres, new_mosquitto):
    """The configuration of a node of this name, with a data directory of its own."""
    url, broker = postgres.url(postgres.new_database()), new_mosquitto().url

    def node(name, directory, password_file=postgres.password_file):
        return Config(
            site=Site(data_dir=tmp_path / directory, run_dir=tmp_path / directory),
            switch=Switch(node=name),
            store=Store(url=url, password_file=password_file),
            mqtt=Mqtt(url=broker),
        )

    return node


async def told(config):
    return {finding.part: finding async for finding in store_check.examine(config)}


async def test_without_a_url_there_is_sqlite(tmp_path):
    found = await told(Config(site=Site(data_dir=tmp_path)))
    assert found["database"].state is State.FINE
    assert list(tmp_path.iterdir()) == []


async def test_an_empty_database_is_fine_and_stays_empty(node, postgres):
    config = node("a", "one")
    assert {finding.state for finding in (await told(config)).values()} == {State.FINE}
    assert postgres.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", config.store.url[-17:]) == "0"


async def test_a_wrong_password_is_broken_and_not_shown(node, tmp_path):
    secret = tmp_path / "password"
    secret.write_text("wrong-battery")
    secret.chmod(0o644)
    found = await told(node("a", "one", secret))
    assert found["database"].state is State.BROKEN
    assert "store.password_file" in found["database"].remedy
    assert "battery" not in str(found)
    assert found["secrets"].state is State.REDUCED


async def test_nodes_are_named_and_two_of_one_name_or_with_other_keys_are_broken(node, tmp_path):
    first = node("a", "one")
    async with ContextService(first, RealClock()):
        found = await told(first)
        assert (found["nodes"].state, found["nodes"].what) == (State.FINE, "at work: a")
        assert "switch.node" in (await told(node("a", "two")))["nodes"].remedy
        stranger = (await told(node("b", "three")))["nodes"]
        assert stranger.state is State.BROKEN
        assert "token.key and pseudonym.key" in stranger.remedy
        (tmp_path / "four").mkdir()
        for key in ("token.key", "pseudonym.key"):
            (tmp_path / "four" / key).write_bytes((tmp_path / "one" / key).read_bytes())
        assert (await told(node("b", "four")))["nodes"].state is State.FINE


async def test_an_embedded_broker_for_each_node_is_told(node):
    config = node("a", "one").model_copy(update={"mqtt": Mqtt()})
    assert "mqtt.url" in (await told(config))["nodes"].remedy
