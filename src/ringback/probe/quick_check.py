"""Checks quickly, with at most three requests, whether a receiver is ready for another source."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from ringback.core.accounts.account import Account
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.http.http_exchange import OutgoingRequest
from ringback.core.policy.source_policy import Source, SourceName
from ringback.core.sources.source_definition import BUILT_IN, Sources
from ringback.ports import RandomSource, Transport
from ringback.probe.evaluation import fault_of_forged, fault_of_genuine
from ringback.probe.forgeries import without
from ringback.probe.payloads import PROBE_SIM_SID
from ringback.probe.receiver_faults import ReceiverFaultKind
from ringback.probe.redacted_response import ProbeResponse, hiding
from ringback.probe.request_factory import ProbeRequestFactory

WRONG_SECRET = "signed with another secret"  # noqa: S105 (words, not a secret)
UNSIGNED = "without a signature"


_OF_SOURCE: Final[Mapping[SourceName, tuple[ReceiverFaultKind, ReceiverFaultKind]]] = {
    Source.TWILIO: (ReceiverFaultKind.REFUSES_TWILIO, ReceiverFaultKind.IGNORES_TWILIO_SIGNATURE),
    Source.KORE: (ReceiverFaultKind.REFUSES_KORE, ReceiverFaultKind.IGNORES_KORE_SIGNATURE),
}
_OF_OTHERS: Final = ReceiverFaultKind.REFUSES_SOURCE, ReceiverFaultKind.IGNORES_SIGNATURE
_ACCEPTS: Final = {
    WRONG_SECRET: ReceiverFaultKind.ACCEPTS_WRONG_SECRET,
    UNSIGNED: ReceiverFaultKind.ACCEPTS_MISSING_SIGNATURE,
}


class FoundFault(NamedTuple):
    """Why a receiver isn't ready for a source."""

    kind: ReceiverFaultKind
    words: str
    """What it did, as a sentence."""


async def quick_check(
    url: CallbackUrl,
    *,
    method: HttpMethod,
    source: SourceName,
    account: Account,
    transport: Transport,
    limits: Timeouts,
    random_source: RandomSource,
    now: datetime,
    sources: Sources = BUILT_IN,
) -> FoundFault | None:
    """Return why a receiver isn't ready for a source; None if it is ready.

    Sends one genuine callback of this account. If the receiver accepts it, sends two forgeries at
    the same time. `source` is any of `sources`, also a source from the settings.

    If the account has no secret for the source, its callbacks aren't signed. Then no forgery is
    sent, because the receiver can't detect it.
    """
    make = ProbeRequestFactory(url, account, PROBE_SIM_SID, random_source, lambda: now, sources)
    hide = hiding(make.secrets)

    async def send(request: OutgoingRequest) -> ProbeResponse:
        return ProbeResponse.of(await transport.send(request, limits=limits), hide=hide)

    genuine = await send(make.request(source, method))
    forgeries = dict[str, OutgoingRequest]()
    if genuine.is_accepted:
        forgeries = _forgeries(make, source, method)
    forged = await asyncio.gather(*map(send, forgeries.values()))
    return fault_shown(source, genuine, dict(zip(forgeries, forged, strict=True)))


def fault_shown(
    source: SourceName, genuine: ProbeResponse, forged: Mapping[str, ProbeResponse]
) -> FoundFault | None:
    """Return why these answers show that a receiver isn't ready for a source; None if it is ready.

    `forged` has the answers to forgeries, by words about them such as `UNSIGNED`.
    """
    refuses, ignores = _OF_SOURCE.get(source, _OF_OTHERS)
    if kind := fault_of_genuine(genuine, refuses=refuses):
        return FoundFault(
            kind, f"a genuine callback from {source} is not accepted: {genuine.words}"
        )
    accepts_all = len(forged) > 1 and all(answer.is_accepted for answer in forged.values())
    for what, answer in forged.items():
        if kind := fault_of_forged(answer, accepts=ignores if accepts_all else _ACCEPTS[what]):
            if answer.is_accepted:
                return FoundFault(kind, f"it accepts a request {what}")
            words = f"it does not refuse a request {what} with a 4xx: {answer.words}"
            return FoundFault(kind, words)
    return None


def _forgeries(
    make: ProbeRequestFactory, source: SourceName, method: HttpMethod
) -> dict[str, OutgoingRequest]:
    callback = make.callback(source, method)
    right = make.rendered(callback)
    if not right.signature:
        return {}
    unsigned = without(make.request(source, method), make.signature_headers(source))
    return {WRONG_SECRET: make.rendered(callback, make.stranger()), UNSIGNED: unsigned}
