"""The example in KORE's notice: one callback as both infrastructures send it.

The notice's secrets are not known, so the signatures here are made with made-up ones. Both requests
have the body of the notice's first one, and none has the headers that proxies have added there.
"""

from datetime import UTC, datetime
from typing import Final

from ringback.core.accounts.account import Account
from ringback.core.accounts.webhook_secret import AccountWebhookSecrets, WebhookSecret
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import CallbackRecord, DeliveryProgress
from ringback.core.callbacks.rendering import render
from ringback.core.callbacks.request_comparison import ComparedRequest, RequestComparison, compared
from ringback.core.form_encoding import encode
from ringback.core.policy.source_policy import Source
from ringback.core.sids import SID_BYTES, SidKind, make_sid
from ringback.core.sources.source_definition import BUILT_IN

_SENT: Final = datetime(2024, 7, 3, 14, 40, 58, tzinfo=UTC)
_URL: Final = "http://your-callback-url.com/path?foo=bar"
_ACCOUNT_SID: Final = "AC3ba717b1d236e6c4a835e46130267eb4"
_PARAMETERS: Final = [
    ("ApiVersion", "v1"),
    ("SimUniqueName", "my_super_sim"),
    ("SimSid", "HSab3f06be8f5d32caecb91e8a306c6c08"),
    ("SimStatus", "inactive"),
    ("AccountSid", _ACCOUNT_SID),
]
_TOKENS: Final = {
    Source.TWILIO: "ba8db584-d0ca-4379-3749-a4e21471a62e",
    Source.KORE: "RQa48ec9b6ef475034c35566c02b654243",
}
MADE_UP_AUTH_TOKEN: Final = "made-up-auth-token"  # noqa: S105 (it protects nothing)
MADE_UP_WEBHOOK_SECRET: Final = "made-up-webhook-secret"  # noqa: S105 (it protects nothing)
_ACCOUNT: Final = Account(
    sid=_ACCOUNT_SID,
    name="the example",
    auth_token=MADE_UP_AUTH_TOKEN,
    uses_static_proxy=False,
    date_created=_SENT,
    webhook_secrets=AccountWebhookSecrets(
        WebhookSecret("whs_example", "the example", MADE_UP_WEBHOOK_SECRET, _SENT)
    ),
)


def compare_notice_example() -> RequestComparison:
    """Return the comparison of the notice's callback from Twilio's and from KORE's infrastructure.

    >>> compare_notice_example().summary
    'Headers: 2 renamed, 1 removed, 1 added, 3 differ; the body is the same.'
    """
    first, second = (_request_of(source) for source in Source)
    return RequestComparison(first, second)


def _request_of(source: Source) -> ComparedRequest:
    callback = CallbackRecord(
        sid=make_sid(SidKind.CALLBACK, bytes(SID_BYTES)),
        account_sid=_ACCOUNT_SID,
        url=CallbackUrl.parse(_URL),
        method=HttpMethod.POST,
        body=encode(_PARAMETERS),
        source=source,
        source_asked=None,
        source_reason="the example",
        idempotency_token=_TOKENS[source],
        date_created=_SENT,
        progress=DeliveryProgress(_SENT),
    )
    request = render(callback, account=_ACCOUNT, at=_SENT)
    return compared(request.recorded(), BUILT_IN[source], source=source)
