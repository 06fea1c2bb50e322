import hashlib
import hmac

import pytest

from ringback.core.sources.signature import (
    BODY_HASH,
    body_hash,
    hash_before_body,
    sign_as_kore,
    sign_as_standard_webhooks,
    sign_as_twilio,
    sign_by_hmac_sha256,
)

# Published vectors are in tests/contract/test_published_vectors.py.

URL = "https://mycompany.com/myapp.php?foo=1&bar=2"


def twilio(*parameters: tuple[str, str], url: str = URL, auth_token: str = "12345") -> str:
    return sign_as_twilio(url, parameters, auth_token=auth_token)


def test_twilio_sorts_the_parameters_by_name() -> None:
    assert twilio(("B", "2"), ("A", "1")) == twilio(("A", "1"), ("B", "2"))


def test_twilio_sorts_names_by_code_point_so_capitals_come_first() -> None:
    assert twilio(("a", "1"), ("B", "2")) == twilio(url=f"{URL}B2a1")


def test_twilio_sorts_the_values_of_a_repeated_name_and_drops_repetitions() -> None:
    repeated = twilio(("Digits", "5678"), ("Digits", "1234"), ("Digits", "1234"))
    assert repeated == twilio(url=f"{URL}Digits1234Digits5678")


def test_twilio_joins_names_and_decoded_values() -> None:
    assert twilio(("Payload", "Hello; ä")) == twilio(url=f"{URL}PayloadHello; ä")


def test_twilio_signs_only_the_name_of_an_empty_value() -> None:
    assert twilio(("Empty", "")) == twilio(url=f"{URL}Empty")


@pytest.mark.parametrize(
    ("url", "auth_token"),
    [
        ("https://mycompany.com/myapp.php?bar=2&foo=1", "12345"),
        ("https://mycompany.com/myapp.php", "12345"),
        ("https://mycompany.com:443/myapp.php?foo=1&bar=2", "12345"),
        ("http://mycompany.com/myapp.php?foo=1&bar=2", "12345"),
        ("https://MyCompany.com/myapp.php?foo=1&bar=2", "12345"),
        (URL, "12346"),
    ],
)
def test_twilio_signs_every_character_of_the_url_with_the_token(url: str, auth_token: str) -> None:
    assert twilio(url=url, auth_token=auth_token) != twilio()


def test_a_twilio_signature_is_base64_of_20_bytes() -> None:
    assert (len(twilio()), twilio()[-1]) == (28, "=")


def test_kore_joins_secret_method_resource_and_body() -> None:
    # printf 'sPOSThttp://ab' | sha256sum
    expected = "c4fe7329cf9a4236dd047285d6d1d1c2443552a625ceceeb6bccfb2155cddffa"
    assert sign_as_kore("POST", "http://a", b"b", secret="s") == expected


def test_kore_puts_nothing_between_the_parts() -> None:
    assert sign_as_kore("POST", "http://a", b"b", secret="s") == sign_as_kore(
        "", "POSThttp://ab", b"", secret="s"
    )


def test_kore_does_not_sort_the_body() -> None:
    in_order = sign_as_kore("POST", "http://a", b"a=1&b=2", secret="s")
    assert in_order != sign_as_kore("POST", "http://a", b"b=2&a=1", secret="s")


def test_kore_signs_the_raw_body_even_if_it_is_binary() -> None:
    assert len(sign_as_kore("POST", "http://a", b"\xff\x00", secret="s")) == 64


def test_kore_reads_the_secret_as_utf_8() -> None:
    # printf 'äGEThttp://a' | sha256sum
    expected = "b132b20840d0006f8e376072360a805559d74beefb563d5693047e0c6e09ee3d"
    assert sign_as_kore("GET", "http://a", secret="ä") == expected


def test_copies_of_kores_hash_before_the_body_sign_many_bodies() -> None:
    before_body = hash_before_body("POST", "http://a", secret="s")
    for body in (b"a=1", b"", b"\xff\x00"):
        signed = before_body.copy()
        signed.update(body)
        assert signed.hexdigest() == sign_as_kore("POST", "http://a", body, secret="s")


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_without_a_secret_the_kore_signature_is_empty(method: str) -> None:
    assert sign_as_kore(method, "http://a", b"b", secret="") == ""


# ---- Standard Webhooks, and a plain HMAC ---------------------------------------------------------


@pytest.mark.parametrize("secret", ["12345", "whsec_MTIzNDU=", "whsec_MTIzNDU"])
def test_a_standard_webhooks_secret_is_base64_after_its_prefix_or_the_key_itself(
    secret: str,
) -> None:
    # By openssl: HMAC-SHA256 of `msg_1.1614265330.{}` with the key 12345.
    signature = sign_as_standard_webhooks("msg_1", 1614265330, b"{}", secret=secret)
    assert signature == "v1,1q0CuRN7WHFt/0BKCtxGxLpn19d+WLP9x43ktq4w4J4="


def test_a_standard_webhooks_signature_covers_id_time_and_body() -> None:
    signed = [("msg_1", 1, b"a"), ("msg_2", 1, b"a"), ("msg_1", 2, b"a"), ("msg_1", 1, b"b")]
    signatures = {
        sign_as_standard_webhooks(token, at, body, secret="12345") for token, at, body in signed
    }
    assert len(signatures) == len(signed)


def test_a_plain_hmac_is_that_of_github() -> None:
    # docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
    signature = sign_by_hmac_sha256(b"Hello, World!", secret="It's a Secret to Everybody")
    assert signature == "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


@pytest.mark.parametrize("length", [1, 63, 64, 65, 200])
def test_an_hmac_is_that_of_the_standard_library_for_keys_of_any_length(length: int) -> None:
    secret = "k" * length
    expected = hmac.new(secret.encode(), b"Hello", "sha256").hexdigest()
    assert sign_by_hmac_sha256(b"Hello", secret=secret) == expected


def test_without_a_secret_either_signature_is_empty() -> None:
    assert sign_as_standard_webhooks("msg_1", 1, b"a", secret="") == ""
    assert sign_by_hmac_sha256(b"a", secret="") == ""


def test_the_hash_of_a_body_is_its_sha_256() -> None:
    assert body_hash(b"[{}]") == hashlib.sha256(b"[{}]").hexdigest()
    assert BODY_HASH == "bodySHA256"
