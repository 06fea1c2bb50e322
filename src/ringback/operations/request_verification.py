"""Checks the signature of a request that was sent, as its receiver does."""

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from enum import StrEnum

from ringback.core.accounts.account import Account
from ringback.core.accounts.webhook_secret import WebhookSecretStatus
from ringback.core.callbacks.callback import FORGED, Attempt, CallbackRecord
from ringback.core.errors import Conflict
from ringback.core.http.http_exchange import SentRequestRecord
from ringback.core.policy.source_policy import Source
from ringback.core.sources.source_definition import CallbackSourceDefinition, Sources
from ringback.core.streams.kinesis_stream import SCHEME
from ringback.operations.accounts import fetch_account
from ringback.operations.lookups import fetch_callback
from ringback.ports import Transaction
from ringback.receiver.verification.called_url import CalledUrlSpellings
from ringback.receiver.verification.received_request import ReceivedRequest
from ringback.receiver.verification.settings_sources import AcceptedSource
from ringback.receiver.verification.signature_candidates import ReceiverSecrets
from ringback.receiver.verification.verdict import Reason, Rejected, Verdict, Verified
from ringback.receiver.verification.verify import check, explain, find_fault


class AccountSecretKind(StrEnum):
    """The kinds of secrets of an account that sign callbacks."""

    AUTH_TOKEN = "auth_token"  # noqa: S105 (a name, not a secret)
    WEBHOOK_SECRET = "webhook_secret"  # noqa: S105 (a name, not a secret)


@dataclass(frozen=True, slots=True)
class NamedAccountSecret:
    """A secret of an account, by its name."""

    kind: AccountSecretKind
    name: str
    """The name of a webhook secret; `primary` or `secondary` for an Auth Token."""
    id: str | None
    """The id of a webhook secret; None for an Auth Token."""
    value: str = field(repr=False)
    _: KW_ONLY
    is_active: bool
    """True if it signs the account's callbacks now."""
    changed: datetime | None = None
    """When a webhook secret was changed last; None for an Auth Token, for which it isn't known."""


@dataclass(frozen=True, slots=True)
class RequestVerification:
    """What a receiver with the account's active secret makes of the last request of a callback."""

    callback: CallbackRecord
    attempt: Attempt
    url: str | None
    """The URL as the signature covers it; None if it does not cover the URL."""
    header: str | None
    """The header with the signature; None if the source has none."""
    secret: NamedAccountSecret | None
    """The secret of the account that signed the request; None if none of those that it has did."""
    verdict: Verdict
    secret_changed: datetime | None
    """When the secret that signs now was changed, if that was after the request was sent."""


def verify_last_request(
    tx: Transaction, account_sid: str, sid: str, sources: Sources
) -> RequestVerification:
    """Verify the request that was last sent for a callback.

    Raises NotFound if the account doesn't have the callback, and Conflict if no request was sent
    for it yet, if its source is not defined any more, or if it went to a Kinesis stream, unsigned.
    """
    callback = fetch_callback(tx, account_sid, sid)
    definition = sources.get(callback.source)
    if definition is None:
        raise Conflict(
            f"{sid} came from the source {callback.source!r}, which the settings no longer define"
        )
    if callback.url.scheme == SCHEME:
        raise Conflict(f"{sid} is a record of a Kinesis stream, which has no signature to verify")
    for attempt in reversed(tx.callbacks.attempts(sid)):
        if attempt.request is not None:
            account = fetch_account(tx, callback.account_sid)
            return _verify(callback, attempt, attempt.request, definition, account)
    raise Conflict(f"{sid} has no request to verify: none was sent yet, or it is not kept any more")


def _verify(
    callback: CallbackRecord,
    attempt: Attempt,
    sent: SentRequestRecord,
    definition: CallbackSourceDefinition,
    account: Account,
) -> RequestVerification:
    scheme = definition.signature
    secrets = list(_secrets_of(account, definition))
    verdicts = [_check(callback, sent, definition, one.value) for one in secrets]
    signed = (one for one, verdict in zip(secrets, verdicts, strict=True) if _is_right(verdict))
    signer, active = next(signed, None), next((one for one in secrets if one.is_active), None)
    changed = active and active.changed
    is_later = changed is not None and changed > attempt.date_started
    if signer is not None and signer.is_active:
        verdict: Verdict = Verified(callback.source, callback.idempotency_token)
    elif fault := _known_fault(callback, signer, is_changed_since=is_later):
        verdict = Rejected(*fault, callback.source)
    else:
        verdict = verdicts[0] if active else _check(callback, sent, definition, "")
    resource = sent.url if scheme.covers_query else sent.url.partition("?")[0]
    return RequestVerification(
        callback=callback,
        attempt=attempt,
        url=resource if scheme.covers_url else None,
        header=_signature_header(definition),
        secret=signer,
        verdict=verdict,
        secret_changed=changed if is_later else None,
    )


def _is_right(verdict: Verdict) -> bool:
    return isinstance(verdict, Verified)


def _known_fault(
    callback: CallbackRecord, signer: NamedAccountSecret | None, *, is_changed_since: bool
) -> tuple[Reason, str] | None:
    """Return why the active secret did not sign, if the sender knows; the receiver can't."""
    if signer is not None and signer.kind is AccountSecretKind.WEBHOOK_SECRET:
        return (
            Reason.PENDING_SECRET,
            f"it was signed with the pending webhook secret {signer.name!r}, which receivers need"
            " not accept yet",
        )
    if callback.secret_id == FORGED:
        return (
            Reason.WRONG_SECRET,
            "it is a forged test event, signed with a secret that no receiver has",
        )
    if is_changed_since:
        return (
            Reason.WRONG_SECRET,
            "it was signed with an earlier webhook secret, which the account does not have any"
            " more: the active one was changed after the request was sent",
        )
    return None


def _secrets_of(
    account: Account, definition: CallbackSourceDefinition
) -> Iterator[NamedAccountSecret]:
    """Yield the account's secrets of the kind by which a source signs, the active one first."""
    if definition.signature.is_by_auth_token:
        tokens = ("primary", account.auth_token), ("secondary", account.secondary_auth_token)
        for name, token in tokens:
            if token:
                is_active = name == "primary"
                kind = AccountSecretKind.AUTH_TOKEN
                yield NamedAccountSecret(kind, name, None, token, is_active=is_active)
        return
    for status, secret in account.webhook_secrets.all:
        if not secret.value:
            continue
        yield NamedAccountSecret(
            AccountSecretKind.WEBHOOK_SECRET,
            secret.name,
            secret.id,
            secret.value,
            is_active=status is WebhookSecretStatus.ACTIVE,
            changed=secret.last_modified,
        )


def _check(
    callback: CallbackRecord,
    sent: SentRequestRecord,
    definition: CallbackSourceDefinition,
    secret: str,
) -> Verdict:
    """Return the verdict of a receiver that has only this secret; it may be empty."""
    target = sent.head.split(" ", 2)[1]
    request = ReceivedRequest(sent.method, target, tuple(sent.headers), sent.body.encode())
    accepted = (secret,) if secret else ()
    if callback.source in set(Source):
        secrets = ReceiverSecrets(twilio_auth_tokens=accepted, kore_secrets=accepted)
        return check(request, urls=[sent.url], secrets=secrets)
    if _signature_header(definition) is None:
        return Rejected(Reason.NO_SIGNATURE, f"{callback.source} does not sign", callback.source)
    claimed = AcceptedSource(callback.source, definition).claim(request)
    if isinstance(claimed, Rejected):
        return claimed
    claim, _ = claimed
    secrets = ReceiverSecrets(of_other_sources={callback.source: accepted})
    called = [CalledUrlSpellings.of(sent.url, secrets)]
    fault = find_fault(claim, request.method, request.body, called)
    if fault is not None:
        return explain(fault, request, called, claim=claim)
    return Verified(callback.source, claim[2])


def _signature_header(definition: CallbackSourceDefinition) -> str | None:
    return next(
        (header.name for header in definition.headers if "signature" in header.placeholders), None
    )
