import hmac
from hashlib import sha256
from random import Random

from hypothesis import assume, given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.sources.signature import sign_as_kore, sign_as_twilio, sign_by_hmac_sha256
from tests.properties.strategies import any_text, parameters, urls


class Form:
    """A form as web frameworks pass it to Twilio's validator: names, each with its values."""

    def __init__(self, parameters: list[tuple[str, str]]) -> None:
        self._parameters = parameters

    def __iter__(self):
        return iter(name for name, _ in self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def getall(self, wanted: str) -> list[str]:
        return [value for name, value in self._parameters if name == wanted]


@given(urls().map(CallbackUrl.parse), parameters, any_text)
def test_twilios_signature_matches_its_own_validator(
    url: CallbackUrl, form: list[tuple[str, str]], auth_token: str
) -> None:
    expected = RequestValidator(auth_token).compute_signature(url.wire, Form(form))
    assert sign_as_twilio(url.wire, form, auth_token=auth_token) == expected


@given(parameters, st.randoms(use_true_random=False))
def test_the_order_of_the_parameters_does_not_matter_for_twilio(
    form: list[tuple[str, str]], random: Random
) -> None:
    shuffled = random.sample(form, len(form))
    url = "http://a.example/"
    assert sign_as_twilio(url, shuffled, auth_token="t") == sign_as_twilio(
        url, form, auth_token="t"
    )


@given(
    urls(queries=st.just("")).filter(lambda url: "#" not in url),
    st.sampled_from(["", "?", "?foo=bar", "?a=1&b=%20"]),
    st.sampled_from(["", "#", "#cbs=kore", "#cbs=twilio&rc=2", "#foo"]),
    st.binary(),
    any_text,
)
def test_neither_query_nor_fragment_changes_kores_signature(
    plain: str, query: str, fragment: str, body: bytes, secret: str
) -> None:
    signatures = {
        sign_as_kore("POST", CallbackUrl.parse(url).resource, body, secret=secret)
        for url in (plain, f"{plain}{query}{fragment}")
    }
    assert len(signatures) == 1


@given(st.binary(), st.binary(), any_text)
def test_kore_signs_the_body_with_the_secret(body: bytes, other: bytes, secret: str) -> None:
    assume(secret)
    assume(body != other)
    url = "http://a.example/"
    assert sign_as_kore("POST", url, body, secret=secret) != sign_as_kore(
        "POST", url, other, secret=secret
    )


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=200), st.binary(), st.binary())
def test_a_plain_hmac_is_that_of_the_standard_library_each_time(
    secret: str, first: bytes, second: bytes
) -> None:
    for body in (first, second):
        expected = hmac.digest(secret.encode(), body, "sha256").hex()
        assert sign_by_hmac_sha256(body, secret=secret) == expected


@given(st.lists(st.tuples(any_text, st.sampled_from(["POST", "GET"]), st.binary()), max_size=5))
def test_kores_signature_depends_on_each_request_alone(
    requests: list[tuple[str, str, bytes]],
) -> None:
    for secret, method, body in requests:
        hashed = sha256(f"{secret}{method}http://a.example/p".encode() + body).hexdigest()
        signature = sign_as_kore(method, "http://a.example/p", body, secret=secret)
        assert signature == (hashed if secret else "")
