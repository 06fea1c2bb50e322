import pytest

from ringback.core.policy.source_policy import Source
from ringback.core.shadows.shadow_report import (
    AnswerComparison,
    AnswerDifferenceGroup,
    ComparableResult,
    LatencyPercentiles,
    ShadowReport,
    meaning_of,
    percentiles,
)
from tests.fakes import NOW

SOURCES = (Source.TWILIO, Source.KORE)


def answer(ending: int | str, milliseconds: float | None = None) -> ComparableResult:
    """Return a result with this status, or with this failure or result instead of an answer."""
    if isinstance(ending, int):
        result = "delivered" if 200 <= ending <= 299 else "refused"
        return ComparableResult(result, ending, None, milliseconds)
    if ending in ("unknown", "open"):
        return ComparableResult(ending)
    return ComparableResult("unreachable", None, ending, milliseconds)


def pair(
    first: int | str,
    copy: int | str,
    *,
    is_same_body: bool | None = None,
    account_sid: str = "AC1",
    url: str = "http://a.example/",
    number: int = 1,
    took: tuple[float, float] | None = None,
) -> AnswerComparison:
    first_took, copy_took = took or (None, None)
    return AnswerComparison(
        f"CC{number}",
        f"CB{number}",
        account_sid,
        url,
        NOW,
        SOURCES,
        answer(first, first_took),
        answer(copy, copy_took),
        is_same_body,
    )


@pytest.mark.parametrize(
    ("compared", "is_same"),
    [
        (pair(200, 200), True),
        (pair(200, 200, is_same_body=True), True),
        (pair(200, 200, is_same_body=False), False),
        (pair(200, 204), False),
        (pair(200, 401), False),
        (pair(200, "connect"), False),
        (pair("connect", "connect"), True),
        (pair("connect", "read_timeout"), False),
    ],
)
def test_answers_are_equal_by_status_or_failure_and_by_body(
    compared: AnswerComparison, is_same: bool
) -> None:
    assert compared.is_known
    assert compared.is_same is is_same


@pytest.mark.parametrize("pair_", [pair(200, "unknown"), pair("unknown", 200), pair(200, "open")])
def test_open_or_unknown_results_are_not_compared(pair_: AnswerComparison) -> None:
    assert not pair_.is_known
    assert meaning_of(pair_) == "the result of the callback or of its copy is not known"


@pytest.mark.parametrize(
    ("compared", "meaning"),
    [
        (pair(200, 200), "both got the same answer"),
        (pair(200, 200, is_same_body=False), "both got the same answer, except for the body"),
        (pair(200, 204), "the receiver accepts both, with different statuses"),
        (pair(200, 401), "the receiver refuses kore's signature"),
        (pair(204, 403), "the receiver refuses kore's signature"),
        (pair(200, 404), "the receiver has nothing at the copy's URL"),
        (pair(200, 429), "the receiver limits the rate of requests (429)"),
        (pair(200, 400), "the receiver rejects a request from kore, or the mark of the copy (4xx)"),
        (pair(200, 500), "the receiver fails (5xx) on a request from kore"),
        (pair(200, 302), "the receiver answers with a redirect; redirects are not followed"),
        (pair(200, "guard"), "the settings do not allow callbacks to the copy's URL"),
        (pair(200, "secret"), "the secret that signs for kore no longer exists; nothing was sent"),
        (pair(200, "source"), "the settings no longer define the source kore; nothing was sent"),
        (pair(200, "total_timeout"), "the receiver doesn't answer a request from kore in time"),
        (
            pair(200, "connect"),
            "no answer came to a request from kore; does a firewall block its addresses?",
        ),
        (pair(401, 200), "the receiver refuses twilio's signature, and accepts kore's"),
        (pair(503, 200), "the receiver accepted the copy from kore, which came later"),
        (pair("connect", 503), "both failed, in different ways"),
        (pair(401, 503), "both failed, in different ways"),
    ],
)
def test_each_kind_of_difference_has_a_meaning(compared: AnswerComparison, meaning: str) -> None:
    assert meaning_of(compared) == meaning


def test_a_meaning_names_its_sources() -> None:
    compared = pair(200, 401)._replace(sources=(Source.KORE, Source.TWILIO))
    assert meaning_of(compared) == "the receiver refuses twilio's signature"


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([], None),
        ([7.0], LatencyPercentiles(7.0, 7.0)),
        ([float(number) for number in range(100, 0, -1)], LatencyPercentiles(50.0, 95.0)),
    ],
)
def test_percentiles_are_by_nearest_rank(
    times: list[float], expected: LatencyPercentiles | None
) -> None:
    assert percentiles(times) == expected


def test_a_report_counts_by_url_and_kind_with_the_first_pair_as_example() -> None:
    report = ShadowReport()
    for compared in (
        pair(200, 200, took=(1.0, 10.0)),
        pair(200, 401, number=2, took=(2.0, 20.0)),
        pair(200, 401, number=3),
        pair(200, 200, number=4, is_same_body=False),
        pair(200, "unknown", number=5, took=(9.0, 90.0)),
        pair(200, 200, url="http://b.example/"),
        pair(200, 401, url="http://b.example/", account_sid="AC2"),
    ):
        report.add(compared)
    worst, of_another, other = report.urls
    assert (worst.url, worst.pairs, worst.same, worst.unknown) == ("http://a.example/", 5, 1, 1)
    refused, other_body = (
        AnswerDifferenceGroup("200", "401", SOURCES),
        AnswerDifferenceGroup("200", "200", SOURCES, has_other_body=True),
    )
    assert worst.differing == {refused: 2, other_body: 1}
    assert worst.examples == {
        refused: pair(200, 401, number=2, took=(2.0, 20.0)),
        other_body: pair(200, 200, number=4, is_same_body=False),
    }
    assert (worst.times_of_first, worst.times_of_copy) == ([1.0, 2.0], [10.0, 20.0])
    assert (other.url, other.pairs, other.same) == ("http://b.example/", 1, 1)
    assert (of_another.account_sid, of_another.url, of_another.same) == ("AC2", other.url, 0)
    assert worst.copied_from == {Source.KORE}
