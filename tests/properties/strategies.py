"""Hypothesis strategies for customers' input: URLs, callbacks and accounts."""

from datetime import UTC, timedelta
from email.utils import format_datetime
from string import ascii_letters, digits
from typing import Final

from hypothesis import strategies as st

from ringback.core.accounts.account import Account
from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.form_encoding import encode
from ringback.core.http.outcome import (
    AttemptFailure,
    DeliveredOutcome,
    NoAnswerOutcome,
    Outcome,
    RefusedOutcome,
    UnknownOutcome,
)
from ringback.core.policy.source_policy import Source
from ringback.core.retry_schedule import RetrySchedule
from ringback.core.sources.idempotency_tokens import TWILIO_TOKEN
from ringback.core.sources.source_definition import (
    PLACEHOLDERS,
    SIGNATURE_SCHEMES,
    CallbackSourceDefinition,
    HeaderTemplate,
)
from tests.fakes import a_callback, an_account

# All characters that a URL may have, except those that end the part.
_VISIBLE: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != "\\")


def _without(ends: str) -> str:
    return "".join(char for char in _VISIBLE if char not in ends)


any_text = st.text(st.characters(codec="utf-8"))
sources = st.sampled_from(Source)
methods = st.sampled_from(HttpMethod)
sixteen_bytes = st.binary(min_size=16, max_size=16)
parameters = st.lists(st.tuples(any_text, any_text), max_size=8)

labels = st.text(ascii_letters + digits, min_size=1, max_size=12)
names = st.lists(labels, min_size=1, max_size=4).map(".".join)
ipv4_addresses = st.ip_addresses(v=4).map(str)
ipv6_addresses = st.ip_addresses(v=6).map(lambda address: f"[{address}]")
hosts = st.one_of(names, ipv4_addresses, ipv6_addresses)
schemes = st.sampled_from(["http", "https", "HTTP", "Https"])
ports = st.one_of(st.just(""), st.integers(1, 65535).map(":{}".format))
paths = st.one_of(st.just(""), st.text(_without("?#"), max_size=30).map("/{}".format))
queries = st.one_of(st.just(""), st.text(_without("#"), max_size=30).map("?{}".format))
credentials = st.one_of(st.just(""), st.text(_without("/?#"), max_size=20).map("{}@".format))


def _setting(key: str, values: st.SearchStrategy[object]) -> st.SearchStrategy[str]:
    return values.map(lambda value: f"{key}={value}")


_SETTINGS: Final = (
    _setting("cbs", st.sampled_from(Source)),
    _setting("ct", st.integers(100, 10000)),
    _setting("rt", st.integers(100, 15000)),
    _setting("tt", st.integers(100, 15000)),
    _setting("rc", st.integers(0, 5)),
    _setting(
        "rp", st.lists(st.sampled_from(["4xx", "5xx", "ct", "rt", "all"]), min_size=1).map(",".join)
    ),
    _setting("sni", st.sampled_from("yn")),
    _setting("e", st.lists(labels, min_size=1, max_size=3).map(",".join)),
    st.text(_without("&=#"), min_size=8, max_size=12),
)


@st.composite
def fragments(draw: st.DrawFn) -> str:
    """Draw a fragment: none, or settings in any order, each at most once."""
    chosen = draw(st.lists(st.sampled_from(range(len(_SETTINGS))), unique=True))
    return "#" + "&".join(draw(_SETTINGS[index]) for index in chosen) if chosen else ""


@st.composite
def urls(
    draw: st.DrawFn,
    *,
    schemes: st.SearchStrategy[str] = schemes,
    credentials: st.SearchStrategy[str] = credentials,
    hosts: st.SearchStrategy[str] = hosts,
    queries: st.SearchStrategy[str] = queries,
) -> str:
    """Draw a callback URL that can be called."""
    origin = f"{draw(schemes)}://{draw(credentials)}{draw(hosts)}{draw(ports)}"
    return f"{origin}{draw(paths)}{draw(queries)}{draw(fragments())}"


any_urls = urls()


@st.composite
def callbacks(
    draw: st.DrawFn,
    urls: st.SearchStrategy[str] = any_urls,
    sources: st.SearchStrategy[Source] = sources,
) -> CallbackRecord:
    """Draw a callback of any source and method, with any parameters."""
    return a_callback(
        url=draw(urls), method=draw(methods), source=draw(sources), body=encode(draw(parameters))
    )


@st.composite
def accounts(draw: st.DrawFn) -> Account:
    """Draw an account with any secrets, or without a KORE secret."""
    return an_account(
        auth_token=draw(any_text), kore_secret=draw(any_text), uses_static_proxy=draw(st.booleans())
    )


header_names = st.one_of(st.just("Authorization"), st.from_regex(r"[A-Za-z-]{1,9}", fullmatch=True))
header_values = st.lists(
    st.one_of(st.sampled_from(PLACEHOLDERS).map("{{{}}}".format), st.text(" %:,=x1", max_size=4)),
    max_size=4,
).map("".join)
source_definitions = st.builds(
    CallbackSourceDefinition,
    st.lists(
        st.builds("{}: {}".format, header_names, header_values).map(HeaderTemplate.parse),
        max_size=6,
    ).map(tuple),
    st.sampled_from(list(SIGNATURE_SCHEMES.values())),
    st.just(TWILIO_TOKEN),
)
"""Sources as the settings can define them."""

retry_afters = st.one_of(
    st.none(),
    any_text,
    st.integers(0, 10**12).map(str),
    st.datetimes(timezones=st.just(UTC)).map(lambda at: format_datetime(at, usegmt=True)),
)
schedules = st.lists(st.timedeltas(timedelta(0), timedelta(days=3650)), max_size=5).map(
    lambda waits: RetrySchedule(tuple(waits))
)
jitters = st.floats(0, 1)
outcomes: st.SearchStrategy[Outcome] = st.one_of(
    st.integers(200, 299).map(DeliveredOutcome),
    st.builds(
        RefusedOutcome,
        st.one_of(st.sampled_from([410, 429, 503]), st.integers(100, 199), st.integers(300, 999)),
        retry_after=retry_afters,
    ),
    st.sampled_from(AttemptFailure).map(lambda failure: NoAnswerOutcome(failure, "it failed")),
    st.just(UnknownOutcome()),
)
