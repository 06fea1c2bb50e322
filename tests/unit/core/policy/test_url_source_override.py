import pytest

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.policy.source_policy import Source
from ringback.core.policy.url_source_override import override_source


@pytest.mark.parametrize(
    ("url", "asks_for_kore"),
    [
        ("http://a.example", "http://a.example#cbs=kore"),
        ("http://a.example/p?x=1&y=2", "http://a.example/p?x=1&y=2#cbs=kore"),
        ("http://a.example/#", "http://a.example/#cbs=kore"),
        ("http://a.example/#rc=2", "http://a.example/#rc=2&cbs=kore"),
        ("http://a.example/#rc=2&", "http://a.example/#rc=2&cbs=kore"),
        ("http://a.example/#&rc=2", "http://a.example/#&rc=2&cbs=kore"),
        ("http://a.example/#cbs=twilio", "http://a.example/#cbs=kore"),
        ("http://a.example/#cbs=twilio&rc=2", "http://a.example/#cbs=kore&rc=2"),
        (
            "http://a.example/#rc=2&cbs=twilio&rp=5xx,ct",
            "http://a.example/#rc=2&cbs=kore&rp=5xx,ct",
        ),
        ("http://a.example/#cbs", "http://a.example/#cbs=kore"),
        ("http://a.example/#cbs=twilio&rc=2&cbs=kore", "http://a.example/#cbs=kore&rc=2"),
        (
            "HTTP://U:p%40@A.Example:80/P?b&a#Rc=1&x",
            "HTTP://U:p%40@A.Example:80/P?b&a#Rc=1&x&cbs=kore",
        ),
    ],
)
def test_a_source_is_added_once_and_everything_else_stays(url: str, asks_for_kore: str) -> None:
    assert override_source(url, Source.KORE) == asks_for_kore
    assert CallbackUrl.parse(asks_for_kore).source == Source.KORE


def test_a_url_that_already_chooses_a_source_is_unchanged() -> None:
    for url in ("http://a.example/#cbs=twilio", "http://a.example/#&cbs=twilio&&rc=1&"):
        assert override_source(url, Source.TWILIO) == url


def test_a_key_in_another_letter_case_is_another_key() -> None:
    assert (
        override_source("http://a.example/#CBS=x", Source.KORE)
        == "http://a.example/#CBS=x&cbs=kore"
    )
