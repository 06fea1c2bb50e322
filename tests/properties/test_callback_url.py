from contextlib import suppress

from hypothesis import example, given
from hypothesis import strategies as st

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.errors import InvalidCallbackUrl
from tests.properties.strategies import any_text, urls

# Text that is nearly a URL finds more errors than arbitrary text.
nearly_urls = st.lists(
    st.one_of(
        st.sampled_from(
            ["http", "https", ":", "/", "//", "@", "?", "#", "[", "]", "::1", ".", "%", "&", "=",
             "cbs=kore", "cbs=", "rc=2", "rp=", "a.example", "80", "\\", " ", "\r\n", "ä"]
        ),
        st.text(max_size=3),
    ),
    max_size=14,
).map("".join)  # fmt: skip


@given(st.one_of(any_text, nearly_urls, nearly_urls.map("http://{}".format)))
@example("http://[::1]:80/?#")
def test_any_text_is_refused_or_parsed(text: str) -> None:
    with suppress(InvalidCallbackUrl):
        url = CallbackUrl.parse(text)
        assert CallbackUrl.parse(url.shown).with_credentials(url.credentials) == url
        assert url.configured == text


@given(urls())
def test_a_valid_url_is_parsed_and_its_record_parses_to_the_same(text: str) -> None:
    url = CallbackUrl.parse(text)
    assert CallbackUrl.parse(url.shown).with_credentials(url.credentials) == url


@given(urls())
def test_a_valid_url_is_stored_unchanged(text: str) -> None:
    assert CallbackUrl.parse(text).configured == text


@given(urls())
def test_the_called_url_ends_before_the_fragment(text: str) -> None:
    url = CallbackUrl.parse(text)
    assert not {"#"} & set(url.wire + url.resource + url.authority)
    assert url.shown.partition("#")[0] == url.wire


@given(st.one_of(any_text, nearly_urls, urls()))
def test_a_host_and_a_port_can_always_be_connected_to(text: str) -> None:
    with suppress(InvalidCallbackUrl):
        url = CallbackUrl.parse(text)
        assert url.hostname
        assert 1 <= url.port <= 65535
