"""All errors that Ringback raises on purpose, and the codes of the APIs.

    RingbackError
    ├── ApiError                    a request that can't be carried out
    │   ├── InvalidParameter   400  a value that can't be used
    │   │   ├── PageNotFound        a page that begins at no record of its list
    │   │   └── InvalidCallbackUrl  a callback URL that can't be called (11100)
    │   ├── Unauthorized       401  no credentials, or wrong ones (20003)
    │   │   └── InvalidBearerToken  a bearer token that is wrong, or has ended
    │   ├── Forbidden          403  right credentials that are not good for this (20006)
    │   ├── NotFound           404  no such resource (20404)
    │   ├── MethodNotAllowed   405  the resource exists, the verb doesn't (20004)
    │   ├── Conflict           409  another change to the same resource is still running (20409)
    │   └── BacklogFull        429  too much is waiting already (20429)
    │       ├── LoginRateLimited    too many wrong credentials came
    │       └── TooManyRequests     an account asks for more than its rate allows
    ├── SecretNotFound              the secret that was to sign a request is there no longer
    ├── CallbackSourceNotConfigured    the source that a request was to come from is there no longer
    └── ConfigurationError          Ringback can't work like this: a setting, a port, a file
        └── StoreUnavailable        the database can't be used just now
            └── QueryTimeout        what was asked for takes too long to read

The class says who can do something about it; the code says exactly what is wrong. Codes are those
of the Super SIM API (83xxx), of Programmable Wireless (33xxx), of the platform under them (20xxx)
and of webhooks (11100).
A message says what was given, what is wrong and what would be right. It never holds a secret.
"""

from typing import ClassVar, Final, NamedTuple


class RingbackError(Exception):
    """Anything that Ringback itself raises on purpose."""


class ApiError(RingbackError):
    """A request that can't be carried out; `code` is the API's error code for it."""

    status: ClassVar[int] = 400

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class InvalidParameter(ApiError):
    """A parameter is missing, malformed, out of range, or not possible in the present state."""


class PageNotFound(InvalidParameter):
    """A page of a list begins at a record that the list doesn't have."""

    def __init__(self, sid: str, *, code: int = 83600) -> None:
        super().__init__(
            f"PageToken: there is no record {sid} in this list;"
            " use the page URLs of the list's meta as they are",
            code=code,
        )
        self.sid = sid


class InvalidCallbackUrl(InvalidParameter):
    """A callback URL that can't be called, or a fragment in it that can't be followed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=11100)


class Unauthorized(ApiError):
    """The credentials are missing or wrong."""

    status = 401

    def __init__(self, message: str) -> None:
        super().__init__(message, code=20003)


class InvalidBearerToken(Unauthorized):
    """A bearer token that is none of ours, or good no longer."""


class Forbidden(ApiError):
    """Right credentials, but not for this."""

    status = 403

    def __init__(self, message: str, *, code: int = 20006) -> None:
        super().__init__(message, code=code)


class NotFound(ApiError):
    """No such resource, or not one of this account's."""

    status = 404

    def __init__(self, message: str) -> None:
        super().__init__(message, code=20404)


class MethodNotAllowed(ApiError):
    """The resource exists, but not with this verb."""

    status = 405

    def __init__(self, message: str) -> None:
        super().__init__(message, code=20004)


class Conflict(ApiError):
    """A change to the same resource is still being carried out."""

    status = 409

    def __init__(self, message: str, *, code: int = 20409) -> None:
        super().__init__(message, code=code)


class BacklogFull(ApiError):
    """So much is waiting that nothing more is taken on; `retry_after` says when to ask again."""

    status = 429

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message, code=20429)
        self.retry_after = retry_after
        """Seconds."""


class LoginRateLimited(BacklogFull):
    """So many wrong credentials came that no more are looked at for a while."""


class TooManyRequests(BacklogFull):
    """An account asks for more in a second than the operator allows."""


class SecretNotFound(RingbackError):
    """The webhook secret that was to sign a request is there no longer; no other may."""


class CallbackSourceNotConfigured(RingbackError):
    """The source that a request was to come from is in the settings no longer; no other may."""


class ConfigurationError(RingbackError):
    """Ringback can't start or go on like this; the message says what to change."""


class StoreUnavailable(ConfigurationError):
    """The database can't be used just now; nothing of what was asked has been done."""


class QueryTimeout(StoreUnavailable):
    """What was asked for takes too long to read; who asks for less gets it."""


class ErrorCodes(NamedTuple):
    """The codes of one API."""

    invalid: int
    """A value that can't be used."""
    missing: int
    """A parameter that has to be given."""
    paging: int
    """A page that there can't be."""
    name_taken: int
    """A unique name that another record has."""


SUPER_SIM: Final = ErrorCodes(invalid=83600, missing=20002, paging=83600, name_taken=83011)
"""Those of Super SIM, and of our own portal."""
PLATFORM: Final = ErrorCodes(invalid=20001, missing=20002, paging=20001, name_taken=20001)
"""Those of KORE's global resources: accounts, API clients and webhook secrets."""
WIRELESS: Final = ErrorCodes(invalid=33101, missing=33102, paging=33103, name_taken=33101)
"""Those of Programmable Wireless, which has none for a name that is taken."""
