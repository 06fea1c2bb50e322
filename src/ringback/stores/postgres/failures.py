"""Turns the errors of PostgreSQL and its driver into text, and says which may pass by themselves.

The driver's messages name the address, and so can repeat a part of a password that is written
wrongly; the server's can name databases and users. So there are two texts. `reason`, for everybody,
consists of words from here. `detail`, for the operator, is the driver's text, unless a secret is in
it. Sessions are opened only by `Dsn.connect`, which raises nothing but ConnectionFailed.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

import psycopg

from ringback.core.errors import ConfigurationError, DatabaseNotReady, StoreUnavailable, reason_of
from ringback.runtime.database_address import secrets_in, shown_database


class _Cause(NamedTuple):
    """A cause of failures: a pattern of the driver's or server's words for it, and ours."""

    pattern: str
    words: str
    may_pass: bool


_PASSING: Final = (
    ("starting up", "it is starting up"),
    ("recovery|consistent", "it is recovering from a crash"),
    ("shutting down", "it is shutting down"),
    ("too many|connection slots", "it has too many connections"),
    ("connection refused", "it refuses connections"),
    (r"\S+ failed: no such file|socket .*no such file", "its socket does not exist"),
    ("timeout expired|timed out", "it does not answer"),
    ("resolve host|translate host|name or service|name resolution", "its host name is unknown"),
    ("no route to host|unreachable", "there is no route to it"),
    (
        "reset by peer|broken pipe|closed|eof detected|terminating connection|conn crashed",
        "it has ended the connection",
    ),
    ("session is|hot standby|in standby", "it is not the server that the address asks for"),
)
_LASTING: Final = (
    ("password authentication|authentication failed", "it refuses the user or the password"),
    ("no password supplied", "it asks for a password, and none is given"),
    ("pg_hba", "its pg_hba.conf does not let in this user, database or machine"),
    ("role .*does not exist|no such user", "there is no such user"),
    ("not permitted to log in", "the user may not log in"),
    ("database .*does not exist|no such database", "there is no such database"),
    ("not currently accepting", "it does not let anybody use this database"),
    ("permission denied", "the user may not do this"),
    (r"certificate|ssl error|support ssl|ssl is not|root\.crt", "no TLS connection is possible"),
    ("unsupported startup|unrecognized", "the server, or a pooler in between, refuses a setting"),
    (r"^invalid|: invalid |bad value|definition of service", "a value in its address is not valid"),
)
_CAUSES: Final = (
    *(_Cause(*one, may_pass=True) for one in _PASSING),
    *(_Cause(*one, may_pass=False) for one in _LASTING),
)
_OF_CONNECTIONS: Final = "08"
_READ_ONLY: Final = "25006"
"""The server is a standby, which may be promoted."""


class ConnectionFailed(psycopg.OperationalError):
    """No session could be opened; the text, which is for everybody, says why."""

    def __init__(self, failure: Exception, given: Mapping[str, str]) -> None:
        """Say why a session with these parameters could not be opened."""
        text = reason_of(failure)
        words, self.may_pass = _cause_of(text)
        super().__init__(words)
        is_secret = any(secret in text for secret in secrets_in(given))
        self.detail = "" if is_secret else text
        """The driver's message, for the operator; empty if it can't be shown."""


def reason(failure: Exception) -> str:
    """Return why the database can't be used, in words that everybody may read."""
    if isinstance(failure, ConnectionFailed):
        return str(failure)
    if not isinstance(failure, psycopg.Error):
        return "Ringback itself failed, and its log has the details"
    # Connections are the matter of a pooler, which ends them if the server has ended its own.
    if failure.sqlstate is not None and not failure.sqlstate.startswith(_OF_CONNECTIONS):
        # The server's own words can name the database and its users.
        kind = type(failure).__name__.strip("_")
        return f"it reports: {re.sub('(?<=[a-z])(?=[A-Z])', ' ', kind).lower()}"
    return _cause_of(reason_of(failure))[0]


def detail(failure: Exception) -> str:
    """Return more about a failure, for the operator."""
    return failure.detail if isinstance(failure, ConnectionFailed) else reason_of(failure)


def unavailable(failure: Exception, *, to_do: str = "used") -> StoreUnavailable:
    """Return the error that a server, which goes on, reports for a failure of the database."""
    return StoreUnavailable(
        f"the database can't be {to_do} just now: {reason(failure)}", detail=detail(failure)
    )


def unusable(failure: Exception, given: Mapping[str, str]) -> ConfigurationError:
    """Return the error, for the operator, about a database that can't be used at the start.

    It is DatabaseNotReady if the database may be usable a little later.
    """
    why = detail(failure) or reason(failure)
    message = f"the PostgreSQL database {shown_database(given)} can't be used: {why}"
    if may_pass(failure):
        return DatabaseNotReady(message, reason(failure))
    return ConfigurationError(message)


def may_pass(failure: Exception) -> bool:
    """Return True if the database may be usable a little later without anybody's help."""
    if isinstance(failure, ConnectionFailed):
        return failure.may_pass
    is_operational = isinstance(failure, psycopg.OperationalError)
    return is_operational or getattr(failure, "sqlstate", None) == _READ_ONLY


def _cause_of(text: str) -> tuple[str, bool]:
    """Return the causes that a message names, in our words, and whether all of them may pass."""
    # Names of hosts, users and databases are in quotes, and must not be taken for words.
    words = re.sub(r"\"[^\"]*\"|'[^']*'", '""', text).lower()
    found = [cause for cause in _CAUSES if re.search(cause.pattern, words)]
    if not found:
        return "it can't be reached", True
    lasting = [cause for cause in found if not cause.may_pass]
    return "; ".join(cause.words for cause in lasting or found), not lasting
