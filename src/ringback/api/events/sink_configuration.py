"""Reads what a new sink is from a request: its description, its type and its configuration.

The configuration is JSON text. Keys that mean nothing to Twilio are kept and shown, but have no
effect; public code sends some, such as `batchEvents`.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, Final

from ringback.api.request_parameters import RequestParameters
from ringback.api.strict_json import Json, parse_json_object
from ringback.core.callback_urls.callback_url import MAX_LENGTH, CallbackUrl, HttpMethod
from ringback.core.errors import InvalidCallbackUrl, InvalidParameter
from ringback.core.policy.source_policy import Source
from ringback.core.streams.kinesis_stream import check_external_id, check_role, url_of_stream
from ringback.core.streams.sink import SinkType, StreamSink
from ringback.core.streams.stream_retries import STREAM_RETRIES
from ringback.operations.streams.sinks import SinkParameters

LONGEST_DESCRIPTION: Final = 255
"""Maximum length of the description of a sink or subscription; Twilio documents none."""

_REFUSED: Final = 91000
_NOT_HERE: Final = ("segment", "email")
"""Twilio's other types of sinks: one sends to a service of Twilio, one is not documented."""
_DESTINATION: Final = "destination"
_WEBHOOK_DEFAULTS: Final[Mapping[str, Any]] = {"method": "post", "batch_events": False}
_KINESIS_KEYS: Final = ("arn", "role_arn", "external_id")
_FRAGMENT: Final = re.compile("[!-?A-~]*")
"""Matches what a fragment may have: printable characters of ASCII, but no @."""

UrlReader = Callable[[str], CallbackUrl]
"""Parses a callback URL by the operator's rules; raises InvalidCallbackUrl."""


def read_sink(form: RequestParameters, read_url: UrlReader) -> SinkParameters:
    """Return the parameters of the new sink that a request describes.

    Raises InvalidParameter if its type or configuration can't be used (91000), or if its
    description is missing.
    """
    description = read_description(form)
    sink_type = _read_type(form)
    given = parse_json_object(
        form.required("SinkConfiguration", code=_REFUSED), code=_REFUSED, what="SinkConfiguration"
    )
    if sink_type is SinkType.KINESIS:
        return _kinesis(description, given)
    return _webhook(description, given, read_url)


def read_description(form: RequestParameters) -> str:
    """Return the description in a request, which must have one."""
    form.required("Description")
    return form.label("Description", longest=LONGEST_DESCRIPTION) or ""


def configuration_of(sink: StreamSink) -> dict[str, Any]:
    """Return the configuration of a sink as it was given, with its defaults."""
    if sink.sink_type is SinkType.KINESIS:
        return {**sink.configuration}
    return {_DESTINATION: sink.url.configured, **sink.configuration}


def _read_type(form: RequestParameters) -> SinkType:
    name = form.required("SinkType", code=_REFUSED)
    if name in list(SinkType):
        return SinkType(name)
    why = "is not supported here" if name in _NOT_HERE else "is unknown"
    raise form.wrong(f"SinkType={name!r} {why}; it must be {' or '.join(SinkType)}", code=_REFUSED)


def _kinesis(description: str, given: Mapping[str, Json]) -> SinkParameters:
    arn, role, external_id = (_text(given, key) for key in _KINESIS_KEYS)
    check_role(role)
    check_external_id(external_id)
    url = url_of_stream(arn).with_warnings(*_warnings(given, _KINESIS_KEYS))
    return SinkParameters(description, SinkType.KINESIS, url, configuration=given)


def _webhook(description: str, given: Mapping[str, Json], read_url: UrlReader) -> SinkParameters:
    url = _read_destination(_text(given, _DESTINATION), read_url)
    configuration = {**_WEBHOOK_DEFAULTS, **given}
    del configuration[_DESTINATION]
    method, batches = configuration["method"], configuration["batch_events"]
    if not isinstance(method, str) or method.upper() not in list(HttpMethod):
        raise InvalidParameter(
            f"SinkConfiguration: method is {method!r}; it must be POST or GET", code=_REFUSED
        )
    if not isinstance(batches, bool):
        raise InvalidParameter(
            f"SinkConfiguration: batch_events is {batches!r}; it must be true or false",
            code=_REFUSED,
        )
    return SinkParameters(
        description,
        SinkType.WEBHOOK,
        url.with_warnings(*_warnings(given, (_DESTINATION, *_WEBHOOK_DEFAULTS))),
        HttpMethod(method.upper()),
        batches,
        configuration,
    )


def _read_destination(text: str, read_url: UrlReader) -> CallbackUrl:
    """Return the URL of a webhook; its fragment is kept, but has no effect, so it may be any."""
    plain, mark, fragment = text.partition("#")
    if len(text) > MAX_LENGTH or not _FRAGMENT.fullmatch(fragment):
        # The text before an @ may be the rest of a password with a # in it, so it is not shown.
        raise InvalidParameter(
            f"SinkConfiguration: destination has more than {MAX_LENGTH} characters, or its fragment"
            " has an @, a space or a character beyond ASCII; if the # belongs to a user name or"
            " password, write it as %23",
            code=_REFUSED,
        )
    try:
        url = read_url(plain)
    except InvalidCallbackUrl as refused:
        raise InvalidParameter(
            f"SinkConfiguration: destination: {refused.message}", code=_REFUSED
        ) from None
    with_fragment = replace(url, fragment=fragment) if mark else url
    return with_fragment.of_stream(STREAM_RETRIES[Source.TWILIO].connection)


def _text(given: Mapping[str, Json], key: str) -> str:
    value = given.get(key)
    if not isinstance(value, str) or not value:
        raise InvalidParameter(
            f"SinkConfiguration has no {key}, or it is not a text; it must have {key}",
            code=_REFUSED,
        )
    return value


def _warnings(given: Mapping[str, Json], known: Collection[str]) -> list[str]:
    """Return a warning about each key of a configuration that has no effect."""
    return [
        f"SinkConfiguration has the key {ascii(key)[:80]}, which has no effect"
        for key in given
        if key not in known
    ]
