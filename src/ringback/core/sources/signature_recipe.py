"""Describes how each signature is computed, as a recipe: a list of steps that people can follow.

Each recipe describes one function of `signature`. It names secrets, but never contains their
values.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple


class SigningSecret(StrEnum):
    """The kinds of secret that sign callbacks; each value is the kind's name in prose."""

    ACCOUNT = "Auth Token"
    WEBHOOK = "webhook secret"


class RecipeStep(NamedTuple):
    """One step of a recipe: a part of the request to use, or a calculation from earlier steps."""

    text: str
    """A description of the step for people; it names earlier steps by their numbers, from 1."""
    value: str | None = None
    """The text that is used or calculated; None if it is secret or not known yet."""
    secret: SigningSecret | None = None
    """The secret that the step uses; None if it uses no secret."""


class SignatureRecipe(NamedTuple):
    """A recipe: the steps, in order, that turn the parts of a request into its signature."""

    algorithm: str
    """The algorithm in a few words, as a title."""
    steps: tuple[RecipeStep, ...]
    """The steps; the last one results in the signature."""


def twilio_recipe(
    url: str, parameters: Sequence[tuple[str, str]], signature: str | None
) -> SignatureRecipe:
    """Return the steps by which `sign_as_twilio` computes a signature.

    `parameters` are those in the body of a POST; a GET has none.
    """
    pairs = sorted(set(parameters))
    parts = [RecipeStep("The URL, with its query and without its fragment", url)]
    if pairs:
        once = "; a pair that repeats counts once" if len(pairs) < len(parameters) else ""
        parts.append(
            RecipeStep(
                "Each parameter of the body, sorted by name: its name and its decoded value,"
                f" with nothing between them{once}",
                "".join(name + value for name, value in pairs),
            )
        )
    return SignatureRecipe(
        "HMAC-SHA1, in Base64",
        (
            *parts,
            _hmac("SHA1", parts, secret=SigningSecret.ACCOUNT),
            RecipeStep(f"The result of {len(parts) + 1} in Base64, 28 characters", signature),
        ),
    )


def kore_recipe(method: str, resource: str, body: str, signature: str | None) -> SignatureRecipe:
    """Return the steps by which `sign_as_kore` computes a signature."""
    parts = [
        RecipeStep("The webhook secret", secret=SigningSecret.WEBHOOK),
        RecipeStep("The method", method),
        RecipeStep("The URL, without its query and its fragment", resource),
        _body(body),
    ]
    return SignatureRecipe(
        "SHA-256, in hex",
        (
            *parts,
            RecipeStep(f"SHA-256 of {_sum(parts)}, in lower-case hex, 64 characters", signature),
        ),
    )


def standard_webhooks_recipe(
    token: str | None, timestamp: int | None, body: str, signature: str | None
) -> SignatureRecipe:
    """Return the steps by which `sign_as_standard_webhooks` computes a signature.

    Token, timestamp and signature are None if they are not known before sending.
    """
    parts = [
        RecipeStep("The idempotency token and a dot", None if token is None else f"{token}."),
        RecipeStep(
            "The time of sending in seconds since 1970 and a dot",
            None if timestamp is None else f"{timestamp}.",
        ),
        _body(body),
    ]
    decoded = " (if that begins with whsec_: the rest of it, decoded from Base64)"
    return SignatureRecipe(
        "HMAC-SHA256, in Base64",
        (
            *parts,
            _hmac("SHA256", parts, secret=SigningSecret.WEBHOOK, more=decoded),
            RecipeStep("The result of 4 in Base64, with v1, in front", signature),
        ),
    )


def hmac_sha256_recipe(body: str, signature: str | None) -> SignatureRecipe:
    """Return the steps by which `sign_by_hmac_sha256` computes a signature."""
    parts = [_body(body)]
    return SignatureRecipe(
        "HMAC-SHA256, in hex",
        (
            *parts,
            _hmac("SHA256", parts, secret=SigningSecret.WEBHOOK),
            RecipeStep("The result of 2 in lower-case hex, 64 characters", signature),
        ),
    )


def _body(body: str) -> RecipeStep:
    return RecipeStep("The body, byte for byte: not sorted, not decoded", body)


def _hmac(
    digest: str, parts: Sequence[RecipeStep], *, secret: SigningSecret, more: str = ""
) -> RecipeStep:
    text = f"HMAC-{digest} of {_sum(parts)}, with the {secret} as the key{more}"
    return RecipeStep(text, secret=secret)


def _sum(parts: Sequence[RecipeStep]) -> str:
    """Return a phrase that says to concatenate the texts of these steps; it gives their numbers.

    >>> _sum([RecipeStep("a"), RecipeStep("b")])
    '1 + 2 run together'
    """
    numbers = " + ".join(str(number) for number in range(1, len(parts) + 1))
    return f"{numbers} run together" if len(parts) > 1 else numbers
