"""Checks quickly, with at most three requests, whether a receiver is ready for another source."""

import asyncio
from collections.abc import Mapping
from datetime import datetime

from ringback.core.accounts.account import Account
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.http.http_exchange import OutgoingRequest
from ringback.core.http.outcome import DeliveredOutcome, Outcome, RefusedOutcome, describe
from ringback.core.policy.source_policy import SourceName
from ringback.core.sources.source_definition import BUILT_IN, Sources
from ringback.ports import RandomSource, Transport
from ringback.probe.forgeries import without
from ringback.probe.payloads import PROBE_SIM_SID
from ringback.probe.request_factory import ProbeRequestFactory


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
) -> str | None:
    """Return a sentence saying why a receiver isn't ready for a source; None if it is ready.

    Sends one genuine callback of this account. If the receiver accepts it, sends two forgeries at
    the same time. `source` is any of `sources`, also a source from the settings.

    If the account has no secret for the source, its callbacks aren't signed. Then no forgery is
    sent, because the receiver can't detect it.
    """
    make = ProbeRequestFactory(url, account, PROBE_SIM_SID, random_source, lambda: now, sources)

    async def send(request: OutgoingRequest) -> Outcome:
        return (await transport.send(request, limits=limits)).outcome

    outcome = await send(make.request(source, method))
    if not isinstance(outcome, DeliveredOutcome):
        return f"a genuine callback from {source} is not accepted: {describe(outcome)}"
    forgeries = _forgeries(make, source, method)
    outcomes = await asyncio.gather(*map(send, forgeries.values()))
    faults = (_fault(what, outcome) for what, outcome in zip(forgeries, outcomes, strict=True))
    return next(filter(None, faults), None)


def _forgeries(
    make: ProbeRequestFactory, source: SourceName, method: HttpMethod
) -> Mapping[str, OutgoingRequest]:
    callback = make.callback(source, method)
    right, wrong = make.rendered(callback), make.rendered(callback, make.stranger())
    # Whatever the source's scheme is, the headers that depend on the secret are its signature.
    signatures = {pair[0] for pair in set(right.headers) - set(wrong.headers)}
    if not all(value for name, value in right.headers if name in signatures):
        return {}
    unsigned = without(make.request(source, method), signatures)
    return {"signed with another secret": wrong, "without a signature": unsigned}


def _fault(what: str, outcome: Outcome) -> str | None:
    match outcome:
        case RefusedOutcome(status) if 400 <= status <= 499:
            return None
        case DeliveredOutcome():
            return f"it accepts a request {what}"
        case _:
            return f"it does not refuse a request {what} with a 4xx: {describe(outcome)}"
