"""Shadow rules in a settings file: which callbacks are copied, and to where."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.errors import ConfigurationError
from ringback.core.policy.source_policy import Source
from ringback.core.shadows.shadow import (
    ShadowQueryParameter,
    ShadowRule,
    ShadowTargetPath,
    ShadowTargetUrl,
)
from ringback.settings.load import load

FORM = (
    "a shadow has source, account_sid or url_prefix or both, one of parameter, path and url, and"
    " may have percent"
)
SHADOW = """
[[shadows]]
source = "kore"
url_prefix = "https://a.example/"
parameter = "shadow=1"
percent = 10
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ringback.toml"


@pytest.fixture
def read(path: Path) -> Callable[[str], tuple[ShadowRule, ...]]:
    """Return the shadows of a file with this text."""

    def read(text: str) -> tuple[ShadowRule, ...]:
        path.write_text(text, "utf-8")
        return load({"settings": str(path)}, {}).shadows

    return read


Read = Callable[[str], tuple[ShadowRule, ...]]


def test_each_way_to_mark_a_copy_is_read(read: Read) -> None:
    assert read(
        SHADOW
        + """
[[shadows]]
source = "twilio"
account_sid = "AC1"
path = "/shadow/callbacks"

[[shadows]]
source = "kore"
account_sid = "AC1"
url_prefix = "https://b.example"
url = "https://user:made-up@copies.example/in#ct=300"
"""
    ) == (
        ShadowRule(
            Source.KORE, ShadowQueryParameter("shadow=1"), None, "https://a.example/", percent=10
        ),
        ShadowRule(Source.TWILIO, ShadowTargetPath("/shadow/callbacks"), "AC1"),
        ShadowRule(
            Source.KORE,
            ShadowTargetUrl(CallbackUrl.parse("https://user:made-up@copies.example/in#ct=300")),
            "AC1",
            "https://b.example",
        ),
    )


@pytest.mark.parametrize("percent", [1, 100])
def test_a_share_may_be_the_smallest_or_all(percent: int, read: Read) -> None:
    (shadow,) = read(SHADOW.replace("= 10", f"= {percent}"))
    assert shadow.percent == percent


@pytest.mark.parametrize(
    ("right", "wrong", "line", "why"),
    [
        ('source = "kore"\n', "", 2, "source is missing"),
        (
            'source = "kore"',
            'source = "korea"',
            3,
            "source: 'korea' is not a source; it must be twilio or kore",
        ),
        ("url_prefix", "prefix", 4, "prefix is not a known key"),
        (
            'url_prefix = "https://a.example/"\n',
            "",
            3,
            ("a shadow needs account_sid or url_prefix, to say which callbacks it copies"),
        ),
        (
            'parameter = "shadow=1"\n',
            "",
            3,
            "a mark is missing, by which the receiver recognises a copy",
        ),
        ("percent", 'path = "/x"\npercent', 6, "give only one of parameter and path"),
        (
            '"shadow=1"',
            '"a b#c"',
            5,
            ("parameter = 'a b#c' can't be part of a URL's query; write one like shadow=1"),
        ),
        ('"shadow=1"', "1", 5, "parameter = 1 must be text in quotes"),
        (
            'parameter = "shadow=1"',
            'path = "copies?x=1"',
            5,
            "path = 'copies?x=1' is not a path; write one like /shadow/callbacks",
        ),
        (
            'parameter = "shadow=1"',
            'url = "ftp://user:secret@b.example/"',
            5,
            "url: '…@b.example/': callbacks go to http:// or https://, not ftp://",
        ),
        (
            'parameter = "shadow=1"',
            'url = "https://b.example/#cbs=kore"',
            5,
            "url: `source` decides where the copy comes from; remove #cbs=",
        ),
        ("= 10", "= 0", 6, "percent = 0 must be a whole number from 1 to 100"),
        ("= 10", "= 101", 6, "percent = 101 must be a whole number from 1 to 100"),
        ("= 10", "= true", 6, "percent = True must be a whole number from 1 to 100"),
    ],
)
def test_an_unusable_shadow_is_refused_by_its_line(
    right: str, wrong: str, *, line: int, why: str, read: Read, path: Path
) -> None:
    assert right in SHADOW
    with pytest.raises(ConfigurationError) as refusal:
        read(SHADOW.replace(right, wrong, 1))
    assert str(refusal.value) == f"{path}:{line}: {why}; {FORM}"


def test_shadows_that_are_not_tables_are_refused(read: Read, path: Path) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        read('shadows = "kore"')
    assert str(refusal.value) == (
        f"{path}:1: shadows must be written as [[shadows]] tables; {FORM}"
    )
