"""The sender's side: requests rendered and signed by the real code."""

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.callbacks.rendering import render
from ringback.core.http.http_exchange import OutgoingRequest
from ringback.core.policy.source_policy import SourceName
from ringback.core.sources.source_definition import BUILT_IN, Sources
from ringback.receiver.verification import ReceivedRequest
from tests.fakes import AUTH_TOKEN, KORE_SECRET, NOW, a_callback, an_account

URL = "http://127.0.0.1:9000/path?foo=bar"
BODY = (
    "ApiVersion=v1&SimUniqueName=my+super+sim&SimSid=HSab3f06be8f5d32caecb91e8a306c6c08"
    "&SimStatus=inactive&AccountSid=AC3ba717b1d236e6c4a835e46130267eb4"
)


def rendered(
    source: SourceName,
    method: HttpMethod = HttpMethod.POST,
    *,
    url: str = URL,
    body: str = BODY,
    auth_token: str = AUTH_TOKEN,
    kore_secret: str = KORE_SECRET,
    token: str | None = None,
    sources: Sources = BUILT_IN,
) -> OutgoingRequest:
    """Return the request that sends this body to this URL."""
    callback = a_callback(url=url, method=method, source=source, body=body, token=token)
    account = an_account(auth_token=auth_token, kore_secret=kore_secret)
    return render(callback, account=account, at=NOW, sources=sources)


def received(request: OutgoingRequest) -> ReceivedRequest:
    """Return the request as it arrives if nothing changes it on the way."""
    return ReceivedRequest(request.method, request.url.target, request.headers, request.body)
