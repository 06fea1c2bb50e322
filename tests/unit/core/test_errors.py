import pytest

from ringback.core.errors import (
    EVENT_STREAMS,
    SUPER_SIM,
    WIRELESS,
    ApiError,
    BacklogFull,
    CallbackSourceNotConfigured,
    ConfigurationError,
    Conflict,
    DatabaseNotReady,
    ErrorCodes,
    Forbidden,
    InvalidBearerToken,
    InvalidCallbackUrl,
    InvalidParameter,
    LoginRateLimited,
    MethodNotAllowed,
    NoLongerThere,
    NotFound,
    PageNotFound,
    QueryTimeout,
    RecoveryPending,
    RingbackError,
    SecretNotFound,
    StoreUnavailable,
    TooManyRequests,
    Unauthorized,
    is_outage,
    missing_extra,
    reason_of,
)


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (InvalidParameter("m", code=20001), 400, 20001),
        (InvalidCallbackUrl("m"), 400, 11100),
        (Unauthorized("m"), 401, 20003),
        (NotFound("m"), 404, 20404),
        (MethodNotAllowed("m"), 405, 20004),
        (Conflict("m"), 409, 20409),
        (Conflict("m", code=83009), 409, 83009),
        (NoLongerThere("m"), 410, 20410),
        (BacklogFull("m", retry_after=5), 429, 20429),
    ],
)
def test_a_refusal_has_its_status_and_its_code(refusal: ApiError, status: int, code: int) -> None:
    assert (refusal.status, refusal.code, refusal.message, str(refusal)) == (status, code, "m", "m")


@pytest.mark.parametrize(
    ("kind", "parent"),
    [
        (ApiError, RingbackError),
        (InvalidParameter, ApiError),
        (PageNotFound, InvalidParameter),
        (InvalidCallbackUrl, InvalidParameter),
        (Unauthorized, ApiError),
        (InvalidBearerToken, Unauthorized),
        (Forbidden, ApiError),
        (NotFound, ApiError),
        (NoLongerThere, ApiError),
        (MethodNotAllowed, ApiError),
        (Conflict, ApiError),
        (BacklogFull, ApiError),
        (LoginRateLimited, BacklogFull),
        (TooManyRequests, BacklogFull),
        (SecretNotFound, RingbackError),
        (CallbackSourceNotConfigured, RingbackError),
        (ConfigurationError, RingbackError),
        (StoreUnavailable, ConfigurationError),
    ],
)
def test_the_class_tree_is_the_one_in_the_modules_docstring(
    kind: type[Exception], parent: type[Exception]
) -> None:
    assert kind.__bases__ == (parent,)


def test_a_full_backlog_says_when_to_try_again() -> None:
    assert BacklogFull("m", retry_after=5).retry_after == 5


@pytest.mark.parametrize(("given", "code"), [({}, 83600), ({"code": 33103}, 33103)])
def test_an_impossible_page_is_refused_with_its_record_and_the_code_of_the_api(
    given: dict[str, int], code: int
) -> None:
    refusal = PageNotFound("HS0", **given)
    assert (refusal.status, refusal.code, refusal.sid) == (400, code, "HS0")
    assert refusal.message == (
        "PageToken: there is no record HS0 in this list; use the page URLs"
        " in the list's `meta` unchanged"
    )


@pytest.mark.parametrize(("given", "code"), [({}, 20006), ({"code": 20005}, 20005)])
def test_a_forbidden_request_is_reported_with_the_code_of_its_reason(
    given: dict[str, int], code: int
) -> None:
    assert (Forbidden("m", **given).status, Forbidden("m", **given).code) == (403, code)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (SUPER_SIM, ErrorCodes(invalid=83600, missing=20002, paging=83600, name_taken=83011)),
        (EVENT_STREAMS, ErrorCodes(invalid=20001, missing=20002, paging=91002, name_taken=20001)),
        (WIRELESS, ErrorCodes(invalid=33101, missing=33102, paging=33103, name_taken=33101)),
    ],
    ids=["Super SIM", "Event Streams", "Programmable Wireless"],
)
def test_common_refusals_have_the_documented_codes(codes: ErrorCodes, expected: ErrorCodes) -> None:
    assert codes == expected


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("click", "server"),
        ("starlette.types", "server"),
        ("twilio.rest", "migrate"),
        ("botocore.session", "kinesis"),
    ],
)
def test_the_extra_of_a_missing_module_is_named(module: str, extra: str) -> None:
    error = missing_extra("the command", ModuleNotFoundError("no module", name=module))
    package = module.partition(".")[0]
    assert str(error) == f"the command needs the module {package}: pip install 'ringback[{extra}]'"
    assert error.name == module


@pytest.mark.parametrize("module", [None, "ringback.gone"])
def test_no_extra_is_named_for_an_unknown_module(module: str | None) -> None:
    missing = ModuleNotFoundError("no module", name=module)
    assert missing_extra("the command", missing) is missing


def test_the_reason_of_an_error_is_one_line() -> None:
    assert reason_of(OSError("no such place\n\tis the server running?")) == (
        "no such place is the server running?"
    )


def test_only_a_database_that_cannot_be_used_is_an_outage() -> None:
    assert is_outage(StoreUnavailable("the disk is full"))
    for other in (RecoveryPending("not yet"), QueryTimeout("too slow"), ValueError(), None):
        assert not is_outage(other)


def test_only_the_operator_reads_the_detail_of_an_outage() -> None:
    outage = StoreUnavailable("the database can't be used", detail="db.internal refuses it")
    assert str(outage) == "the database can't be used"
    assert outage.for_operator == "the database can't be used (db.internal refuses it)"
    assert StoreUnavailable("it is away").for_operator == "it is away"


def test_everybody_may_read_why_a_database_is_not_ready() -> None:
    assert DatabaseNotReady("db.internal is starting", "it is starting").reason == "it is starting"
