"""Databases asked by one SELECT: a real PostgreSQL and real SQLite files, which are only ever read."""

import asyncio
import shutil
import sqlite3
import time

import pytest
from postgres import USER, PostgresServer

from voiceedge.connectors import statement
from voiceedge.connectors.answers import Failed, Found, NotFound
from voiceedge.connectors.postgres import IDLE_S

TABLE = """
CREATE TABLE customers (id integer PRIMARY KEY, phone text, name text, points numeric(10, 2), since date);
INSERT INTO customers VALUES
  (1, '01012345678', '김하나', 1200.00, '2020-03-01'),
  (2, '01022223333', '이둘', 10.50, NULL),
  (3, '01033334444', '박셋', 0, NULL),
  (4, '01033334444', '박셋의 동생', 0, NULL);
"""
BY_PHONE = "SELECT name, points, since AS since FROM customers WHERE phone = :phone"
PATIENT = "timeout_s = 10"  # the most there is: machines that test stand still at times
FOUND = 'found = {name = "name", points = {from = "points", class = "none"}, since = "since"}'


@pytest.fixture(scope="module")
def database(postgres: PostgresServer) -> str:
    name = postgres.new_database()
    postgres.execute(TABLE, name)
    return name


@pytest.fixture
def shop(load, tmp_path, request):
    """Connectors to PostgreSQL or to an SQLite file, by the name in `at`."""

    def shop(at, query=BY_PHONE, *keys):
        lines = ["[connectors.shop]", 'kind = "sql"', f'query = """{query}"""', 'numbers = ["phone"]', *keys]
        if at == "sqlite":
            file = tmp_path / "shop.db"
            if not file.exists():
                with sqlite3.connect(file) as connection:
                    connection.executescript(TABLE)
                connection.close()
            lines.append('file = "shop.db"')
        else:
            postgres, database = request.getfixturevalue("postgres"), request.getfixturevalue("database")
            if not (tmp_path / "password").exists():
                shutil.copy(postgres.password_file, tmp_path / "password")
            lines += [f'url = "{postgres.url(database)}"', 'password_file = "password"']
        if not any(key.startswith("found") for key in keys):
            lines.append(FOUND)
        if not any(key.startswith("timeout_s") for key in keys):
            lines.append(PATIENT)
        return load("\n".join(lines))

    return shop


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - another process sets no event
            await asyncio.sleep(0.02)


async def look_up(connectors, phone="01012345678"):
    async with asyncio.timeout(60), connectors:
        return await connectors.look_up("shop", {"phone": phone})


both = pytest.mark.parametrize("at", ["postgres", "sqlite"])


@both
async def test_the_columns_of_one_row_are_found(shop, at):
    answer = await look_up(shop(at), "+82-10-1234-5678")
    assert isinstance(answer, Found)
    assert answer.values == {"name": "김하나", "points": 1200, "since": "2020-03-01"}
    assert answer.classes["points"] == "none"
    assert (await look_up(shop(at), "01022223333")).values == {"name": "이둘", "points": 10.5, "since": None}


@both
@pytest.mark.parametrize("phone", ["01099999999", "01012345678' OR '1'='1", "1; DROP TABLE customers", ""])
async def test_nobody_is_found_by_what_is_in_no_row(shop, at, phone):
    assert await look_up(shop(at), phone) == NotFound()
    assert isinstance(await look_up(shop(at)), Found)


@both
async def test_several_rows_are_nobody_unless_the_query_takes_one(shop, at):
    assert await look_up(shop(at), "01033334444") == NotFound(many=True)
    one = await look_up(shop(at, f"{BY_PHONE} ORDER BY id DESC LIMIT 1"), "01033334444")
    assert one.values["name"] == "박셋의 동생"


@both
@pytest.mark.parametrize("query", [
    "WITH gone AS (DELETE FROM customers WHERE phone = :phone RETURNING name, points, since) SELECT * FROM gone",
    "SELECT name, points, since FROM customers WHERE phone = :phone) AS a -- ; DROP TABLE customers",
    "SELECT name, points, since FROM customers WHERE phone = :phone FOR UPDATE",
])  # fmt: skip
async def test_nothing_can_be_written(shop, at, query):
    assert isinstance(await look_up(shop(at, query)), Failed)
    assert isinstance(await look_up(shop(at)), Found)


async def test_a_function_that_writes_is_refused_by_the_session(shop, postgres, database):
    postgres.execute(
        "CREATE OR REPLACE FUNCTION touch() RETURNS text LANGUAGE sql AS "
        "$$ UPDATE customers SET points = 0 RETURNING name $$",
        database,
    )
    query = "SELECT touch() AS name, 1 AS points, 2 AS since WHERE :phone <> ''"
    answer = await look_up(shop("postgres", query))
    assert answer == Failed("the query writes; a look-up only reads (25006)")


@both
@pytest.mark.parametrize(("query", "reason"), [
    ("SELECT nothing FROM customers WHERE phone = :phone", "not understood"),
    ("SELECT name FROM customers WHERE phone = :phone", 'the query has no column "points"; it has name'),
])  # fmt: skip
async def test_a_query_that_is_wrong_is_told(shop, at, query, reason):
    failed = await look_up(shop(at, query))
    assert reason in failed.reason
    assert "5678" not in failed.reason


SLOW = {
    "postgres": "SELECT name, points, since FROM customers, pg_sleep(30) WHERE phone = :phone",
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000000000) "
    "SELECT name, points, since FROM customers WHERE phone = :phone AND (SELECT count(*) FROM n) > 0",
}


@both
async def test_a_query_that_takes_too_long_is_an_error_in_time(shop, at):
    began = time.monotonic()
    failed = await look_up(shop(at, SLOW[at], "timeout_s = 0.3"))
    assert isinstance(failed, Failed)
    assert time.monotonic() - began < 25


async def test_values_that_do_not_fit_their_column_do_not_open_the_breaker(shop):
    query = "SELECT name, points, since FROM customers WHERE id = CAST(:phone AS integer)"
    async with shop("postgres", query, "breaker = {failures = 1}") as made:
        failed = await made.look_up("shop", {"phone": "99999999999999999999"})
        assert "CAST" in failed.reason
        assert (await made.look_up("shop", {"phone": "2"})).values["name"] == "이둘"


async def test_a_connection_is_kept_for_the_next_question_and_closed_after_a_while(shop, postgres, database):
    ours = f"datname = '{database}' AND application_name LIKE '%connector%'"
    count = f"SELECT count(*) FROM pg_stat_activity WHERE {ours}"
    async with shop("postgres", SLOW["postgres"], "timeout_s = 0.2") as made:
        assert isinstance(await made.look_up("shop", {"phone": "01012345678"}), Failed)
        await until(lambda: postgres.execute(count) == "0")  # whoever did not answer in time is not kept
    async with shop("postgres") as made:
        for _ in range(3):
            await made.look_up("shop", {"phone": "01012345678"})
        assert postgres.execute(count) == "1"
        source = made._connectors["shop"]._source
        assert len(source._idle) == 1
        timer = next(iter(source._idle.values()))
        assert timer.when() - asyncio.get_running_loop().time() == pytest.approx(IDLE_S, abs=5)
    await until(lambda: postgres.execute(count) == "0")


async def test_a_server_that_is_gone_hangs_or_comes_back(shop, postgres):
    async with shop("postgres", BY_PHONE, "timeout_s = 3", "breaker = {failures = 100}") as made:

        async def ask():
            async with asyncio.timeout(60):
                return await made.look_up("shop", {"phone": "01012345678"})

        assert isinstance(await ask(), Found)
        postgres.freeze()
        try:
            assert await ask() == Failed("no answer within 3 s")  # over the connection it kept
            assert await ask() == Failed("no answer within 3 s")  # over a new one
        finally:
            postgres.thaw()
        postgres.stop()
        assert "does not answer" in (await ask()).reason
        postgres.start()
        assert isinstance(await ask(), Found)
        postgres.stop()  # while a connection is kept
        postgres.start()
        answers = [await ask(), await ask()]
        assert isinstance(answers[1], Found)


@pytest.mark.parametrize(("whom", "reason"), [
    ((USER, "no_such"), "no such database"), (("nobody", "postgres"), "does not let us in"),
])  # fmt: skip
async def test_what_the_server_refuses_is_told(load, postgres, tmp_path, whom, reason):
    shutil.copy(postgres.password_file, tmp_path / "password")
    url = f"postgresql://{whom[0]}@127.0.0.1:{postgres.port}/{whom[1]}"
    text = f'kind = "sql"\nurl = "{url}"\npassword_file = "password"\nquery = "SELECT :phone AS name"\n{PATIENT}'
    connectors = load(f'[connectors.shop]\n{text}\nfound = {{name = "name"}}\n')
    assert reason in (await look_up(connectors)).reason


async def test_an_sqlite_file_that_is_gone_or_none_is_an_error(shop, tmp_path):
    connectors = shop("sqlite")
    async with connectors:
        (tmp_path / "shop.db").unlink()
        assert "not there" in (await connectors.look_up("shop", {"phone": "1"})).reason
        (tmp_path / "shop.db").write_text("This is no database. " * 100)
        assert "no SQLite database" in (await connectors.look_up("shop", {"phone": "2"})).reason
    assert not (tmp_path / "shop.db-journal").exists()


@pytest.mark.parametrize(("query", "names"), [
    ("SELECT a::text, 'b :c' FROM d WHERE e = :f -- :g", {"f"}),
    ('SELECT ":h" /* :i */ FROM j WHERE k = :l AND m = :l', {"l"}),
    ("SELECT $$ :n $$, $x$ :o; $x$ FROM p WHERE q = :r AND s = '12:30'", {"r"}),
])  # fmt: skip
def test_parameters_are_those_outside_texts_and_comments(query, names):
    assert statement.parameters(statement.check(query)) == names
    assert statement.bounded(query, lambda name: f"<{name}>").count("<") == query.count("= :")
