"""Addresses of databases, valid and broken: no output ever has a part of the password.

A password consists of words that are nowhere else, with special characters in between, and is
written into URLs and keyword strings both as libpq wants it and as people get it wrong. Strangers
and customers also see nothing of the host, port, database and user.
"""

import io
import json
import logging
import traceback
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from ringback.api.errors import answer
from ringback.cli.log_output import JsonLogFormatter, TextLogFormatter
from ringback.cli.main import main
from ringback.core.errors import ConfigurationError, StoreUnavailable
from ringback.runtime.database_outage import DatabaseOutageMonitor
from ringback.settings.load import load
from ringback.settings.setting_definitions import ServerCommand
from ringback.stores.encryption import new_key
from ringback.stores.postgres.connections import Dsn
from ringback.stores.postgres.failures import unavailable
from tests.fakes import FakeClock

HOST, PORT, DATABASE, USER = "127.0.0.1", "47", "dbQ7", "usQ7"
"""Nobody listens on this port."""
SPECIAL = "@/:?#%&=[],;+ '\"\\$!é\t"
COMMANDS = (
    ("db", "check"),
    ("db", "status", "--json"),
    ("db", "upgrade"),
    ("accounts", "list"),
    ("backup", "kept.backup"),
    ("restore", "kept.backup"),
    ("pause", "--yes"),
    ("db", "copy", "RINGBACK_DATABASE", "new"),
)


@dataclass(frozen=True)
class Address:
    """An address, and the words that its password consists of."""

    text: str
    words: tuple[str, ...]

    def in_no(self, *texts: str, beside: tuple[str, ...] = ()) -> None:
        """Check that no word of the password is in a text, and nothing of `beside`."""
        for text in texts:
            assert [one for one in (*self.words, *beside) if one.lower() in text.lower()] == []


words = st.text("QXZ0123456789", min_size=5, max_size=8).map(lambda rest: f"W{rest}")
gaps = st.text(st.sampled_from(SPECIAL), min_size=0, max_size=3)


@st.composite
def addresses(draw: st.DrawFn) -> Address:
    pieces = tuple(draw(st.lists(words, min_size=1, max_size=3)))
    password = "".join(part for piece in pieces for part in (piece, draw(gaps)))
    written = draw(
        st.sampled_from(
            [password, quote(password, safe=""), quote(password), password.replace("%", "%25")]
        )
    )
    escaped = password.replace("\\", "\\\\").replace("'", "\\'")
    keyword = draw(st.sampled_from([password, f"'{escaped}'", f"'{password}'"]))
    scheme = draw(st.sampled_from(["postgresql", "postgres", "http", "postgresql:"]))
    where = draw(st.sampled_from([f"{HOST}:{PORT}", f"{HOST}:{PORT},{HOST}:{PORT}"]))
    more = draw(st.sampled_from(["", "?", "?sslmode=disable", "?odd=1", "?application_name=%zz"]))
    text = draw(
        st.sampled_from(
            [
                f"{scheme}://{USER}:{written}@{where}/{DATABASE}{more}",
                f"{scheme}://{USER}@{where}/{DATABASE}?password={written}",
                f"{scheme}://{USER}:{written}/{DATABASE}",
                f"host={HOST} port={PORT} user={USER} password={keyword} dbname={DATABASE}",
                f"password={keyword} host={HOST} port={PORT} dbname={DATABASE} sslmode=odd",
            ]
        )
    )
    return Address(text, pieces)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("addresses")
    (folder / "key").write_text(new_key())
    return folder


async def nothing() -> None:
    """Commit nothing."""


def failure_of(address: Address) -> Exception | None:
    """Return how a connection fails; None if the address is broken."""
    try:
        Dsn(address.text).connect()
    except ConfigurationError as refused:
        address.in_no(*traceback.format_exception(refused), repr(Dsn(address.text)))
        return None
    except psycopg.Error as failure:
        return failure
    raise AssertionError(address)


@settings(max_examples=60)
@given(address=addresses())
def test_no_command_shows_the_password(address: Address, folder: Path) -> None:
    env = {"RINGBACK_DATABASE": address.text, "RINGBACK_SEAL_KEY_FILE": str(folder / "key")}
    for command in COMMANDS:
        ran = CliRunner().invoke(main, command, env=env)
        assert ran.exit_code != 0
        # A traceback would not be in the output of the runner.
        assert isinstance(ran.exception, SystemExit), (command, ran.exception)
        address.in_no(ran.output)
    for argument in (("db", "copy", address.text, "new"), ("db", "copy", "old", address.text)):
        if not address.text.startswith("http"):  # else it names a folder
            address.in_no(
                CliRunner().invoke(main, argument, env={**env, "RINGBACK_DATABASE": ""}).output
            )


@settings(max_examples=100)
@given(address=addresses())
def test_no_error_of_the_settings_shows_the_password(address: Address, folder: Path) -> None:
    file, mounted = folder / "ringback.toml", folder / "address"
    file.write_text(f"database = {json.dumps(address.text)}")
    mounted.write_text(f"{address.text}\n")
    for flags, environment in (
        ({}, {"RINGBACK_DATABASE": address.text}),
        ({}, {"RINGBACK_DATABASE_FILE": str(mounted)}),
        ({"database": address.text}, {}),
        ({"settings": str(file)}, {}),
    ):
        try:
            load(flags, environment, command=ServerCommand.SERVE)
        except ConfigurationError as refused:
            address.in_no(*traceback.format_exception(refused))


@settings(max_examples=60)
@given(address=addresses())
def test_strangers_see_nothing_of_the_address_and_the_log_no_password(address: Address) -> None:
    failure = failure_of(address)
    if failure is None:
        return
    outage = unavailable(failure)
    request = Request({"type": "http", "path": "/portal/v1/callbacks", "headers": [], "host": ""})
    address.in_no(
        str(outage),
        bytes(answer(request, outage).body).decode(),
        beside=(HOST, PORT, DATABASE, USER),
    )
    log = io.StringIO()
    for formatter in (TextLogFormatter(), JsonLogFormatter()):
        handler = logging.StreamHandler(log)
        handler.setFormatter(formatter)
        root = logging.getLogger()
        root.addHandler(handler)
        try:
            clock = FakeClock()
            DatabaseOutageMonitor(nothing, clock=clock, stopwatch=lambda: 0.0).failed(outage)
            try:
                raise outage
            except StoreUnavailable:
                root.exception("failed", exc_info=failure)
        finally:
            root.removeHandler(handler)
    if outage.detail.endswith("accepting TCP/IP connections?"):
        assert HOST in log.getvalue()
    address.in_no(log.getvalue())
