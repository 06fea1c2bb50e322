"""Inputs for the receiver, part by part, and the law that must hold for each."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final
from urllib.parse import parse_qsl

from hypothesis import strategies as st

from ringback.core.policy.source_policy import Source
from ringback.receiver import (
    Accepted,
    Answer,
    Callback,
    ConfigurationError,
    Duplicate,
    InvalidCallbackUrl,
    MemoryDedupe,
    ReceivedRequest,
    Receiver,
    Rejected,
    Result,
    Verified,
)
from ringback.receiver.verification import ReceiverSecrets, SenderCallbackRecord, Verdict, check
from ringback.receiver.verification.body_variants import compacted, escaped
from ringback.receiver.verification.received_request import read_form
from tests.fuzz.genuine import NOW, SETTINGS, SIGNATURES, TOKENS, Case, genuine
from tests.fuzz.mutations import Effect, mutate
from tests.fuzz.rules import compacted_slowly, escaped_slowly, is_signed

Counted = Iterator[Hashable]
"""The category of one input's result, to be counted."""


@dataclass(frozen=True, slots=True)
class Part:
    """One sort of input, and the law for it."""

    inputs: st.SearchStrategy[Any]
    law: Callable[[Any], Counted]
    """Raises AssertionError, or an error of the receiver that should not occur."""
    share: int
    """How many of a hundred inputs are of this sort."""


def name_of(verdict: Verdict | Result) -> str:
    return verdict.reason if isinstance(verdict, Rejected) else type(verdict).__name__


# ---- genuine requests, mutated ------------------------------------------------------------------


# For plain integers, hypothesis draws the small ones again and again.
seeds: Final = st.binary(min_size=8, max_size=8)


def law_of_mutated(seed: bytes) -> Counted:
    """Requests with a valid signature are accepted, others are not, and no error is raised."""
    random = Random(seed)
    case = genuine(random)
    as_sent = SenderCallbackRecord(case.method, _url_as_called(case), case.body)
    effect, names = mutate(random, case)
    shown = f"{effect.name} by {', '.join(names) or 'nothing'}: {case!r}"
    seen = MemoryDedupe(clock=lambda: NOW)
    receiver = case.receiver(seen=seen, same_event_within=random.choice([None, timedelta(1)]))
    result = receiver.receive(case.method, _as_bytes(case.headers), case.body, target=case.target)
    if random.random() < 0.2:
        verdict = receiver.check(case.method, case.headers, case.body, target=case.target)
        assert isinstance(verdict, Rejected) == isinstance(result, Rejected), shown
    _check_answer(result.answer() if not isinstance(result, Rejected) else Answer(result.status))
    if isinstance(result, Rejected):
        assert effect is not Effect.HARMLESS, f"{result}; {shown}"
        assert not any(secret in str(result) for secret in _telling_secrets(case)), shown
    else:
        assert effect is not Effect.FORGED, f"accepted; {shown}"
        assert is_signed(case, result.callback), f"accepted; {shown}"
        _read_all_of(result.callback)
        _work_twice(result, receiver, case)
    yield name_of(result)
    yield from names
    if random.random() < 0.1 and not case.is_template:
        yield from _explained(case, as_sent)


def _url_as_called(case: Case) -> str:
    return case.url.origin + case.target if case.url.path else case.url.wire


def _telling_secrets(case: Case) -> Iterable[str]:
    return (secret for secret in (case.secret, "another kore_secrets") if len(secret) > 5)


def _as_bytes(headers: list[tuple[str, str]]) -> Any:
    """Return the headers in the form of ASGI, if they can be encoded."""
    try:
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    except UnicodeEncodeError:
        return headers


def _work_twice(result: Result, receiver: Receiver, case: Case) -> None:
    assert isinstance(result, Accepted)
    again = receiver.receive(case.method, case.headers, case.body, target=case.target)
    assert isinstance(again, Duplicate if result.callback.token else Accepted)
    assert result.done()
    _check_answer(again.answer())


def _check_answer(answer: Answer) -> None:
    assert answer.status in (200, 400, 403, 404, 503)
    assert answer.text.isascii()


def _explained(case: Case, sent: SenderCallbackRecord) -> Counted:
    """Check the case with the sender's record too, which may explain but never prove."""
    secrets = ReceiverSecrets(
        tuple(case.settings.get("twilio_auth_tokens", ())),
        tuple(case.settings.get("kore_secrets", ())),
        tuple(case.settings.get("twilio_shared_keys", ())),
        not_accepted=(("an API key's secret", "nobody's"),),
    )
    urls = [case.url.wire]
    alone = check(case.request, urls=urls, secrets=secrets)
    verdict = check(case.request, urls=urls, secrets=secrets, sent=sent)
    assert isinstance(verdict, Verified) == isinstance(alone, Verified), case
    yield name_of(verdict)


def _read_all_of(callback: Callback) -> None:
    assert callback.event is not None
    assert dict(callback.pairs) == callback.parameters
    assert len(callback.fingerprint) == 64
    assert callback.sent_at is None or callback.sent_at.utcoffset() == timedelta(0)
    assert callback.parameters_are_signed in (True, False)


# ---- noise --------------------------------------------------------------------------------------

any_text: Final = st.text(st.characters(), max_size=24)  # lone surrogates too
_LOOKS_RIGHT: Final = ["", "0" * 64, "A" * 64, "A" * 27 + "=", "A" * 43 + "=", "application/json"]
_NAMES: Final = [
    *SIGNATURES.values(),
    *(name for name, _ in TOKENS.values()),
    SETTINGS,
    "host",
    "date",
    "Content-Type",
]
_METHODS: Final = ["GET", "POST", "PUT"]
_RECEIVERS: Final = [
    Receiver(
        url,
        twilio_auth_tokens=["12345"],
        kore_secrets=["12345"],
        twilio_shared_keys=["12345"],
        seen=MemoryDedupe(clock=lambda: NOW),
        clock=lambda: NOW,
    )
    for url in (
        "https://user:pass@a.example/hook?foo=bar#cbs=kore",
        "https://{tenant}.a.example/{kind}/hook",
        lambda request: "https://a.example/hook" if request.path else None,
    )
]
noises: Final = st.tuples(
    st.sampled_from(range(len(_RECEIVERS))),
    st.sampled_from(_METHODS) | any_text,
    st.lists(
        st.tuples(st.sampled_from(_NAMES) | any_text, st.sampled_from(_LOOKS_RIGHT) | any_text),
        max_size=5,
    ),
    st.binary(max_size=60),
    st.sampled_from(["", "/hook?foo=bar", "/x/hook", "*"]) | any_text,
)


def law_of_noise(noise: tuple[int, str, list[tuple[str, str]], bytes, str]) -> Counted:
    """A request signed without the secret is rejected, and any input gets a verdict."""
    which, method, headers, body, target = noise
    result = _RECEIVERS[which].receive(method, headers, body, target=target)
    assert isinstance(result, Rejected)
    request = ReceivedRequest(method, target, tuple(headers), body)
    _read_all_of(Callback(Source.KORE, None, "https://a.example/hook", request))
    yield result.reason


# ---- URLs, templates, and results of URL functions ----------------------------------------------


def _mostly(good: list[str], *odd: str) -> st.SearchStrategy[str]:
    """Draw a good text in nine of ten cases, since one odd part spoils the whole."""
    return st.sampled_from([*good * (9 * len(odd) // len(good) + 1), *odd])


_URL_PARTS: Final = (
    _mostly(["https://", "http://", "HTTPS://"], "ftp://", ":", ""),
    _mostly(["", "", "user:pass@"], "{tenant}@", "@"),
    _mostly(
        ["a.example", "{tenant}.a.example", "{a}-{b}.example", "[::1]"], "[::1%25lo]", "..", ""
    ),
    _mostly(["", ":8443"], ":0", ":99999", ":{p}", ":"),
    _mostly(
        ["", "/", "//x", "/%zz", "/{x}/in", "/{x}/{kind}/", "/{x}{y}/", "/{x}../"],
        "/{x}",
        "/{a}/{a}/",
    ),
    _mostly(["", "?", "?x=1", "?bodySHA256=0", "?a=%ff&a"], "?{tenant}"),
    _mostly(
        ["", "#cbs=kore", "#rc=2", "#x"], "#cbs=odd", "#cbs=kore&cbs=kore", "#rc=9", "#{tenant}"
    ),
    _mostly([""], "#", "?", "/", "@", ":", "[", "{", "{}", "{a-b}", "\\", "é", "\t", "\udcff"),
)
urls: Final = st.tuples(*_URL_PARTS, st.integers(0, 60)).map(lambda parts: _with_odd(*parts))
_TARGETS: Final = [
    "/acme",
    "/acme/x",
    "/hook?x=1",
    "//x",
    "/a/b?",
    "/ab",
    "x",
    "",
    "/é",
    "/\udcff/x",
]
_HOSTS: Final = [
    "a.example",
    "acme.a.example:8443",
    "a-b-c.example",
    "[::1]:x",
    "",
    "\udcff.example",
]


def _with_odd(*parts: Any) -> str:
    *texts, odd, at = parts
    text = "".join(texts)
    return text[:at] + odd + text[at:]


url_inputs: Final = st.tuples(
    urls,
    st.sampled_from(_HOSTS) | any_text,
    st.sampled_from(_TARGETS) | any_text,
    st.sampled_from([False, False, False, True]),
)


def law_of_urls(given: tuple[str, str, str, bool]) -> Counted:
    """A URL is refused when it is configured, with a message, or it works; also a function's."""
    text, host, target, is_answer = given
    url = (lambda _: text) if is_answer else text
    try:
        receiver = Receiver(url, kore_secrets=["12345"])
        result = receiver.check("POST", [("Host", host), _ONLY_SIGNATURE], target=target)
    except InvalidCallbackUrl as refused:
        yield f"InvalidCallbackUrl{'' if str(refused) else ' without a message'}"
    else:
        assert isinstance(result, Rejected)
        yield result.reason


_ONLY_SIGNATURE: Final = ("Kore-Signature", "0" * 64)
_TIMES: Final = (
    st.none() | st.sampled_from([timedelta(0), timedelta(-1)]) | st.timedeltas(timedelta(1))
)
_SECRETS: Final = st.lists(_mostly(["12345", "another one", "é"], "", "\udcff"), max_size=2)
settings_inputs: Final = st.fixed_dictionaries(
    {},
    optional={
        "twilio_auth_tokens": _SECRETS | _SECRETS.map("".join),
        "kore_secrets": _SECRETS,
        "twilio_shared_keys": _SECRETS,
        "pending_kore_secrets": _SECRETS,
        "accept_unsigned_kore": st.booleans(),
        "max_age": _TIMES,
        "lease": st.timedeltas(timedelta(1)),
        "keep": st.timedeltas(timedelta(1))
        | st.dictionaries(st.sampled_from(Source), st.timedeltas(timedelta(1))),
        "same_event_within": _TIMES,
        "seen": st.builds(MemoryDedupe, clock=st.just(lambda: NOW)),
    },
)


def law_of_settings(settings: dict[str, Any]) -> Counted:
    """Settings that can't work are refused at once, and others work."""
    try:
        receiver = Receiver("https://a.example/hook", **settings)
    except ConfigurationError as refused:
        yield "refused, with a secret" if "another one" in str(refused) else "refused"
        return
    headers = [("Kore-Signature", ""), TOKENS[Source.KORE], ("Date", f"{NOW:%Y-%m-%dT%H:%M:%SZ}")]
    first = receiver.receive("POST", headers, b"")
    second = receiver.receive("POST", headers, b"")
    is_second = isinstance(first, Accepted) and settings.get("seen") is not None
    assert isinstance(second, Duplicate if is_second else type(first))
    yield name_of(first)


# ---- bodies, forms and dates --------------------------------------------------------------------

_TOKENS: Final = [
    '"',
    "\\",
    "\\\\",
    '\\"',
    " ",
    "\t",
    "\n",
    "{",
    "}",
    ":",
    ",",
    "a",
    "é",
    "😀",
    "\0",
]
_PARTS: Final = ["=", "&", "+", "%", "%41", "%C3%A9", "%ff", "%2", ";", "a", "é", "\xff", " "]
json_like: Final = st.lists(st.sampled_from(_TOKENS), max_size=30).map("".join)
form_like: Final = st.lists(st.sampled_from(_PARTS), max_size=30).map("".join)
bodies: Final = st.one_of(
    json_like.map(str.encode),
    form_like.map(str.encode),
    form_like.map(lambda text: text.encode("latin-1", "replace")),
    st.binary(max_size=60),
)


def law_of_bodies(body: bytes) -> Counted:
    """JSON is compacted and escaped, and forms are parsed, as a slow and simple parser does it."""
    assert compacted(body) == compacted_slowly(body)
    assert escaped(body) == escaped_slowly(body)
    assert compacted(compacted(body)) == compacted(body)
    text = body.decode("utf-8", "replace")
    assert read_form(body) == read_form(text) == parse_qsl(text, keep_blank_values=True)
    yield "shorter" if len(compacted(body)) < len(body) else "unchanged"


_HTTP_DATES: Final = (
    _mostly(["Wed, ", ""], "Wednesday, ", "Odd, "),
    _mostly(["03", "3", "31"], "0", "99", "٣", ""),
    _mostly([" Jul", " Dec"], " Odd", "-Jul", ""),
    _mostly([" 2024", " 9999", " 0001"], "-24", " 99999999999", ""),
    _mostly([" 14:40:58", " 14:40", " 23:59:59"], " 23:59:60", " 99:99:99", " 14.40.58", " ::", ""),
    _mostly([" GMT", " +0000", " -2359", " +2359"], " +9999", " EST", " -99999999999", " (", ""),
)
_ISO_DATES: Final = (
    _mostly(["2024-", "9999-", "0001-"], "0000-", "24-", "٢٠٢٤-"),
    _mostly(["07-", "12-"], "2-", "13-"),
    _mostly(["03T", "31T"], "00T", "3T", "03 "),
    _mostly(["14:40:58"], "23:59:60", "24:00:00", "14:40", "14:40:58.5"),
    _mostly(["Z"], "z", "+00:00", "", "Z\n", "\0"),
)
dates: Final = st.one_of(
    *(st.tuples(*parts).map("".join) for parts in (_HTTP_DATES, _ISO_DATES)), any_text
)


def law_of_dates(text: str) -> Counted:
    """Any Date parses to a time in UTC or to None, and its age can be computed."""
    request = ReceivedRequest("POST", "/", (("Date", text), ("Kore-Signature", "")))
    at = Callback(Source.KORE, None, "https://a.example/", request).sent_at
    assert at is None or isinstance(at, datetime)
    result = _FRESH.check_request(request)
    assert isinstance(result, Rejected) or abs(NOW - _certain(at)) <= timedelta(days=1)
    yield "no time" if at is None else "a time"


_FRESH: Final = Receiver(
    "https://a.example/", accept_unsigned_kore=True, max_age=timedelta(days=1), clock=lambda: NOW
)


def _certain(at: datetime | None) -> datetime:
    assert at is not None
    return at


# ---- the check alone, with hostile URLs, secrets and records ------------------------------------

_secrets: Final = st.lists(st.sampled_from(["", "12345"]) | any_text, max_size=2).map(tuple)
checks: Final = st.tuples(
    noises,
    st.lists(urls | any_text, min_size=1, max_size=2),
    st.builds(
        ReceiverSecrets, _secrets, _secrets, _secrets, _secrets, st.just((("name", "\udcff"),))
    ),
    st.none() | st.builds(SenderCallbackRecord, any_text, urls | any_text, st.binary(max_size=30)),
)


def law_of_checks(
    given: tuple[Any, list[str], ReceiverSecrets, SenderCallbackRecord | None],
) -> Counted:
    (_, method, headers, body, target), called, secrets, sent = given
    request = ReceivedRequest(method, target, tuple(headers), body)
    verdict = check(request, urls=called, secrets=secrets, sent=sent)
    assert isinstance(verdict, Rejected)
    yield verdict.reason


PARTS: Final = {
    "mutated": Part(seeds, law_of_mutated, share=80),
    "noise": Part(noises, law_of_noise, share=6),
    "urls": Part(url_inputs, law_of_urls, share=4),
    "settings": Part(settings_inputs, law_of_settings, share=1),
    "bodies": Part(bodies, law_of_bodies, share=4),
    "dates": Part(dates, law_of_dates, share=2),
    "checks": Part(checks, law_of_checks, share=3),
}
