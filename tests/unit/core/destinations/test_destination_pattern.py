import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.destinations.destination_pattern import (
    FORM,
    DestinationPattern,
    parsed_pattern,
    read_destination,
)

parse = DestinationPattern.parse
A = "https://a.example:443"


@pytest.mark.parametrize(
    ("text", "normal", "origin", "path"),
    [
        ("*", "*", "", ""),
        ("https://a.example", A, A, ""),
        ("https://a.example/", A, A, ""),
        ("HTTPS://A.Example:0443", "https://a.example:443", A, ""),
        ("http://a.example", "http://a.example:80", "http://a.example:80", ""),
        ("https://a.example:8443", f"{A[:-3]}8443", f"{A[:-3]}8443", ""),
        ("https://[2001:db8::1]", "https://[2001:db8::1]:443", "https://[2001:db8::1]:443", ""),
        ("https://*.Example.com", "https://*.example.com:443", "https://*.example.com:443", ""),
        ("https://a.example/App/*", f"{A}/App/*", A, "/App/*"),
        ("https://a.example/app*", f"{A}/app*", A, "/app*"),
        ("https://a.example/*", f"{A}/*", A, "/*"),
        (
            "https://*.example.com/app/*",
            "https://*.example.com:443/app/*",
            "https://*.example.com:443",
            "/app/*",
        ),
    ],
)
def test_a_pattern_has_a_normal_form(text: str, normal: str, origin: str, path: str) -> None:
    pattern = parse(text)
    assert pattern == (normal, origin, path)
    assert parse(pattern.text) == pattern
    assert parsed_pattern(text) == pattern


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("https://a.example/app", "its path must end with a star"),
        ("https://a.example/*/app/*", "its path must end with a star, and have no other one"),
        ("https://a.example/app?x=1*", "and no query"),
        ("https://a.example/app#x*", "and no query"),
        ("", "is not a pattern of destinations"),
        ("a.example", "'a.example' is not a pattern of destinations: it has no scheme; write"),
        ("**", "is not a pattern of destinations"),
        ("ftp://a.example", "is not a pattern of destinations"),
        ("https://", "is not a pattern of destinations"),
        ("https://*", "is not a pattern of destinations"),
        ("https://a.*.example", "is not a pattern of destinations"),
        ("https://*a.example", "is not a pattern of destinations"),
        ("https://a.example:0", "is not a pattern of destinations"),
        ("https://a.example:99999", "is not a pattern of destinations"),
        ("https://a.example /x*", "is not a pattern of destinations"),
        ("https://u:p@a.example", "a pattern of destinations has no user name or password"),
    ],
)
def test_what_is_no_pattern_is_refused_with_what_would_be_right(text: str, why: str) -> None:
    with pytest.raises(ValueError, match="pattern of destinations") as refused:
        parse(text)
    assert why in str(refused.value)
    assert FORM in str(refused.value)


def test_a_pattern_that_is_too_long_is_refused() -> None:
    longest = f"https://a.example/{'x' * 481}*"
    assert parse(f"{longest[:-1]}*").path.endswith("x*")
    with pytest.raises(ValueError, match="the pattern has 501 characters; at most 500 fit"):
        parse(f"{longest}*")


def test_a_password_is_not_shown() -> None:
    with pytest.raises(ValueError, match="user name") as refused:
        parse("https://user:s3cret@a.example")
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("pattern", "destination", "matches"),
    [
        ("*", A, True),
        ("*", f"{A}/app/*", True),
        ("https://a.example", A, True),
        ("https://a.example", f"{A}/app/*", True),
        ("https://a.example", "https://a.example:444", False),
        ("https://a.example", "http://a.example:443", False),
        ("https://*.example", A, True),
        ("https://*.example", "https://b.a.example:443", True),
        ("https://*.a.example", A, False),
        ("https://*.example", "https://a.example:444", False),
        ("https://*.example", "http://a.example:443", False),
        ("https://*.example", "https://aexample:443", False),
        ("https://a.example/app/*", A, False),
        ("https://a.example/app/*", f"{A}/app/*", True),
        ("https://a.example/app/*", f"{A}/app/deep/*", True),
        ("https://a.example/app/deep/*", f"{A}/app/*", False),
        ("https://a.example/App/*", f"{A}/app/*", False),
        ("https://*.example/app/*", f"{A}/app/*", True),
        ("https://*.example/app/*", A, False),
    ],
)
def test_a_pattern_matches_destinations_and_parts(
    pattern: str, destination: str, *, matches: bool
) -> None:
    assert parse(pattern).matches(destination) is matches


@pytest.mark.parametrize(
    ("pattern", "url", "splits_off"),
    [
        ("https://a.example/app/*", "https://a.example/app/hook", True),
        ("https://a.example/app/*", "https://A.Example:443/app/", True),
        ("https://a.example/app/*", "https://a.example/app", False),
        ("https://a.example/app*", "https://a.example/application", True),
        ("https://a.example/app/*", "https://a.example/APP/hook", False),
        ("https://a.example/app/*", "https://b.example/app/hook", False),
        ("https://a.example/*", "https://a.example", True),
        ("https://*.example/app/*", "https://a.example/app/hook?x=1", True),
        ("https://a.example", "https://a.example/app/hook", False),
        ("*", "https://a.example/app/hook", False),
    ],
)
def test_a_pattern_with_a_path_splits_off_a_part(
    pattern: str, url: str, *, splits_off: bool
) -> None:
    assert parse(pattern).splits_off(CallbackUrl.parse(url)) is splits_off


def test_the_more_special_pattern_comes_first() -> None:
    patterns = [
        parse(text)
        for text in (
            "https://a.example/app/deep/*",
            "https://a.example/app/*",
            "https://a.example",
            "https://*.b.example/app/*",
            "https://*.example/app/*",
            "https://*.long.b.example",
            "https://*.example",
            "*",
        )
    ]
    assert sorted(patterns, key=lambda one: one.specificity, reverse=True) == patterns
    assert [one.is_exact for one in patterns] == [True] * 3 + [False] * 5


LABELS = st.text("abcxyz019", min_size=1, max_size=5)
ORIGINS = st.builds(
    "{}://{}{}.example{}".format,
    st.sampled_from(("http", "https", "HTTPS")),
    st.sampled_from(("", "*.")),
    LABELS,
    st.sampled_from(("", ":8080")),
)
PATTERNS = st.builds("{}{}".format, ORIGINS, st.sampled_from(("", "/*", "/App/*", "/x*")))


@given(PATTERNS)
def test_the_normal_form_is_stable_and_an_exact_pattern_matches_itself(text: str) -> None:
    pattern = parse(text)
    assert parse(pattern.text) == pattern
    if pattern.is_exact:
        assert pattern.matches(pattern.text)
        assert read_destination(pattern.text) == pattern.text


# ---- what a user means ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "destination"),
    [
        ("https://a.example/hook?x=1#cbs=kore", A),
        ("HTTPS://A.example", A),
        (A, A),
        ("https://a.example/app/*", f"{A}/app/*"),
    ],
)
def test_a_destination_is_meant_by_a_url_or_a_name(text: str, destination: str) -> None:
    assert read_destination(text) == destination


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("*", "'*' matches several destinations; write one like https://host or https://host/app/"),
        ("https://*.example/app/*", "matches several destinations; write one like https://host"),
        ("a.example", "it must be like https://host/path"),
        ("https://a.example/x?*", "is not a pattern of destinations"),
    ],
)
def test_what_is_no_single_destination_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match="https") as refused:
        read_destination(text)
    assert why in str(refused.value)
