"""Reads the address of a PostgreSQL database as libpq does, and shows it without its secrets.

A password that is not written as it has to be can end up in any part of an address. So an address
of which libpq makes something strange is refused, and the error repeats nothing of it.
"""

import re
from collections.abc import Mapping
from typing import Final

EXAMPLES: Final = (
    "postgresql://USER:PASSWORD@HOST:5432/NAME, or host=HOST user=USER password=PASSWORD"
    " dbname=NAME"
)
_SCHEMES: Final = ("postgresql://", "postgres://")
_SECRETS: Final = frozenset(
    {"password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"}
)
_HOST: Final = re.compile(r"[@/].*|[\w.:%-]*", re.DOTALL)
"""A host name, an IP address, or the folder or the abstract name of a Unix socket."""
_PORT: Final = re.compile(r"\s*\d{0,5}\s*", re.ASCII)
_HIGHEST_PORT: Final = 65535
_IN_WORDS: Final = (
    ("percent", "a % in it is not followed by two hexadecimal digits (write %25 for a % itself)"),
    ("invalid connection option", "it has an option that libpq does not know"),
    ("query parameter", "a parameter after its ? is not valid"),
    ('missing "="', "it is neither a URL nor a list of NAME=VALUE"),
    ("quoted string", "a value in it begins with a quote that is not closed"),
)
"""What libpq says about an address, in lower case, and the same without parts of the address."""
_AT_SIGN: Final = (
    "it has an @ after its host; in a URL, write %40 for an @ and %2F for a / in the password, and"
    " %40 for an @ in any other place"
)


def parse_database_address(text: str) -> Mapping[str, str]:
    """Return the parameters in a URL or keyword string, as psycopg reads it.

    Raises ValueError, without any part of the text, if it can't be read, or if it is likely that a
    part of the password is taken for something else.
    """
    try:
        from psycopg import ProgrammingError  # noqa: PLC0415 (an extra, which few need)
        from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415 (as above)
    except ModuleNotFoundError:
        raise ValueError(
            "a PostgreSQL database needs the module psycopg: pip install 'ringback[postgres]'"
        ) from None
    try:
        given = {name: str(value) for name, value in conninfo_to_dict(text).items()}
    except ProgrammingError as failure:
        raise _refusal(_in_words(str(failure))) from None
    except UnicodeError:
        raise _refusal("it is not UTF-8") from None
    if (problem := _problem(text, given)) is not None:
        raise _refusal(problem)
    return given


def is_database_address(text: str) -> bool:
    """Return True if a text is meant as an address, and not as the path of a folder."""
    name, equals, _ = text.partition("=")
    return text.startswith(("postgresql:", "postgres:")) or bool(
        equals and re.fullmatch(r"\s*[a-z_]+\s*", name)
    )


def shown_database(given: Mapping[str, str]) -> str:
    """Return the database as messages to the operator name it.

    >>> shown_database({"host": "db.internal", "dbname": "ringback", "password": "secret"})
    'ringback on db.internal'
    """
    name = given.get("dbname") or given.get("user")
    where = given.get("host") or given.get("hostaddr")
    if where is None and (service := given.get("service")) is not None:
        return f"{name or 'the database'} of the service {service}"
    return f"{name or 'postgres'} on {where or 'this machine'}"


def without_secrets(given: Mapping[str, str]) -> Mapping[str, str]:
    """Return the parameters without those that are secret."""
    return {name: value for name, value in given.items() if name not in _SECRETS}


def has_secrets(given: Mapping[str, str]) -> bool:
    """Return True if a parameter is a secret, such as the password."""
    return not _SECRETS.isdisjoint(given)


def secrets_in(given: Mapping[str, str]) -> list[str]:
    """Return the values that may not be shown."""
    return [value for name, value in given.items() if name in _SECRETS and value]


def _refusal(problem: str) -> ValueError:
    return ValueError(
        f"this is not the address of a PostgreSQL database: {problem}. Write it like {EXAMPLES}."
        " The address itself is not shown, since it can have a password"
    )


def _in_words(complaint: str) -> str:
    """Return the problem with an address; libpq's own words would repeat parts of it."""
    found = (ours for theirs, ours in _IN_WORDS if theirs in complaint.lower())
    return next(found, "libpq can't read it")


def _problem(text: str, given: Mapping[str, str]) -> str | None:
    """Return why a text that libpq can read is refused all the same; None if it is not."""
    if "\0" in text:
        return "it has a NUL character"
    if any("@" in _after_credentials(text, scheme) for scheme in _SCHEMES):
        return _AT_SIGN
    hosts = (*given.get("host", "").split(","), *given.get("hostaddr", "").split(","))
    if not all(map(_HOST.fullmatch, hosts)):
        return "its host has a character that no host name has"
    for port in given.get("port", "").split(","):
        if _PORT.fullmatch(port) is None or int(port.strip() or 1) not in range(
            1, _HIGHEST_PORT + 1
        ):
            return "its port is not a number from 1 to 65535; write %2F for a / in the password"
    if "://" in given.get("dbname", ""):
        return "the name of its database is a URL"
    return None


def _after_credentials(text: str, scheme: str) -> str:
    """Return the part of a URL in which libpq looks for no credentials; empty for other texts."""
    if not text.startswith(scheme):
        return ""
    url = text.removeprefix(scheme)
    # As in libpq, credentials end at the first @, unless there is a / before it.
    return url.partition("@")[2] if "@" in url.partition("/")[0] else url
