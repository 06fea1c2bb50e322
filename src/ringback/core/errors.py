"""All errors that Ringback raises on purpose, and the error codes of the APIs.

    RingbackError
    ├── ApiError                    a request that can't be carried out
    │   ├── InvalidParameter   400  a value that can't be used
    │   │   ├── PageNotFound        a page that begins at a record missing from its list
    │   │   └── InvalidCallbackUrl  a callback URL that can't be used (11100)
    │   ├── Unauthorized       401  missing or wrong credentials (20003)
    │   │   └── InvalidBearerToken  a bearer token that is unknown or has expired
    │   ├── Forbidden          403  valid credentials without access to this (20006)
    │   ├── NotFound           404  no such resource (20404)
    │   ├── MethodNotAllowed   405  the resource exists, but not with this HTTP method (20004)
    │   ├── Conflict           409  another change to the same resource came first (20409)
    │   ├── NoLongerThere      410  it was there, but has ended for good (20410)
    │   └── BacklogFull        429  too much work is already waiting (20429)
    │       ├── LoginRateLimited    too many sign-ins with wrong credentials
    │       └── TooManyRequests     an account sends more requests than its rate limit allows
    ├── SecretNotFound              the secret needed to sign a request no longer exists
    │   └── SecretDamaged           it is there, but can't be decrypted
    ├── CallbackSourceNotConfigured    the source needed to send a request no longer exists
    ├── LeaseLost                   another process may send the callback now
    ├── StartStopped                the server was stopped before it had started
    └── ConfigurationError          Ringback can't run: a setting, a port or a file is wrong
        ├── DatabaseNotReady        a database can't be used yet, at the start
        └── StoreUnavailable        the database can't be used at the moment
            ├── RecoveryPending     what the last stop left open has to be settled first
            └── QueryTimeout        the query takes too long

The class shows who can fix the problem; the code shows exactly what is wrong. Codes are those of
the Super SIM API (83xxx), of Programmable Wireless (33xxx), of event streams (91xxx), of the
platform that all run on (20xxx) and of webhooks (11100).
A message says what was given, what is wrong and what would be right. It never contains a secret.
"""

from typing import ClassVar, Final, NamedTuple, TypeGuard


class RingbackError(Exception):
    """The base class of all errors that Ringback raises on purpose."""


class ApiError(RingbackError):
    """A request that can't be carried out; `code` is the API's error code for it."""

    status: ClassVar[int] = 400

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class InvalidParameter(ApiError):
    """A parameter is missing, malformed, out of range, or not possible in the current state."""


class PageNotFound(InvalidParameter):
    """The page token of a list names a record that the list does not contain."""

    def __init__(self, sid: str, *, code: int = 83600) -> None:
        super().__init__(
            f"PageToken: there is no record {sid} in this list; use the page"
            " URLs in the list's `meta` unchanged",
            code=code,
        )
        self.sid = sid


class InvalidCallbackUrl(InvalidParameter):
    """A callback URL is not valid, or the settings in its fragment are not."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=11100)


class Unauthorized(ApiError):
    """The credentials are missing or wrong."""

    status = 401

    def __init__(self, message: str) -> None:
        super().__init__(message, code=20003)


class InvalidBearerToken(Unauthorized):
    """A bearer token was not issued by this server, or has expired."""


class Forbidden(ApiError):
    """The credentials are valid, but give no access to this resource or operation."""

    status = 403

    def __init__(self, message: str, *, code: int = 20006) -> None:
        super().__init__(message, code=code)


class NotFound(ApiError):
    """The resource does not exist, or belongs to another account."""

    status = 404

    def __init__(self, message: str, *, code: int = 20404) -> None:
        super().__init__(message, code=code)


class MethodNotAllowed(ApiError):
    """The resource exists, but does not support this HTTP method."""

    status = 405

    def __init__(self, message: str) -> None:
        super().__init__(message, code=20004)


class Conflict(ApiError):
    """Another change to the same resource is still being carried out, or was made meanwhile."""

    status = 409

    def __init__(self, message: str, *, code: int = 20409) -> None:
        super().__init__(message, code=code)


class NoLongerThere(ApiError):
    """The resource was there, but has ended for good, such as a link whose time is over."""

    status = 410

    def __init__(self, message: str) -> None:
        super().__init__(message, code=20410)


class BacklogFull(ApiError):
    """Too much work waits, so the server accepts no more; try again after `retry_after` seconds."""

    status = 429

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message, code=20429)
        self.retry_after = retry_after
        """The seconds that the client should wait before it tries again."""


class LoginRateLimited(BacklogFull):
    """Too many sign-ins used wrong credentials, so further ones are refused for a while."""


class TooManyRequests(BacklogFull):
    """An account sends more requests per second than the operator allows."""


class SecretNotFound(RingbackError):
    """The webhook secret that should sign a request no longer exists; no other one may sign it."""


class SecretDamaged(SecretNotFound):
    """The secret that should sign a request can't be decrypted; the request has to wait."""


class CallbackSourceNotConfigured(RingbackError):
    """The source that should send a request is no longer in the settings; no other may send it."""


class LeaseLost(RingbackError):
    """This process may not send to a destination now: its lease has ended, or it is paused."""


class DestinationHeld(RingbackError):
    """Nothing may be sent to a destination now: it is paused, its breaker is open, or the like."""


class StartStopped(RingbackError):
    """The server was stopped before it had started."""


class ConfigurationError(RingbackError):
    """Ringback can't start or continue with this configuration; the message says what to change."""


class StoreUnavailable(ConfigurationError):
    """The database can't be used at the moment; the requested operation was not carried out.

    The message is for everybody, and so has nothing of the database's address.
    """

    def __init__(self, message: str, *, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail
        """What only the operator may read; empty for nothing."""

    @property
    def for_operator(self) -> str:
        """The message together with the detail."""
        return f"{self} ({self.detail})" if self.detail else str(self)


class DatabaseNotReady(ConfigurationError):
    """The database can't be used yet, but may be soon; the message is for the operator."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason
        """Why, in words that everybody may read."""


class RecoveryPending(StoreUnavailable):
    """The database works, but what the last stop left open has to be settled first."""


class QueryTimeout(StoreUnavailable):
    """A query takes too long; a smaller request, such as one for fewer records, can succeed."""


def is_outage(failure: Exception | None) -> TypeGuard[StoreUnavailable]:
    """Return True if `failure` says that the database itself can't be used at the moment."""
    return isinstance(failure, StoreUnavailable) and not isinstance(
        failure, RecoveryPending | QueryTimeout
    )


def missing_extra(user: str, missing: ModuleNotFoundError) -> ModuleNotFoundError:
    """Return an error like `missing` that also names the pip extra to install.

    `user` is the part of Ringback that imports the module. An error about one of Ringback's own
    modules is returned unchanged, since no extra adds that module.

    >>> print(missing_extra("ringback.testing", ModuleNotFoundError(name="orjson")))
    ringback.testing needs the module orjson: pip install 'ringback[server]'
    """
    module = (missing.name or "").partition(".")[0]
    if module in ("", "ringback"):
        return missing
    extras = {"twilio": "migrate", "botocore": "kinesis", "psycopg": "postgres"}
    extra = extras.get(module, "server")
    return ModuleNotFoundError(
        f"{user} needs the module {module}: pip install 'ringback[{extra}]'", name=missing.name
    )


class ErrorCodes(NamedTuple):
    """The error codes of one API."""

    invalid: int
    """The code for a parameter with a value that can't be used."""
    missing: int
    """The code for a required parameter that is missing."""
    paging: int
    """The code for a page token that is not valid."""
    name_taken: int
    """The code for a unique name that another record already has."""


SUPER_SIM: Final = ErrorCodes(invalid=83600, missing=20002, paging=83600, name_taken=83011)
"""The error codes of the Super SIM API, also used by Ringback's own portal API."""
PLATFORM: Final = ErrorCodes(invalid=20001, missing=20002, paging=20001, name_taken=20001)
"""The error codes of KORE's global resources: accounts, API clients and webhook secrets."""
EVENT_STREAMS: Final = ErrorCodes(invalid=20001, missing=20002, paging=91002, name_taken=20001)
"""The error codes of Twilio's Events API; its resources have further ones, from 91000 on."""
WIRELESS: Final = ErrorCodes(invalid=33101, missing=33102, paging=33103, name_taken=33101)
"""The error codes of Programmable Wireless, which has no special code for a name in use."""


def reason_of(failure: Exception) -> str:
    """Return the message of an error, in one line."""
    return " ".join(str(failure).split())
