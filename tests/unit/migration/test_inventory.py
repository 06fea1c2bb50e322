import pytest

from ringback.core.policy.source_policy import NOTICE, PhaseHold, Policy, Source
from ringback.migration.inventory import InventoryLine, inventory
from ringback.migration.url_source import UrlEntry, UrlLocation
from tests.unit.migration.url_sources import ACCOUNT

T, K = Source.TWILIO, Source.KORE


def line(url: str, *, policy: Policy = NOTICE, fixed: str | None = None) -> InventoryLine:
    (found,) = inventory([UrlEntry(UrlLocation("fleet", ACCOUNT), url, fixed=fixed)], policy)
    return found


@pytest.mark.parametrize(
    ("url", "sources"),
    [
        ("https://a.example/", [T, K, K]),
        ("https://a.example/#cbs=kore", [K, K, K]),
        ("https://a.example/#cbs=twilio", [T, T, K]),
    ],
)
def test_a_line_shows_the_source_of_a_url_in_each_phase(url: str, sources: list[Source]) -> None:
    found = line(url).sources
    assert list(found) == ["before", "between", "after"]
    assert list(found.values()) == sources


def test_a_held_url_is_sent_from_the_same_source_in_every_phase() -> None:
    policy = Policy(NOTICE.phases, (PhaseHold("before", url_prefix="https://a.example/"),))
    assert set(line("https://a.example/p", policy=policy).sources.values()) == {T}


def test_shown_urls_have_no_credentials() -> None:
    for url in ("https://user:secret@a.example/p#rc=2", "https:/user:secret@a.example/p"):
        assert "secret" not in str(line(url).record)
        assert "a.example/p" in line(url).url


@pytest.mark.parametrize(
    ("url", "warning"),
    [
        ("https://a.example/#foo=1", "the fragment key 'foo' is unknown and has no effect"),
        ("https://a.example/#CBS=kore", "did you mean cbs?"),
        ("https://a.example/#cbs=KORE", "#cbs=KORE: cbs must be twilio or kore"),
        ("ftp://a.example/", "callbacks go to http:// or https://, not ftp://"),
        ("http://a.example/", "without TLS"),
        ("https://a.example/?x=1&y=2", "its query has several parameters"),
        ("https://10.0.0.1/", "10.0.0.1 is not a public address"),
        ("https://[::1]/", "::1 is not a public address"),
        ("https://localhost/", "localhost is a name that is valid only inside a machine"),
        ("https://a.LOCAL/", "a.LOCAL is a name that is valid only inside a machine"),
        ("https://a.example/%23cbs=kore", "its # is written %23"),
        ("https://a.example/?x=1&amp;y=2", "its & is written &amp;"),
    ],
)
def test_unusual_features_of_a_url_are_reported(url: str, warning: str) -> None:
    assert warning in " ".join(line(url).warnings)


def test_nothing_is_reported_about_an_ordinary_url() -> None:
    assert line("https://a.example/p?x=1#rc=2&cbs=kore").warnings == ()


def test_a_callback_of_another_service_has_no_source() -> None:
    entry = UrlEntry(
        UrlLocation("app.py:7"), "https://a.example/", service="OAuth: scope beside it"
    )
    (found,) = inventory([entry], NOTICE)
    assert (found.sources, found.record["service"]) == ({}, "OAuth: scope beside it")
    assert found.warnings == (
        "it seems to be a callback of OAuth (scope beside it), and is moved only if you select it:"
        " --select 'service=OAuth'",
    )


def test_the_reason_why_a_url_cannot_be_changed_replaces_the_reason_why_it_is_invalid() -> None:
    assert line("https://{host}/", fixed="it has a placeholder").warnings == (
        "it has a placeholder",
    )
