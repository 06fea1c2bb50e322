"""Sources that a settings file adds: how they are read, and which are refused."""

import tomllib
from pathlib import Path

import pytest

from ringback.core.errors import ConfigurationError
from ringback.core.http.egress_routes import Direct
from ringback.core.policy.source_policy import Source
from ringback.core.sources.body_encoding import BodyEncoding
from ringback.core.sources.source_definition import BUILT_IN
from ringback.core.sources.source_table import read_source_table
from ringback.settings.load import load
from ringback.settings.setting_definitions import ServerCommand
from ringback.settings.settings import Settings

ACME = """\
[sources.acme]
signature = "hmac-sha256"
token = "evt_{hex}"
headers = ["User-Agent: Acme/1.0", "X-Id: {token}", "X-Signature: sha256={signature}"]
"""


def loaded(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "ringback.toml"
    path.write_text(text)
    return load({"settings": str(path)}, {}, command=ServerCommand.SERVE)


def refusal_of(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigurationError) as refused:
        loaded(tmp_path, text)
    return str(refused.value).removeprefix(str(tmp_path / "ringback.toml"))


def test_without_custom_sources_there_are_the_two_of_the_notice(tmp_path: Path) -> None:
    assert loaded(tmp_path, "").sources == BUILT_IN
    assert list(BUILT_IN) == [Source.TWILIO, Source.KORE]


def test_a_source_is_read_from_its_table(tmp_path: Path) -> None:
    sources = loaded(tmp_path, ACME).sources
    assert list(sources) == ["twilio", "kore", "acme"]
    table = tomllib.loads(ACME)["sources"]["acme"]
    assert sources["acme"] == read_source_table("acme", table)
    assert sources["acme"].content_type == BUILT_IN[Source.KORE].content_type


def test_a_source_may_have_its_own_content_type_and_egress(tmp_path: Path) -> None:
    text = ACME + 'content_type = "application/x-form"\negress = "192.0.2.7"\n'
    settings = loaded(tmp_path, text)
    assert settings.sources["acme"].content_type == "application/x-form"
    assert settings.egresses.by_source["acme"] == Direct(("192.0.2.7",))


def test_a_source_may_send_json(tmp_path: Path) -> None:
    text = ACME + 'body_encoding = "json"\n'
    acme = loaded(tmp_path, text).sources["acme"]
    assert acme.body_encoding is BodyEncoding.JSON
    assert acme.content_type == "application/json; charset=utf-8"
    own = loaded(tmp_path, text + 'content_type = "application/vnd.acme+json"\n').sources["acme"]
    assert own.content_type == "application/vnd.acme+json"
    assert loaded(tmp_path, ACME).sources["acme"].body_encoding is BodyEncoding.FORM


def test_a_signature_of_form_parameters_needs_a_form(tmp_path: Path) -> None:
    text = ACME.replace("hmac-sha256", "twilio", 1) + 'body_encoding = "json"\n'
    assert refusal_of(tmp_path, text).startswith(
        ":5: the signature scheme twilio signs the parameters of a form, and not the body; with"
        " json, choose another scheme"
    )


def test_the_policy_may_use_a_custom_source(tmp_path: Path) -> None:
    phase = '[[phases]]\nname = "only"\ndefault = "acme"\nmay_ask = ["acme", "kore"]\n'
    (only,) = loaded(tmp_path, ACME + phase).policy.phases
    assert (only.default, only.may_ask) == ("acme", {"acme", "kore"})


def test_an_undefined_source_is_refused_in_a_phase(tmp_path: Path) -> None:
    phase = '[[phases]]\nname = "only"\ndefault = "emca"\nmay_ask = ["acme"]\n'
    assert refusal_of(tmp_path, ACME + phase).startswith(
        ":7: default: 'emca' is not a source; it must be twilio, kore or acme"
    )


@pytest.mark.parametrize(
    ("right", "wrong", "why"),
    [
        ("[sources.acme]", "[sources.kore]", ":1: kore is built in, and can't be changed"),
        (
            "[sources.acme]",
            "[sources.'A b']",
            ":1: the name 'A b' can't be used in a URL; use lower",
        ),
        ("[sources.acme]", "[sources]", ":2: a source is written as [sources.signature]"),
        ("[sources.acme]", "sources = 1\n[egress]", ":1: sources are written as [sources.NAME]"),
        (
            '"hmac-sha256"',
            '"md5"',
            ":2: 'md5' is not a signature scheme; the schemes are twilio, kore",
        ),
        ('"hmac-sha256"', "['kore']", ":2: signature = ['kore'] must be text in quotes"),
        (
            "signature =",
            "signatures =",
            ":2: signatures is not a known key; a source has signature",
        ),
        ('signature = "hmac-sha256"\n', "", ":1: signature is missing; a source has signature"),
        ('"evt_{hex}"', '"evt"', ":3: 'evt' is not a token format; it must be like"),
        ('"evt_{hex}"', "7", ":3: token = 7 must be text in quotes"),
        ("X-Id: {token}", "X-Id: 7", ":4: no header contains {token}; add one that does"),
        ("sha256={signature}", "none", ":4: no header contains {signature}; add one that does"),
        (
            "User-Agent: Acme/1.0",
            "User-Agent",
            ":4: 'User-Agent' is not a valid header; it must be like",
        ),
        ("User-Agent: Acme/1.0", "x-id: 7", ":4: the header x-id is given twice; give it once"),
    ],
)
def test_an_unusable_source_is_refused_by_its_line(
    tmp_path: Path, right: str, wrong: str, why: str
) -> None:
    assert refusal_of(tmp_path, ACME.replace(right, wrong, 1)).startswith(why)


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        (
            "body_encoding",
            '"xml"',
            ":5: 'xml' is not an encoding of bodies; the encodings are form and json",
        ),
        (
            "content_type",
            "'é'",
            ":5: 'é' is not a content type; write it like application/x-www-form-urlencoded",
        ),
        ("content_type", "7", ":5: content_type = 7 must be text in quotes"),
        (
            "headers",
            "7",
            ':4: headers must be a list of texts, each like "User-Agent: Example/1.0"',
        ),
        ("egress", "'x'", ":5: 'x' is not a valid egress; it must be the word `any`"),
        ("egress", "'http://user:hush@x'", ":5: 'http://***@x' can't be used as an egress"),
    ],
)
def test_an_impossible_value_is_refused_without_showing_secrets(
    tmp_path: Path, key: str, value: str, why: str
) -> None:
    given = f"{key} = {value}\n"
    text = ACME + given if key != "headers" else ACME.rpartition("headers")[0] + given
    refusal = refusal_of(tmp_path, text)
    assert refusal.startswith(why)
    assert "hush" not in refusal
