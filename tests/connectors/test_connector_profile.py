"""The connectors file: every mistake is told with its line, its key and what to do."""

from pathlib import Path

import pytest

from voiceedge.clock import RealClock
from voiceedge.connectors.paths import JsonPath
from voiceedge.connectors.service import Connectors
from voiceedge.errors import ConfigError

HTTP = 'kind = "http"\nfound = {name = "name"}\n'
SQL = 'kind = "sql"\nfound = {name = "name"}\n'
QUERY = 'query = "SELECT name FROM customers WHERE phone = :phone"\n'
URL = 'url = "https://crm.example/{phone}"\n'


@pytest.mark.parametrize(("profile", "told"), [
    ('kind = "htp"', '2: connectors.crm.kind: is one of "http", "sql", "csv"'),
    ("timeout_s = 1", "1: connectors.crm.kind: is missing"),
    (HTTP, "1: connectors.crm.url: is missing"),
    (HTTP + URL + "uri = 1", "5: connectors.crm.uri: unknown key; did you mean url?"),
    (HTTP + 'url = "https://{phone}.example/"', "4: connectors.crm.url: give https://host/path"),
    (HTTP + 'url = "https://crm{phone}/"', "4: connectors.crm.url: the host holds no values"),
    (HTTP + 'url = "https://a:b@crm/{phone}"', "4: connectors.crm.url: takes no login"),
    (HTTP + 'url = "file:///etc/{phone}"', "4: connectors.crm.url: give https://"),
    (HTTP + 'url = "https://crm/{a b}"', '4: connectors.crm.url: "{a b}" is no parameter'),
    (HTTP + 'url = "https://crm/"', "3: connectors.crm.found: it asks the same whoever calls"),
    (HTTP + URL + 'numbers = ["fone"]', "5: connectors.crm.numbers: fone is no parameter; there are phone"),
    (HTTP + URL + 'headers = {Authorization = "x"}', "5: connectors.crm.headers: a secret is not written here"),
    (HTTP + URL + 'headers = {Host = "x"}', "5: connectors.crm.headers: Host is written by HTTP itself"),
    (HTTP + URL + 'headers = {X-A = "a\\nb"}', "5: connectors.crm.headers.X-A: a header holds printable ASCII"),
    (HTTP + URL + 'username = "x"', "1: connectors.crm.password_file: belongs to a username"),
    (HTTP + URL + 'bearer_file = "no-such-file"', "connectors.crm.bearer_file"),
    (HTTP + 'url = "http://crm/{phone}"\nca_file = "x"', "5: connectors.crm.ca_file: is for an https:// url"),
    ('kind = "http"\nfound = {name = "a..b"}\n' + URL, '3: connectors.crm.found: "a..b" is no place in an answer'),
    ('kind = "http"\nfound = {name = {from = "a", clas = "none"}}\n' + URL, "did you mean class?"),
    (SQL + QUERY, "1: connectors.crm.url: give the url of a PostgreSQL database"),
    (SQL + QUERY + 'url = "mysql://a@b/c"', "5: connectors.crm.url: give postgresql://"),
    (SQL + QUERY + 'url = "postgresql://a:b@c/d"', "5: connectors.crm.url: takes no password"),
    (SQL + QUERY + 'file = "a.db"\npassword_file = "x"', "6: connectors.crm.password_file: is for a PostgreSQL url"),
    (SQL + 'file = "a.db"\nquery = "DELETE FROM a WHERE b = :b"', "5: connectors.crm.query: begins with SELECT"),
    (SQL + 'file = "a.db"\nquery = "SELECT 1; DROP TABLE a"', "5: connectors.crm.query: is one statement"),
    ('kind = "csv"\nfound = {name = "name"}\nfile = "a.csv"\nkey = {}', "5: connectors.crm.key"),
])  # fmt: skip
def test_a_mistake_is_told_where_it_is(load, profile, told):
    with pytest.raises(ConfigError) as caught:
        load(f"[connectors.crm]\n{profile}\n")
    assert told in str(caught.value)
    assert "connectors.toml:" in str(caught.value)


def test_certificates_that_are_none_are_told(load, tmp_path):
    (tmp_path / "ca.pem").write_text("This is no certificate.")
    with pytest.raises(ConfigError, match="ca_file holds no certificates"):
        load(f'[connectors.crm]\n{HTTP}{URL}ca_file = "ca.pem"\n')


async def test_without_a_file_there_are_no_connectors():
    async with Connectors.load(None, RealClock()) as connectors:
        assert (await connectors.look_up("crm", {"phone": "1"})).reason.startswith('there is no connector "crm"')
    with pytest.raises(ConfigError, match="cannot be read"):
        Connectors.load(Path("no/such.toml"), RealClock())


@pytest.mark.parametrize(("path", "found"), [
    ("customer.name", "Kim"), ("orders[1].status", "sent"), ("[0]", None), ("orders[9].status", None),
    ("customer.name.first", None), ("고객.등급", "우수"),
])  # fmt: skip
def test_a_place_in_an_answer(path, found):
    answer = {"customer": {"name": "Kim"}, "orders": [{}, {"status": "sent"}], "고객": {"등급": "우수"}}
    assert JsonPath.parse(path).find(answer) == found


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a[", "a[x]", "a[-1]", "a]b", "a[0]b"])
def test_what_is_no_place_in_an_answer(path):
    with pytest.raises(ValueError, match="is no place"):
        JsonPath.parse(path)
