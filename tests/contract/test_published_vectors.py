"""Signatures that the vendors published, and signatures that must not occur."""

import pytest

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.rendering import render
from ringback.core.policy.source_policy import Source
from ringback.core.sources.signature import sign_as_kore, sign_as_twilio
from tests.fakes import NOW, a_callback, an_account

# ---- KORE: docs.korewireless.com/developers/how-to/webhooks/validate-webhook-signatures

FORM = b"field1=value1&field2=value2"
JSON = b'{"field1":"value1","field2":"value2"}'
EVENT = (
    b'{"data":{"test_id":"88bf54a9-f2fb-40b6-8faf-e6c5a3c348d2"}'
    b',"id":"fff521c2-c7db-4b53-a5a0-c5d5d01f66ce"'
    b',"time":"2024-09-25T19:09:48.5842087+00:00"'
    b',"type":"com.kore.eventstreams.test.event"'
    b',"source":"kore-events"'
    b',"dataschema":"/schemas/test/1"'
    b',"specversion":"1.0"'
    b',"datacontenttype":"application/json"}'
)
V1 = "4fdba0cb1394cc8d17b8dabb04634aa9a951021a7b161f9c7a2186cd490b18b2"
V2 = "d21c555b37789cdb9433a85760d326f0c637d5c17676b8dc49918ec629c67d59"
V3 = "f562d3959f68b5a30fc7a63f8bbf40987f633575f4231ffceb4f76dd154ea3ce"
V4 = "ebada5751c4fea18becf9eea29f239fd3a62805e817bdc730a0c9fa589201592"


def signed_by_kore(secret: str, body: bytes, url: str = "https://testendpoint.com") -> str:
    return sign_as_kore("POST", CallbackUrl.parse(url).resource, body, secret=secret)


@pytest.mark.parametrize(
    ("secret", "body", "digest"),
    [
        pytest.param("secret12345", FORM, V1, id="V1"),
        pytest.param("a35974bdf1c769b8bb", JSON, V2, id="V2"),
        pytest.param("12345", FORM, V3, id="V3"),
        # Our copy of the page has its body and digest truncated: the body was completed from the
        # published test event, and of the digest the first four digits are KORE's.
        pytest.param("f4d430d03cff6f03e1", b"[" + EVENT + b"]", V4, id="V4"),
    ],
)
def test_kores_vectors_are_reproduced_digit_for_digit(
    secret: str, body: bytes, digest: str
) -> None:
    assert signed_by_kore(secret, body) == digest


@pytest.mark.parametrize(
    "url",
    [
        "https://testendpoint.com#cbs=kore",
        "https://testendpoint.com?foo1=bar1&foo2=bar2",
        "https://testendpoint.com?foo1=bar1&foo2=bar2#cbs=kore",
        "https://user:password@testendpoint.com",
    ],
)
def test_query_fragment_and_credentials_do_not_change_kores_vector(url: str) -> None:
    assert signed_by_kore("12345", FORM, url) == V3


def test_a_rendered_callback_has_kores_vector() -> None:
    callback = a_callback(
        url="https://testendpoint.com?foo1=bar1&foo2=bar2#cbs=kore",
        source=Source.KORE,
        body=FORM.decode(),
    )
    request = render(callback, account=an_account(kore_secret="12345"), at=NOW)
    assert ("Kore-Signature", V3) in request.headers


# Results of slightly different readings of the rule; the digests show that these are wrong.
@pytest.mark.parametrize(
    ("resource", "secret", "body", "digest", "right"),
    [
        pytest.param(
            "https://testendpoint.com",
            "a35974bdf1c769b8bb",
            b'{ "field1": "value1", "field2": "value2"}',
            "2fe284940984b4238d72ab0dc068eb2fe760fc1f2c045a835134ca045079207e",
            V2,
            id="V2 with the spaces that the page shows",
        ),
        pytest.param(
            "https://testendpoint.com",
            "f4d430d03cff6f03e1",
            EVENT,
            "395b7b0fc882f4c22d78a080cf062a3210587d17f5cf4561fdb56457ab451fe3",
            V4,
            id="V4 without the array",
        ),
        pytest.param(
            "https://testendpoint.com/",
            "f4d430d03cff6f03e1",
            b"[" + EVENT + b"]",
            "03b299090fddd0d9ee4d2af03b0a9d290df2b994c5d067288910877a63d6ab0b",
            V4,
            id="V4 with a slash",
        ),
        pytest.param(
            "https://testendpoint.com?foo1=bar1&foo2=bar2",
            "12345",
            FORM,
            "8e339e0a14da5f7b557b5826abbc5e7fc012a614cf80c226ca3fc93e0a68df34",
            V3,
            id="V3 with its query",
        ),
        pytest.param(
            "https://testendpoint.com#cbs=kore",
            "12345",
            FORM,
            "ac377f9bc34bd1422903e1edfa535298354970d28f5ba1d8a8c28b6f0ce617d8",
            V3,
            id="V3 with its fragment",
        ),
    ],
)
def test_another_input_has_another_signature(
    resource: str, secret: str, body: bytes, digest: str, right: str
) -> None:
    assert sign_as_kore("POST", resource, body, secret=secret) == digest != right


@pytest.mark.parametrize(
    ("url", "digest"),
    [
        # V3 with an HMAC, with the query, and with the fragment.
        (
            "https://testendpoint.com",
            "c3a04135f98cb297102fd4becaa3e076368be4e19517caa26306244ecc65b72c",
        ),
        (
            "https://testendpoint.com?foo1=bar1&foo2=bar2",
            "8e339e0a14da5f7b557b5826abbc5e7fc012a614cf80c226ca3fc93e0a68df34",
        ),
        (
            "https://testendpoint.com#cbs=kore",
            "ac377f9bc34bd1422903e1edfa535298354970d28f5ba1d8a8c28b6f0ce617d8",
        ),
    ],
)
def test_a_signature_by_a_wrong_reading_of_the_rule_is_never_sent(url: str, digest: str) -> None:
    account = an_account(kore_secret="12345")
    callback = a_callback(url=url, source=Source.KORE, body=FORM.decode())
    sent = dict(render(callback, account=account, at=NOW).headers)["Kore-Signature"]
    assert sent == V3 != digest


# Not published by KORE: these follow from its rule.
@pytest.mark.parametrize(
    ("method", "url", "body", "digest"),
    [
        (
            "GET",
            "https://testendpoint.com",
            b"",
            "f0d8662d391c9d2ba6321a5bfdf43299067dcfd20740abe2f0e7f4f7a1946321",
        ),
        (
            "POST",
            "https://testendpoint.com",
            b"",
            "0081befa28641f37cc3e383297b6b99239fd891907ec8194ca70ae9d5371adcd",
        ),
        (
            "POST",
            "https://testendpoint.com/webhooks/kore?x=1#cbs=kore",
            FORM,
            "d7711a0742a4df79ed566f359e2cba66bbd69b457692e34e0cc9652dae364d04",
        ),
    ],
)
def test_vectors_that_follow_from_kores_rule_are_reproduced(
    method: str, url: str, body: bytes, digest: str
) -> None:
    resource = CallbackUrl.parse(url).resource
    assert sign_as_kore(method, resource, body, secret="12345") == digest


def test_a_get_from_kore_is_signed_without_its_additional_parameters() -> None:
    callback = a_callback(
        url="https://testendpoint.com#cbs=kore", method=HttpMethod.GET, body=FORM.decode()
    )
    request = render(callback, account=an_account(kore_secret="12345"), at=NOW)
    assert dict(request.headers)["Kore-Signature"] == (
        "f0d8662d391c9d2ba6321a5bfdf43299067dcfd20740abe2f0e7f4f7a1946321"
    )


# ---- Twilio: tests of the `twilio` package, and vectors computed with its validator

CALL = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
    ("Caller", "+14158675309"),
]


@pytest.mark.parametrize(
    ("origin", "signature"),
    [
        ("https://mycompany.com", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        ("https://mycompany.com:443", "kvajT1Ptam85bY51eRf/AJRuM3w="),
        ("https://mycompany.com:1234", "CYn1h0gLBdNxDGkKJg6hYohgeD8="),
        ("http://mycompany.com", "OyGYPqTF6ztdbRNCvuQO/oPvqQ4="),
        ("http://mycompany.com:80", "0ZXoZLH/DfblKGATFgpif+LLRf4="),
        ("http://mycompany.com:1234", "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
    ],
)
def test_twilios_vectors_are_reproduced_letter_for_letter(origin: str, signature: str) -> None:
    url = CallbackUrl.parse(f"{origin}/myapp.php?foo=1&bar=2#cbs=twilio").wire
    assert sign_as_twilio(url, CALL, auth_token="12345") == signature


def test_twilios_vector_of_repeated_parameters_is_reproduced() -> None:
    form = [
        ("Sid", "CA123"),
        ("SidAccount", "AC123"),
        ("Digits", "5678"),
        ("Digits", "1234"),
        ("Digits", "1234"),
    ]
    signature = sign_as_twilio(
        "https://mycompany.com/myapp.php?foo=1&bar=2", form, auth_token="12345"
    )
    assert signature == "IK+Dwps556ElfBT0I3Rgjkr1wJU="


def test_twilios_vector_of_a_url_with_all_parts_is_reproduced() -> None:
    url = (
        "https://mycompany.com/myapp.php?foo=1&bar=2"
        "&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
    )
    assert sign_as_twilio(url, auth_token="12345") == "a9nBmqA0ju/hNViExpshrM61xv4="


def test_the_vector_of_a_captured_super_sim_callback_is_reproduced() -> None:
    form = [
        ("Status", "received"),
        ("ApiVersion", "v1"),
        ("Command", "Hello;1234;testing@!#"),
        ("SimUniqueName", "project"),
        ("Payload", "Hello;1234;testing@!#"),
        ("SimSid", "HS" + "a" * 32),
        ("Direction", "from_sim"),
        ("CommandSid", "HC" + "a" * 32),
        ("AccountSid", "AC" + "a" * 32),
        ("PayloadType", "text"),
    ]
    signature = sign_as_twilio("https://example.com/hook", form, auth_token="12345")
    assert signature == "dEL/EOzw0/KHq06Dmy6J8Yw5iLA="


def test_a_rendered_callback_has_twilios_vector() -> None:
    callback = a_callback(
        url="https://mycompany.com/myapp.php?foo=1&bar=2",
        source=Source.TWILIO,
        body="CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212"
        "&Caller=%2B14158675309",
    )
    request = render(callback, account=an_account(auth_token="12345"), at=NOW)
    assert ("X-Twilio-Signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8=") in request.headers
