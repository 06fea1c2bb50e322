"""The portal's operations that compare the requests of two callbacks or of two sources."""

from typing import Any, Final

from ringback.api.endpoint_group import ApiRequest, EndpointGroup
from ringback.api.operation_definition import ApiOperation, OperationParameter
from ringback.api.portal.callback_json import CALLBACK_SID
from ringback.api.portal.callbacks import CALLBACKS, read_source
from ringback.api.schema_pieces import (
    FLAG,
    INSTANT,
    METHOD,
    SOURCE,
    TEXT,
    Schema,
    list_of,
    number,
    object_of,
    one_of,
    or_null,
    sid_of,
)
from ringback.api.serializers import CustomJsonSerializer
from ringback.core.callbacks.notice_example import compare_notice_example
from ringback.core.callbacks.request_comparison import (
    ComparedHeader,
    ComparedRequest,
    HeaderChange,
    HeaderRole,
    RequestComparison,
)
from ringback.core.policy.source_policy import Source
from ringback.core.sids import SidKind
from ringback.operations.callback_comparison import compare_sources, compare_two

_HEADER: Final = or_null(object_of(name=TEXT, value=or_null(TEXT), note=or_null(TEXT)))
_STEP: Final = object_of(text=TEXT, value=or_null(TEXT), secret=or_null(TEXT))
_REQUEST: Final = object_of(
    callback_sid=or_null(sid_of(SidKind.CALLBACK)),
    source=SOURCE,
    date_sent=or_null(INSTANT),
    method=METHOD,
    url=TEXT,
    request_line=TEXT,
    body=TEXT,
    signature=or_null(object_of(header=TEXT, algorithm=TEXT, steps=list_of(_STEP))),
)


def _described(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


COMPARISON: Final = CustomJsonSerializer(
    "request_comparison",
    object_of(
        first=_described(_REQUEST, "The request of the source that is defined first: twilio's."),
        second=_described(_REQUEST, "`date_sent` is null for a request that was not sent."),
        request_line_is_same=FLAG,
        body_is_same=FLAG,
        headers=_described(
            list_of(
                object_of(
                    change=one_of(HeaderChange),
                    role=or_null(one_of(HeaderRole)),
                    first=_HEADER,
                    second=_HEADER,
                )
            ),
            "`change` is seen from the first request to the second. A `value` that is known only"
            " once the request is sent is null, and `note` describes it.",
        ),
        parameters=_described(
            list_of(object_of(name=TEXT, first=list_of(TEXT), second=list_of(TEXT))),
            "The parameters that differ, with their values.",
        ),
        counts=object_of(**{change.value: number(0) for change in HeaderChange}),
        summary=TEXT,
        receiver_changes=_described(
            list_of(TEXT),
            "What a receiver of the first source's requests has to change for the second's.",
        ),
    ),
)


def show_comparison(comparison: RequestComparison) -> dict[str, Any]:
    """Return a comparison of two requests as the portal's JSON object."""
    return {
        "first": _show_request(comparison.first),
        "second": _show_request(comparison.second),
        "request_line_is_same": comparison.is_same_line,
        "body_is_same": comparison.is_same_body,
        "headers": [
            {
                "change": pair.change,
                "role": pair.role,
                "first": _show_header(pair.first),
                "second": _show_header(pair.second),
            }
            for pair in comparison.headers
        ],
        "parameters": [each._asdict() for each in comparison.parameters],
        "counts": {change.value: comparison.count(change) for change in HeaderChange},
        "summary": comparison.summary,
        "receiver_changes": comparison.receiver_changes,
    }


def _show_request(request: ComparedRequest) -> dict[str, Any]:
    recipe, header = request.recipe, request.header_with(HeaderRole.SIGNATURE)
    return {
        "callback_sid": request.callback_sid,
        "source": request.source,
        "date_sent": request.date_sent,
        "method": request.method,
        "url": request.url,
        "request_line": request.line,
        "body": request.body,
        "signature": header
        and recipe
        and {
            "header": header.name,
            "algorithm": recipe.algorithm,
            "steps": [step._asdict() for step in recipe.steps],
        },
    }


def _show_header(header: ComparedHeader | None) -> dict[str, str | None] | None:
    return header and {"name": header.name, "value": header.value, "note": header.note}


_OTHER: Final = OperationParameter(
    "Other", CALLBACK_SID.schema, "The callback to compare with, as it was sent last."
)
_SOURCE: Final = OperationParameter(
    "Source",
    one_of(Source),
    "Instead of Other: the source that would send the same callback; without both, the other one"
    " of twilio and kore. A source of the settings is accepted as well.",
)


class ComparisonEndpoints(EndpointGroup):
    """The operations that compare the requests of two callbacks or of two sources."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations that compare two requests."""
        return [
            self.answers(
                *(f"{CALLBACKS}/{{sid}}/comparison", "CompareCallback"),
                "Compare a callback's request with another callback's, or with the one that"
                " another source would send.",
                *(COMPARISON, self._compare),
                takes=(_OTHER, _SOURCE),
                conflicts=True,
            ),
            self.answers(
                *("/portal/v1/example_comparison", "CompareExample"),
                "Compare the requests of the example in KORE's notice, signed with made-up"
                " secrets.",
                *(COMPARISON, _compare_example),
                for_all=True,
            ),
        ]

    async def _compare(self, call: ApiRequest) -> dict[str, Any]:
        sources = self._dependencies.sources
        other, source = call.given.text("Other"), read_source(call.given, sources)
        if other is not None and source is not None:
            raise call.given.wrong("give either Other or Source, not both")
        if other == call.sid:
            raise call.given.wrong(
                f"Other={other!r}: this is the callback itself; name another callback"
            )
        comparison = await self.read(
            call.account_sid,
            lambda tx: (
                compare_sources(tx, call.account_sid, call.sid, source, sources)
                if other is None
                else compare_two(tx, call.account_sid, call.sid, other, sources)
            ),
        )
        return show_comparison(comparison)


async def _compare_example(_: ApiRequest) -> dict[str, Any]:
    return show_comparison(compare_notice_example())
