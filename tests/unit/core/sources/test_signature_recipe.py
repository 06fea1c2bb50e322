"""Each recipe leads to the signature, for a reader who follows its steps and knows the secret."""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence

import pytest

from ringback.core.sources.signature import (
    sign_as_kore,
    sign_as_standard_webhooks,
    sign_as_twilio,
    sign_by_hmac_sha256,
)
from ringback.core.sources.signature_recipe import (
    SignatureRecipe,
    SigningSecret,
    hmac_sha256_recipe,
    kore_recipe,
    standard_webhooks_recipe,
    twilio_recipe,
)

SECRET = "made up"
URL = "https://a.example/p?x=1"
RESOURCE = "https://a.example/p"
FORM = [("SimStatus", "active"), ("Payload", "é & 1"), ("ApiVersion", "v1")]
BODY = "SimStatus=active&Payload=%C3%A9+%26+1&ApiVersion=v1"

_HASH = re.compile(
    r"(?P<hmac>HMAC-)?SHA-?(?P<bits>1|256) of (?P<parts>\d( \+ \d)*)( run together)?"
    r"(, with the (?P<secret>.*?) as the key.*)?(?P<hex>, in lower-case hex, 64 characters)?"
)
_ENCODING = re.compile(
    r"The result of (?P<part>\d) in (?P<form>Base64|lower-case hex)(, (?P<length>\d+) characters)?"
    r"(, with (?P<front>\S+) in front)?"
)


def follow(recipe: SignatureRecipe, secret: str = SECRET) -> str:
    """Do what the steps say, in their own words, and return the result of the last one."""
    done: list[bytes] = []
    for step in recipe.steps:
        if found := _HASH.fullmatch(step.text):
            parts = b"".join(done[int(number) - 1] for number in found["parts"].split(" + "))
            digest = f"sha{found['bits']}"
            if found["hmac"]:
                assert step.secret == found["secret"]
                done.append(hmac.digest(secret.encode(), parts, digest))
            else:
                done.append(hashlib.new(digest, parts).digest())
            if found["hex"]:
                done[-1] = done[-1].hex().encode()
        elif found := _ENCODING.fullmatch(step.text):
            raw = done[int(found["part"]) - 1]
            text = (
                raw.hex() if found["form"] == "lower-case hex" else base64.b64encode(raw).decode()
            )
            assert found["length"] in (None, str(len(text)))
            done.append(((found["front"] or "") + text).encode())
        elif step.secret is not None:
            assert step.value is None
            done.append(secret.encode())
        else:
            assert step.value is not None
            done.append(step.value.encode())
    return done[-1].decode()


@pytest.mark.parametrize("form", [FORM, (), [*FORM, *FORM]], ids=["a form", "no form", "repeated"])
def test_twilios_recipe_leads_to_its_signature(form: Sequence[tuple[str, str]]) -> None:
    signature = sign_as_twilio(URL, form, auth_token=SECRET)
    recipe = twilio_recipe(URL, form, signature)
    assert follow(recipe) == recipe.steps[-1].value == signature
    assert SECRET not in str(recipe)


def test_twilios_recipe_says_that_a_repeated_pair_counts_once() -> None:
    once, twice = (twilio_recipe(URL, form, None).steps[1] for form in (FORM, [*FORM, FORM[0]]))
    assert once.value == twice.value
    assert twice.text == f"{once.text}; a pair that repeats counts once"


@pytest.mark.parametrize(("method", "body"), [("POST", BODY), ("GET", "")])
def test_kores_recipe_leads_to_its_signature(method: str, body: str) -> None:
    signature = sign_as_kore(method, RESOURCE, body.encode(), secret=SECRET)
    recipe = kore_recipe(method, RESOURCE, body, signature)
    assert follow(recipe) == recipe.steps[-1].value == signature
    assert SECRET not in str(recipe)


def test_the_recipe_of_standard_webhooks_leads_to_its_signature() -> None:
    signature = sign_as_standard_webhooks("msg_1", 1614265330, BODY.encode(), secret=SECRET)
    recipe = standard_webhooks_recipe("msg_1", 1614265330, BODY, signature)
    assert follow(recipe) == recipe.steps[-1].value == signature


def test_the_recipe_of_standard_webhooks_omits_values_unknown_before_sending() -> None:
    recipe = standard_webhooks_recipe(None, None, BODY, None)
    assert [step.value for step in recipe.steps] == [None, None, BODY, None, None]
    assert [step.secret for step in recipe.steps] == [None] * 3 + [SigningSecret.WEBHOOK, None]


def test_the_recipe_of_an_hmac_leads_to_its_signature() -> None:
    signature = sign_by_hmac_sha256(BODY.encode(), secret=SECRET)
    recipe = hmac_sha256_recipe(BODY, signature)
    assert follow(recipe) == recipe.steps[-1].value == signature
