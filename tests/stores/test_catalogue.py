"""What a start and `ringback db check` say of tables that are not as Ringback makes them."""

import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from psycopg.conninfo import make_conninfo

from ringback.core.errors import ConfigurationError
from ringback.data_folder import DATA_FILE, DataFolder, StoreOptions
from ringback.stores.postgres import catalogue, schema
from ringback.stores.postgres.checks import check_database
from ringback.stores.postgres.connections import Dsn
from ringback.stores.sql.catalogue import CatalogueEntry, compare
from ringback.stores.sqlite.catalogue import difference_of
from ringback.stores.sqlite.schema_upgrade import bring_up_to_date, newest
from tests.databases import a_postgres, postgres_programs
from tests.fakes import VAULT
from tests.stores.rich_data import KEY, rich_folder, without_mac

EVIL: Final = (
    "CREATE TRIGGER evil AFTER INSERT ON callbacks BEGIN"
    " UPDATE callback_targets SET url = 'https://evil.example/'; END"
)


def entry(kind: str, name: str, properties: str = "") -> CatalogueEntry:
    return CatalogueEntry(kind, "callbacks", name, properties)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([entry("index", "a", "(id)"), entry("column", "b", "text")], "whole"),
        ([entry("index", "other name", "(id)"), entry("column", "b", "text")], "whole"),
        ([entry("column", "b", "text")], "not whole: index a of callbacks is missing"),
        (
            [entry("index", "a", "(id)"), entry("column", "b", "bigint")],
            "not whole: column b of callbacks is not as Ringback makes it",
        ),
        (
            [entry("index", n, "(id)") for n in "ac"] + [entry("column", "b", "text")],
            "additional: index c of callbacks",
        ),
        (
            [entry("index", "a", "(id)"), entry("column", "b", "text"), entry("rule", "r")],
            "not made by Ringback: rule r of callbacks",
        ),
    ],
)  # fmt: skip
def test_what_is_found_is_compared_by_its_properties(
    found: list[CatalogueEntry], said: str
) -> None:
    wanted = [entry("index", "a", "(id)"), entry("column", "b", "text")]
    assert compare(wanted, found).shown == said


# ---- data files ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rich_folder(tmp_path_factory.mktemp("rich") / "data").folder


@pytest.fixture
def data(rich: Path, tmp_path: Path) -> DataFolder:
    shutil.copytree(rich, tmp_path / "live")
    return DataFolder(tmp_path / "live", KEY)


def change(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def refusal(work: Callable[[], object]) -> str:
    with pytest.raises(ConfigurationError) as refused:
        work()
    return str(refused.value)


CHANGES_OF_A_FILE: Final = {
    "foreign trigger": ((EVIL,), "what acts on its data: trigger evil of callbacks"),
    "foreign view": (("CREATE VIEW all_urls AS SELECT * FROM callbacks",), "view all_urls"),
    "generated column": (
        ("ALTER TABLE callbacks ADD COLUMN more INTEGER AS (1)",),
        "generated column more of callbacks",
    ),
    "own trigger with another body": (
        (
            "DROP TRIGGER kept_responses_added",
            "CREATE TRIGGER kept_responses_added AFTER INSERT ON kept_responses BEGIN"
            " DELETE FROM waiting; END",
        ),
        "trigger kept_responses_added of kept_responses is not as Ringback makes it",
    ),
    "missing trigger": (
        ("DROP TRIGGER kept_responses_deleted",),
        "trigger kept_responses_deleted of kept_responses is missing",
    ),
    "missing index": (
        ("DROP INDEX callbacks_of_account",),
        "index callbacks_of_account of callbacks is missing",
    ),
    "index of other columns": (
        (
            "DROP INDEX callbacks_of_account",
            "CREATE INDEX callbacks_of_account ON callbacks (account_id)",
        ),
        "index callbacks_of_account of callbacks is not as Ringback makes it",
    ),
}


@pytest.mark.parametrize("name", CHANGES_OF_A_FILE)
def test_a_data_file_that_was_altered_is_refused_by_all(
    name: str, data: DataFolder, tmp_path: Path
) -> None:
    statements, said = CHANGES_OF_A_FILE[name]
    made = tmp_path / "made.backup"
    data.back_up(made, rate=1 << 40, tell=lambda _: None)
    without_mac(made)
    for file in (data.folder / DATA_FILE, made):
        change(file, *statements)
    assert said in refusal(lambda: data.open_to_serve(StoreOptions()))
    assert said in refusal(data.open_beside)
    (found,) = [one for one in data.check() if one.name == "catalogue"]
    assert (found.is_ok, said.partition(": ")[2] or said) in [
        (False, part) for part in (found.found.partition(": ")[2], said)
    ]
    back = DataFolder(tmp_path / "back", KEY)
    assert said in refusal(lambda: back.restore(made, tell=lambda _: None, unverified=True))
    assert not (back.folder / DATA_FILE).exists()


def test_an_additional_index_of_a_data_file_is_only_named(data: DataFolder) -> None:
    change(data.folder / DATA_FILE, "CREATE INDEX my_own ON callbacks (sid)")
    data.use(_nothing)
    (found,) = [one for one in data.check() if one.name == "catalogue"]
    assert found[1:] == (True, "additional: index my_own of callbacks")


async def _nothing(_: object) -> None: ...


@pytest.mark.parametrize("version", range(1, newest() + 1))
def test_a_file_of_each_version_is_whole_and_is_so_after_its_upgrade(version: int) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as file:
        bring_up_to_date(file, until=version)
        assert difference_of(file).shown == "whole"
        bring_up_to_date(file)
        assert difference_of(file).shown == "whole"


# ---- PostgreSQL ----------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[0, -1], ids=["oldest", "newest"])
def programs(request: pytest.FixtureRequest) -> Path:
    return postgres_programs()[request.param]


@pytest.fixture(scope="module")
def server(programs: Path) -> Iterator[str]:
    with a_postgres(programs) as dsn:
        schema.upgrade(Dsn(dsn), VAULT)
        yield dsn


def said_of(dsn: str) -> str:
    """Return what `db check` says; a start refuses the same."""
    (found,) = [one for one in check_database(Dsn(dsn), VAULT) if one[0] == "catalogue"]
    if found[1]:
        schema.check(Dsn(dsn), VAULT)
    else:
        said = refusal(lambda: schema.check(Dsn(dsn), VAULT))
        assert found[2].partition(": ")[2].partition(";")[0] in said
    return found[2]


@pytest.fixture
def database(server: str) -> Iterator[str]:
    """A copy of a fresh database."""
    with Dsn(make_conninfo(server, dbname="template1")).connect() as connection:
        connection.execute(b"CREATE DATABASE altered TEMPLATE postgres")
        yield make_conninfo(server, dbname="altered")
        connection.execute(b"DROP DATABASE altered WITH (FORCE)")


def test_the_file_has_what_the_schema_makes(server: str, pytestconfig: pytest.Config) -> None:
    """`pytest tests/stores/test_catalogue.py --update-golden` rewrites the file."""
    with Dsn(server).connect() as connection:
        tables, functions = (
            [name for (name,) in connection.execute(query.encode()).fetchall()]
            for query in (
                "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace"
                " AND relkind IN ('r', 'p') AND NOT relispartition",
                "SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
            )
        )
        found = sorted(catalogue.entries_of(connection, tables, functions))
    if pytestconfig.getoption("--update-golden"):
        lines = ["\t".join(one) for one in found]
        Path(str(catalogue.FILE)).write_text("\n".join(lines) + "\n", "utf-8")
    assert found == sorted(catalogue.wanted()), "run this test with --update-golden"
    assert said_of(server) == "whole"


CHANGES_OF_A_DATABASE: Final = {
    "DROP INDEX callbacks_of_account": "not whole: index callbacks_of_account of callbacks is",
    "DROP TRIGGER accounts_changed ON accounts": "trigger accounts_changed of accounts is missing",
    "ALTER TABLE accounts DISABLE TRIGGER accounts_changed": "trigger accounts_changed of accounts",
    "ALTER TABLE api_keys DISABLE TRIGGER ALL": "disabled trigger",
    "ALTER TABLE api_keys DROP CONSTRAINT api_keys_account_sid_fkey": "foreign key",
    "ALTER TABLE accounts ALTER name DROP NOT NULL": "column name of accounts is not as",
    "ALTER TABLE accounts ALTER status DROP DEFAULT": "column status of accounts is not as",
    "CREATE OR REPLACE FUNCTION count_change() RETURNS trigger LANGUAGE plpgsql AS"
    " 'BEGIN DELETE FROM waiting; RETURN NULL; END'": "function count_change is not as",
    "CREATE TRIGGER evil AFTER INSERT ON callbacks FOR EACH STATEMENT"
    " EXECUTE FUNCTION count_change()": "not made by Ringback: trigger evil of callbacks",
    "CREATE RULE evil AS ON DELETE TO waiting DO INSTEAD NOTHING": "rule evil of waiting",
    "CREATE VIEW urls AS SELECT url FROM callback_targets": "view urls of callback_targets",
    "CREATE POLICY evil ON accounts USING (false)": "policy evil of accounts",
    "ALTER TABLE accounts ENABLE ROW LEVEL SECURITY": "row-level security accounts",
    "CREATE TABLE more () INHERITS (accounts)": "child table more of accounts",
    "CREATE INDEX my_own ON callbacks (id, sid)": "additional: index my_own of callbacks",
    "DO $$ BEGIN EXECUTE (SELECT format('CREATE TRIGGER evil AFTER INSERT ON %I FOR EACH STATEMENT"
    " EXECUTE FUNCTION count_change()', min(relname)) FROM pg_class WHERE relname ~"
    " '^callbacks_[0-9]+$'); END $$": "not made by Ringback: trigger evil of callbacks_",
}


def test_what_was_altered_is_named(server: str) -> None:
    for statement, said in CHANGES_OF_A_DATABASE.items():
        with Dsn(server).connect() as connection:
            connection.execute(b"BEGIN")
            connection.execute(statement.encode())
            found = schema.altered_in(connection)
            connection.execute(b"ROLLBACK")
        assert said in found.shown, statement
        assert bool(found.missing or found.foreign) is ("additional" not in said), statement


def test_a_dump_is_whole_only_if_all_of_it_was_restored(
    server: str, programs: Path, database: str, tmp_path: Path
) -> None:
    dump = tmp_path / "whole.dump"
    _run(programs / "pg_dump", "--format=custom", f"--file={dump}", f"--dbname={server}")
    for sections in (["pre-data", "data"], ["pre-data", "data", "post-data"]):
        with Dsn(database).connect() as connection:
            connection.execute(b"DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        wanted = [f"--section={section}" for section in sections]
        _run(programs / "pg_restore", *wanted, f"--dbname={database}", dump)
        said = said_of(database)
        assert ("not whole: " in said) is (len(sections) == 2), said
    assert said == "whole"


def test_a_start_refuses_a_foreign_trigger(database: str) -> None:
    with Dsn(database).connect() as connection:
        connection.execute(
            b"CREATE TRIGGER evil AFTER INSERT ON callbacks FOR EACH STATEMENT"
            b" EXECUTE FUNCTION count_change()"
        )
    assert said_of(database) == "not made by Ringback: trigger evil of callbacks"


def _run(*words: Path | str) -> None:
    subprocess.run(words, check=True, capture_output=True)


def test_what_a_copy_or_a_newer_version_has_made_is_ours(database: str) -> None:
    with Dsn(database).connect() as connection:
        connection.execute(b"SELECT fence_data()")
        assert schema.altered_in(connection).shown == "whole"
        connection.execute(b"SELECT unfence_data()")
        connection.execute(
            b"CREATE VIEW newer AS SELECT sid FROM callbacks; INSERT INTO schema_versions"
            b" (version, oldest_server) SELECT max(version) + 1, 1 FROM schema_versions"
        )
    assert said_of(database) == "whole"
