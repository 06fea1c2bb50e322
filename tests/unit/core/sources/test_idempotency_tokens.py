from uuid import RFC_4122, UUID

import pytest

from ringback.core.sources.idempotency_tokens import (
    KORE_TOKEN,
    TWILIO_TOKEN,
    IdempotencyTokenFormat,
    is_token,
)

NOTICE_TWILIO = "ba8db584-d0ca-4379-3749-a4e21471a62e"
NOTICE_KORE = "RQa48ec9b6ef475034c35566c02b654243"
NOTHING_BUT_ZEROS = f"RQ{'0' * 32}"


def test_a_kore_token_is_rq_and_32_hex_digits() -> None:
    random_bytes = bytes.fromhex("a48ec9b6ef475034c35566c02b654243")
    assert KORE_TOKEN.make(random_bytes) == NOTICE_KORE


def test_a_twilio_token_is_a_random_uuid_of_36_characters() -> None:
    token = TWILIO_TOKEN.make(b"\xff" * 16)
    assert token == "ffffffff-ffff-4fff-bfff-ffffffffffff"
    assert (UUID(token).version, UUID(token).variant) == (4, RFC_4122)


@pytest.mark.parametrize("scheme", [TWILIO_TOKEN, KORE_TOKEN])
@pytest.mark.parametrize("count", [0, 15, 17])
def test_a_token_needs_16_bytes(scheme: IdempotencyTokenFormat, count: int) -> None:
    with pytest.raises(
        ValueError, match=f"{count} random bytes are given; a token needs exactly 16"
    ):
        scheme.make(bytes(count))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (NOTICE_TWILIO, True),
        (NOTICE_KORE, True),
        ("x", True),
        ("x" * 256, True),
        ("ä" * 256, True),
        ("a.b:c d", True),
        ("", False),
        ("x" * 257, False),
        (NOTICE_TWILIO + "\n", False),
        (NOTICE_KORE + "\0", False),
        ("\udc80", False),
    ],
)
def test_any_printable_text_of_1_to_256_characters_can_be_a_token(
    text: str, *, expected: bool
) -> None:
    assert is_token(text) is expected


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("{uuid}", "00000000-0000-4000-8000-000000000000"),
        ("RQ{hex}", NOTHING_BUT_ZEROS),
        ("msg_{uuid}", "msg_00000000-0000-4000-8000-000000000000"),
    ],
)
def test_a_custom_token_is_a_prefix_and_random_characters(text: str, token: str) -> None:
    assert IdempotencyTokenFormat.parse(text).make(bytes(16)) == token


@pytest.mark.parametrize("text", ["", "msg_", "{hex}{hex}", "{nanoid}", "a b{hex}", "{hex}\n"])
def test_an_invalid_form_of_a_token_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a token format"):
        IdempotencyTokenFormat.parse(text)
