"""Addresses of databases: all that psycopg reads, but none of which it makes something strange."""

import sys

import pytest
from psycopg.conninfo import conninfo_to_dict

from ringback.runtime.database_address import (
    is_database_address,
    parse_database_address,
    shown_database,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://ringback@db.internal:5432/live", "live on db.internal"),
        ("postgres://u:p@db.internal/live", "live on db.internal"),
        ("postgresql://u:p@h1:5432,h2:5433/live?target_session_attrs=read-write", "live on h1,h2"),
        ("postgresql://u:a%40b%2Fc%25@h/live", "live on h"),
        ("postgresql://u:p?x=1&y@h/live", "live on h"),
        ("postgresql://u@[2001:db8::7]:5432/live", "live on 2001:db8::7"),
        ("postgresql://%2Frun%2Fpostgresql/live", "live on /run/postgresql"),
        ("postgresql:///live?host=/run/postgresql&user=u", "live on /run/postgresql"),
        ("postgresql:///live?host=%40abstract", "live on @abstract"),
        ("postgresql://u@h", "u on h"),
        ("postgresql://", "postgres on this machine"),
        ("host=h dbname=live user=u password='it''s' port=5433", None),
        (r"host=h dbname=live password='it\'s a @/%zz'", "live on h"),
        ("host=h,h dbname=live", "live on h,h"),
        ("hostaddr=192.0.2.7 dbname = live ", "live on 192.0.2.7"),
        ("service=ringback", "the database of the service ringback"),
        ("host=/run/postgresql dbname='two words'", "two words on /run/postgresql"),
    ],
)
def test_an_address_is_read_as_psycopg_reads_it(text: str, shown: str | None) -> None:
    if shown is None:
        with pytest.raises(ValueError, match="list of NAME=VALUE"):
            parse_database_address(text)
    else:
        assert parse_database_address(text) == conninfo_to_dict(text)
        assert shown_database(parse_database_address(text)) == shown


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("http://u:S3cret@h/live", "it is neither a URL nor a list of NAME=VALUE"),
        ("S3cret", "it is neither a URL nor a list"),
        ("postgresql://u:S3cret%zz@h/live", "a % in it is not followed by two hexadecimal"),
        ("postgresql://u:head@S3cret@h/live", "it has an @ after its host"),
        ("postgresql://u:1/S3cret@h/live", "it has an @ after its host"),
        ("postgresql://u:p@h/live?user=S3cret@h", "it has an @ after its host"),
        ("postgresql://u:S3cret/x@h/live", "it has an @ after its host"),
        ("postgresql://u:S3cret/x", "its port is not a number"),
        ("postgresql://u@h:70000/live", "its port is not a number"),
        ("postgresql://u@h/live?S3cret=1", "a parameter after its ? is not valid"),
        ("postgresql://u@[S3cret/live", "libpq can't read it"),
        ("host=S3cret@h", "its host has a character"),
        ("host=h password=two S3cret", "it is neither a URL nor a list"),
        ("host=h password='S3cret", "a value in it begins with a quote"),
        ("host=h S3cret=1", "it has an option that libpq does not know"),
        ("host=h dbname=postgresql://u:S3cret@h/live", "the name of its database is a URL"),
        ("host=h\0 S3cret", "it has a NUL character"),
        ("host=h password=\udcff", "it is not UTF-8"),
    ],
)
def test_a_wrong_one_is_refused_without_any_part_of_it(text: str, why: str) -> None:
    with pytest.raises(ValueError, match="not the address of a PostgreSQL database") as refused:
        parse_database_address(text)
    assert why in str(refused.value)
    assert "S3cret" not in str(refused.value)


def test_without_its_driver_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ValueError, match=r"pip install 'ringback\[postgres\]'"):
        parse_database_address("postgresql://h/live")


def test_folders_are_not_taken_for_addresses() -> None:
    addresses = ["postgresql://h", "postgres://", "host=h", "dbname = x", "service=s"]
    folders = ["data", "/srv/ringback", "./a=b", "x/y=z", "Data=1", "postgresql"]
    assert [one for one in addresses + folders if is_database_address(one)] == addresses
