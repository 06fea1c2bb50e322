"""The source, token and signature that a request's headers claim."""

import pytest

from ringback.core.policy.source_policy import Source
from ringback.receiver.verification import Reason, ReceivedRequest, Rejected
from ringback.receiver.verification.schemes import BY_AUTH_TOKEN, BY_SHARED_KEY, BY_WEBHOOK_SECRET
from ringback.receiver.verification.signature_headers import SignatureClaim, read_claim

SHA1 = "A" * 27 + "="
SHA256 = "A" * 43 + "="
HEX = "0" * 64
UUID = "ba8db584-d0ca-4379-3749-a4e21471a62e"
RQ = "RQa48ec9b6ef475034c35566c02b654243"
SETTINGS = "X-Twilio-Webhooks-Signature-Settings"


def claimed(*headers: tuple[str, str]) -> SignatureClaim:
    """Return the scheme, the signature, the token and the Content-Type."""
    claim = read_claim(ReceivedRequest("POST", "/", headers))
    assert not isinstance(claim, Rejected)
    return claim


def rejected(*headers: tuple[str, str]) -> Rejected:
    claim = read_claim(ReceivedRequest("POST", "/", headers))
    assert isinstance(claim, Rejected)
    return claim


def test_each_family_is_recognised_by_its_headers() -> None:
    given = (("x-TWILIO-signature", SHA1), ("I-Twilio-Idempotency-Token", UUID))
    assert claimed(*given) == (BY_AUTH_TOKEN, SHA1, UUID, None)
    given = (
        ("Kore-Idempotency-Token", RQ),
        ("Kore-Signature", HEX),
        ("CONTENT-type", "text/plain"),
    )
    assert claimed(*given) == (BY_WEBHOOK_SECRET, HEX, RQ, "text/plain")


@pytest.mark.parametrize(
    "settings",
    [
        "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256",
        "algorithm=HMAC_SHA256",
        " key = 1 , algorithm = hmac_sha256 ",
        "algorithm=HMAC_SHA256,algorithm=",
    ],
)
def test_the_settings_header_names_the_algorithm_of_a_shared_key(settings: str) -> None:
    scheme, *_ = claimed(("X-Twilio-Signature", SHA256), (SETTINGS, settings))
    assert scheme is BY_SHARED_KEY["HMAC_SHA256"]


def test_a_shared_key_can_sign_by_sha_1_too() -> None:
    scheme, *_ = claimed(("X-Twilio-Signature", SHA1), (SETTINGS, "key=1,algorithm=HMAC_SHA1"))
    assert scheme is BY_SHARED_KEY["HMAC_SHA1"]
    assert scheme is not BY_AUTH_TOKEN


@pytest.mark.parametrize(
    "settings", ["", "key=webhooks_sharedkey_1", "algorithm=", "algorithm= ", "Algorithm=HMAC_MD5"]
)
def test_settings_without_an_algorithm_mean_the_auth_token(settings: str) -> None:
    scheme, *_ = claimed(("X-Twilio-Signature", SHA1), (SETTINGS, settings))
    assert scheme is BY_AUTH_TOKEN


@pytest.mark.parametrize(
    "settings",
    [
        ["algorithm=HMAC_MD5"],
        ["algorithm=HMAC_SHA1,algorithm=HMAC_SHA256"],
        ["algorithm=HMAC_SHA1", "algorithm=HMAC_SHA1"],
    ],
)
def test_an_unknown_or_repeated_algorithm_is_refused(settings: list[str]) -> None:
    given = (("I-Twilio-Idempotency-Token", UUID), ("X-Twilio-Signature", SHA1))
    verdict = rejected(*given, *((SETTINGS, text) for text in settings))
    assert verdict == Rejected(
        Reason.UNKNOWN_ALGORITHM,
        f"{SETTINGS} is {', '.join(settings)!r}; this receiver supports only"
        " HMAC_SHA1 or HMAC_SHA256",
        Source.TWILIO,
        UUID,
    )


def test_a_long_algorithm_is_truncated_in_the_message() -> None:
    verdict = rejected(("X-Twilio-Signature", SHA1), (SETTINGS, "algorithm=" + "x" * 10_000))
    assert len(verdict.explanation) < 250
    assert "xxx…" in verdict.explanation


@pytest.mark.parametrize(
    ("algorithm", "signature"), [("HMAC_SHA256", SHA1), ("HMAC_SHA1", SHA256), ("", SHA256)]
)
def test_a_signature_has_the_length_of_its_algorithm(algorithm: str, signature: str) -> None:
    verdict = rejected(
        ("X-Twilio-Signature", signature), (SETTINGS, f"key=1,algorithm={algorithm}")
    )
    assert verdict.reason is Reason.MALFORMED_SIGNATURE
    assert "it must be" in verdict.explanation


def test_settings_alone_claim_to_be_twilio_without_a_signature() -> None:
    assert rejected((SETTINGS, "key=1")) == Rejected(
        Reason.NO_SIGNATURE, "there is no X-Twilio-Signature", Source.TWILIO
    )


def test_settings_of_twilios_beside_a_signature_of_kores_are_both_families() -> None:
    verdict = rejected(("Kore-Signature", HEX), (SETTINGS, "key=1"))
    assert verdict.reason is Reason.BOTH_FAMILIES
    assert f"({SETTINGS}, Kore-Signature)" in verdict.explanation
    assert verdict.source is None


@pytest.mark.parametrize(
    ("tokens", "token"),
    [
        ([], None),
        ([""], None),
        ([UUID[:-1]], UUID[:-1]),
        ([RQ], RQ),
        # It is the same each time, and that is all that a key needs.
        ([UUID, UUID], f"{UUID}, {UUID}"),
    ],
)
def test_a_token_counts_whatever_its_form(tokens: list[str], token: str | None) -> None:
    given = (("I-Twilio-Idempotency-Token", each) for each in tokens)
    assert claimed(("X-Twilio-Signature", SHA1), *given) == (BY_AUTH_TOKEN, SHA1, token, None)


def test_headers_with_the_same_names_are_read_anew_each_time() -> None:
    for signature, token in ((HEX, RQ), ("1" * 64, UUID), (HEX, "")):
        given = (("Kore-Idempotency-Token", token), ("Kore-Signature", signature))
        assert claimed(*given) == (BY_WEBHOOK_SECRET, signature, token or None, None)


def test_a_request_with_thousands_of_headers_is_read_in_time() -> None:
    # Looking through all of them for each name would exceed the time limit of a test.
    many = [(f"X-{number}", "") for number in range(30_000)]
    given = (*many, ("X-1", ""), ("Kore-Signature", HEX))
    assert claimed(*given) == (BY_WEBHOOK_SECRET, HEX, None, None)


def test_only_kores_signature_may_be_empty() -> None:
    assert claimed(("Kore-Signature", "")) == (BY_WEBHOOK_SECRET, "", None, None)
    assert rejected(("X-Twilio-Signature", "")).reason is Reason.MALFORMED_SIGNATURE
    assert rejected(("Kore-Signature", ""), ("Kore-Signature", "")).reason is (
        Reason.MALFORMED_SIGNATURE
    )
