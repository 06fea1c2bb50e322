"""A source that a table defines, and the tables that define none.

tests/unit/settings/test_callback_sources.py reads the same tables from a settings file.
"""

from typing import Any, Final

import pytest

from ringback.core.errors import ConfigurationError
from ringback.core.sources.body_encoding import BodyEncoding
from ringback.core.sources.idempotency_tokens import IdempotencyTokenFormat
from ringback.core.sources.source_definition import SIGNATURE_SCHEMES
from ringback.core.sources.source_table import read_source_table
from ringback.core.toml_table import TomlTableError

ACME: Final[dict[str, Any]] = {
    "signature": "hmac-sha256",
    "token": "evt_{hex}",
    "headers": ["User-Agent: Acme/1.0", "X-Id: {token}", "X-Signature: sha256={signature}"],
}


def test_a_source_consists_of_headers_a_signature_and_tokens() -> None:
    acme = read_source_table("acme", {**ACME, "content_type": "application/x-form", "egress": "x"})
    assert acme.signature is SIGNATURE_SCHEMES["hmac-sha256"]
    assert acme.token == IdempotencyTokenFormat("evt_")
    assert [header.name for header in acme.headers] == [
        "Host",
        "User-Agent",
        "X-Id",
        "X-Signature",
        "Content-Length",
        "Content-Type",
        "Authorization",
    ]
    assert acme.content_type == "application/x-form"


def test_a_header_that_the_source_lists_itself_keeps_its_place() -> None:
    own = ["host: {host}", *ACME["headers"]]
    headers = read_source_table("acme", {**ACME, "headers": own}).headers
    assert [header.name for header in headers][:2] == ["host", "User-Agent"]


def test_the_encoding_of_bodies_decides_the_content_type_unless_one_is_given() -> None:
    as_json = {**ACME, "body_encoding": "json"}
    acme = read_source_table("acme", as_json)
    assert acme.body_encoding is BodyEncoding.JSON
    assert acme.content_type == "application/json; charset=utf-8"
    own = {**as_json, "content_type": "application/vnd.acme+json"}
    assert read_source_table("acme", own).content_type == "application/vnd.acme+json"
    as_form = {**ACME, "body_encoding": "form"}
    assert read_source_table("acme", as_form) == read_source_table("acme", ACME)


def test_a_signature_of_form_parameters_needs_a_form() -> None:
    of_form = {**ACME, "signature": "twilio", "body_encoding": "json"}
    with pytest.raises(TomlTableError, match="signs the parameters of a form") as refused:
        read_source_table("acme", of_form)
    assert refused.value.key == "body_encoding"


@pytest.mark.parametrize(("name", "why"), [("kore", "kore is built in"), ("A b", "can't be used")])
def test_a_name_that_cannot_be_used_is_refused(name: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        read_source_table(name, ACME)


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("signature", "md5", "'md5' is not a signature scheme; the schemes are twilio, kore"),
        ("token", "evt", "'evt' is not a token format"),
        ("headers", 7, "headers must be a list of texts"),
        ("headers", ["X: {token}"], "no header contains {signature}; add one"),
        ("headers", ["X: {signature}"], "no header contains {token}; add one"),
        ("headers", ["X: {token}", "x: {signature}"], "the header x is given twice"),
        ("headers", ["X"], "'X' is not a valid header"),
        ("content_type", "é", "'é' is not a content type"),
        ("body_encoding", "xml", "'xml' is not an encoding of bodies; the encodings are form and"),
        ("colour", "red", "colour is not a known key"),
    ],
)
def test_a_wrong_value_is_refused_by_its_key(key: str, value: object, why: str) -> None:
    with pytest.raises(TomlTableError, match=why) as refused:
        read_source_table("acme", {**ACME, key: value})
    assert refused.value.key == key
