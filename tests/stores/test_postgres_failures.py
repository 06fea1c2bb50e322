"""The driver's messages in our words, and which of these failures a starting server waits out."""

import psycopg
import pytest
from psycopg import errors

from ringback.core.errors import ConfigurationError, DatabaseNotReady
from ringback.stores.postgres.failures import ConnectionFailed, may_pass, reason, unusable

SERVER = 'server at "ssl.recovery.example" (192.0.2.7), port 5432'
AT = f"connection failed: connection to {SERVER} failed: "
GIVEN = {"host": "ssl.recovery.example", "dbname": "invalid certificate", "password": "S3cret"}
LASTING, PASSING = False, True


@pytest.mark.parametrize(
    ("text", "words", "is_passing"),
    [
        (AT + "FATAL:  the database system is starting up", "it is starting up", PASSING),
        (AT + "FATAL:  the database system is in recovery mode", "it is recovering", PASSING),
        (
            AT + "FATAL:  the database system is not yet accepting connections\nDETAIL:  Consistent"
            " recovery state has not been yet reached.",
            "it is recovering",
            PASSING,
        ),
        (AT + "FATAL:  the database system is shutting down", "it is shutting down", PASSING),
        (AT + "FATAL:  sorry, too many clients already", "it has too many connections", PASSING),
        (AT + "Connection refused\n\tIs the server running?", "it refuses connections", PASSING),
        (AT + "timeout expired", "it does not answer", PASSING),
        ("connection timeout expired", "it does not answer", PASSING),
        ("failed to resolve host 'x': [Errno -2] Name or service not known", "its host", PASSING),
        (AT + "session is read-only", "it is not the server", PASSING),
        (AT + "server closed the connection unexpectedly", "it has ended the conn", PASSING),
        (AT + "FATAL:  el servidor está iniciando", "it can't be reached", PASSING),
        (AT + 'FATAL:  password authentication failed for user "x"', "it refuses", LASTING),
        ("fe_sendauth: no password supplied", "it asks for a password", LASTING),
        (AT + 'FATAL:  database "starting up" does not exist', "there is no such data", LASTING),
        (AT + 'FATAL:  role "x" does not exist', "there is no such user", LASTING),
        (
            AT + 'FATAL:  no pg_hba.conf entry for host "192.0.2.7", user "x", database "y", no'
            " encryption",
            "its pg_hba.conf",
            LASTING,
        ),
        (AT + "server does not support SSL, but SSL was required", "no TLS", LASTING),
        (AT + "SSL error: certificate verify failed", "no TLS", LASTING),
        (
            AT + "FATAL:  unsupported startup parameter in options: lock_timeout",
            "the server, or a pooler",
            LASTING,
        ),
        ('connection is bad: invalid sslmode value: "odd"', "a value in its address", LASTING),
        (
            f"{AT}Connection refused\nMultiple connection attempts failed. - {AT}FATAL: "
            ' database "y" does not exist',
            "there is no such database",
            LASTING,
        ),
    ],
)
def test_a_failed_connection_is_told_in_our_words(text: str, words: str, is_passing: bool) -> None:
    failure = ConnectionFailed(psycopg.OperationalError(text), GIVEN)
    assert reason(failure).startswith(words)
    assert may_pass(failure) is is_passing
    for word in ("ssl", "recovery.example", "192.0.2.7", "5432", "invalid cert"):
        assert word not in reason(failure)
    kind = DatabaseNotReady if is_passing else ConfigurationError
    assert type(unusable(failure, GIVEN)) is kind
    assert failure.detail == " ".join(text.split())


def test_a_message_with_the_password_is_not_shown() -> None:
    failure = ConnectionFailed(psycopg.OperationalError(f"{AT} S3cret: Connection refused"), GIVEN)
    assert failure.detail == ""
    assert "it refuses connections" in str(unusable(failure, GIVEN))
    assert "S3cret" not in str(unusable(failure, GIVEN))


@pytest.mark.parametrize(
    ("failure", "words", "is_passing"),
    [
        (errors.DiskFull('could not extend "base/16384"'), "it reports: disk full", PASSING),
        (errors.AdminShutdown("bye"), "it reports: admin shutdown", PASSING),
        (errors.ReadOnlySqlTransaction("x"), "it reports: read only sql", PASSING),
        (errors.InsufficientPrivilege('for "ringback"'), "it reports: insufficient", LASTING),
        (psycopg.OperationalError("server closed the connection"), "it has ended", PASSING),
        (errors.ProtocolViolation("server conn crashed?"), "it has ended", PASSING),
        (errors.ProtocolViolation("server_login_retry"), "it can't be reached", PASSING),
        (KeyError("ringback"), "Ringback itself failed", LASTING),
    ],
)
def test_what_a_server_reports_is_told_without_names(
    failure: Exception, words: str, is_passing: bool
) -> None:
    assert reason(failure).startswith(words)
    assert may_pass(failure) is is_passing
