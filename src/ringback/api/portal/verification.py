"""The portal's operation that verifies the request that was last sent for a callback."""

from typing import Any, Final

from ringback.api.endpoint_group import ApiRequest, EndpointGroup
from ringback.api.operation_definition import ApiOperation
from ringback.api.portal.callback_json import CALLBACK_SID
from ringback.api.portal.callbacks import CALLBACKS
from ringback.api.schema_pieces import (
    FLAG,
    INSTANT,
    SOURCE,
    TEXT,
    number,
    object_of,
    one_of,
    or_null,
)
from ringback.api.serializers import CustomJsonSerializer
from ringback.operations.request_verification import (
    AccountSecretKind,
    NamedAccountSecret,
    RequestVerification,
    verify_last_request,
)
from ringback.receiver.verification.verdict import Reason, Rejected

_SECRET: Final = object_of(
    kind=one_of(AccountSecretKind), name=TEXT, id=or_null(TEXT), is_active=FLAG
)
VERIFICATION: Final = CustomJsonSerializer(
    "callback_verification",
    object_of(
        callback_sid=CALLBACK_SID.schema,
        attempt=number(1),
        date_sent=INSTANT,
        source=SOURCE,
        is_right=FLAG,
        reason=or_null(one_of(Reason)),
        explanation=or_null(TEXT),
        url={**or_null(TEXT), "description": "The URL, as far as the signature covers it."},
        header=or_null(TEXT),
        secret={
            **or_null(_SECRET),
            "description": "The secret that signed it, by name; null if it is none of those that"
            " the account has now.",
        },
        secret_changed={
            **or_null(INSTANT),
            "description": "When the active secret was changed, if it was after the request.",
        },
    ),
)


class VerificationEndpoints(EndpointGroup):
    """The operation that verifies a callback's request."""

    def operations(self) -> list[ApiOperation]:
        """Return the operation that verifies a callback's request."""
        return [
            self.answers(
                *(f"{CALLBACKS}/{{sid}}/verification", "VerifyCallback"),
                "Verify the signature of the request that was last sent for a callback, as a"
                " receiver with the account's active secret does.",
                *(VERIFICATION, self._verify),
                conflicts=True,
            )
        ]

    async def _verify(self, call: ApiRequest) -> dict[str, Any]:
        sources = self._dependencies.sources
        found = await self.read(
            call.account_sid,
            lambda tx: verify_last_request(tx, call.account_sid, call.sid, sources),
        )
        return _show(found)


def _show(found: RequestVerification) -> dict[str, Any]:
    fault = found.verdict if isinstance(found.verdict, Rejected) else None
    return {
        "callback_sid": found.callback.sid,
        "attempt": found.attempt.number,
        "date_sent": found.attempt.date_started,
        "source": found.callback.source,
        "is_right": fault is None,
        "reason": fault and fault.reason,
        "explanation": fault and fault.explanation,
        "url": found.url,
        "header": found.header,
        "secret": found.secret and _show_secret(found.secret),
        "secret_changed": found.secret_changed,
    }


def _show_secret(secret: NamedAccountSecret) -> dict[str, object]:
    return {
        "kind": secret.kind,
        "name": secret.name,
        "id": secret.id,
        "is_active": secret.is_active,
    }
