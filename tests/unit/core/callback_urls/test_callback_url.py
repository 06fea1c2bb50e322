import pytest

from ringback.core.callback_urls.callback_url import (
    MAX_LENGTH,
    STREAM_WARNING,
    CallbackUrl,
    HttpMethod,
)
from ringback.core.callback_urls.connection_overrides import ConnectionOverrides, RetryOn
from ringback.core.errors import InvalidCallbackUrl
from ringback.core.policy.source_policy import Source


def test_a_method_is_its_name_on_the_wire() -> None:
    assert [str(method) for method in HttpMethod] == ["POST", "GET"]


parse = CallbackUrl.parse


def refusal_of(text: str) -> str:
    with pytest.raises(InvalidCallbackUrl) as refused:
        parse(text)
    assert refused.value.code == 11100
    assert refused.value.status == 400
    return refused.value.message


# ---- the parts


def test_a_url_is_split_letter_by_letter() -> None:
    url = parse("HTTP://User:p%40ss@Example.COM:8080/Path;v=1/%7e?b=2&a=%20#rc=2&cbs=kore")
    assert (url.scheme, url.host, url.explicit_port) == ("HTTP", "Example.COM", "8080")
    assert (url.path, url.query) == ("/Path;v=1/%7e", "b=2&a=%20")
    assert (url.fragment, url.credentials) == ("rc=2&cbs=kore", "User:p%40ss")


@pytest.mark.parametrize(
    ("text", "authority", "resource", "wire"),
    [
        ("http://a.example", "a.example", "http://a.example", "http://a.example"),
        ("http://a.example/", "a.example", "http://a.example/", "http://a.example/"),
        ("http://a.example?x=1", "a.example", "http://a.example", "http://a.example?x=1"),
        ("http://a.example/p?", "a.example", "http://a.example/p", "http://a.example/p?"),
        ("http://a.example/p?x=?/@", "a.example", "http://a.example/p", "http://a.example/p?x=?/@"),
        ("http://a.example:80/p", "a.example:80", "http://a.example:80/p", "http://a.example:80/p"),
        ("http://a:080/p", "a:080", "http://a:080/p", "http://a:080/p"),
        ("HTTPS://A.Example/P", "A.Example", "HTTPS://A.Example/P", "HTTPS://A.Example/P"),
        ("http://[::1]:9000/p", "[::1]:9000", "http://[::1]:9000/p", "http://[::1]:9000/p"),
        ("http://a/!$%&'()*,;~", "a", "http://a/!$%&'()*,;~", "http://a/!$%&'()*,;~"),
        ("http://a.example./", "a.example.", "http://a.example./", "http://a.example./"),
        ("http://127.0.0.1/a//b", "127.0.0.1", "http://127.0.0.1/a//b", "http://127.0.0.1/a//b"),
        ("http://my_host/a@b:c", "my_host", "http://my_host/a@b:c", "http://my_host/a@b:c"),
    ],
)
def test_nothing_is_normalised(text: str, authority: str, resource: str, wire: str) -> None:
    url = parse(text)
    assert (url.authority, url.resource, url.wire) == (authority, resource, wire)


def test_equal_urls_have_equal_hashes_so_that_caches_find_them() -> None:
    text = "https://a.example:8443/p?x=1#cbs=kore"
    assert {parse(text): "found"}[parse(text)] == "found"
    assert parse("https://a.example/q") not in {parse("https://a.example/p")}


@pytest.mark.parametrize(
    ("text", "port", "uses_tls", "hostname"),
    [
        ("http://a.example/", 80, False, "a.example"),
        ("https://a.example/", 443, True, "a.example"),
        ("HTTPS://a.example/", 443, True, "a.example"),
        ("http://a.example:443/", 443, False, "a.example"),
        ("https://a.example:080/", 80, True, "a.example"),
        ("https://a.example:1/", 1, True, "a.example"),
        ("https://a.example:65535/", 65535, True, "a.example"),
        ("http://[2001:db8::1]/", 80, False, "2001:db8::1"),
    ],
)
def test_the_host_and_port_to_connect_to_follow_from_the_url(
    text: str, port: int, uses_tls: bool, hostname: str
) -> None:
    url = parse(text)
    assert (url.port, url.uses_tls, url.hostname) == (port, uses_tls, hostname)


@pytest.mark.parametrize(
    ("text", "with_more"),
    [
        ("http://a.example", "http://a.example?y=2"),
        ("http://a.example/p", "http://a.example/p?y=2"),
        ("http://a.example/p?", "http://a.example/p?y=2"),
        ("http://a.example/p?x=1", "http://a.example/p?x=1&y=2"),
        ("http://a.example/p?x=1&", "http://a.example/p?x=1&&y=2"),
        ("http://a.example/p?x=1#cbs=kore", "http://a.example/p?x=1&y=2"),
    ],
)
def test_parameters_join_the_query(text: str, with_more: str) -> None:
    assert parse(text).with_parameters("y=2").wire == with_more


# ---- parts that are never sent


SECRETIVE = parse("https://user:hunter2@a.example:8443/p?x=1#cbs=kore&rc=2")


@pytest.mark.parametrize("part", ["wire", "resource", "authority", "hostname", "path", "query"])
@pytest.mark.parametrize("secret", ["user", "hunter2", "#", "cbs", "rc=2"])
def test_fragment_and_credentials_are_in_no_part_that_is_sent(part: str, secret: str) -> None:
    assert secret not in str(getattr(SECRETIVE, part))


def test_records_show_the_fragment_and_hide_the_credentials() -> None:
    assert SECRETIVE.shown == "https://a.example:8443/p?x=1#cbs=kore&rc=2"
    assert "hunter2" not in repr(SECRETIVE)


def test_records_show_a_url_without_a_fragment_unchanged() -> None:
    assert parse("http://a.example/p?x=1").shown == "http://a.example/p?x=1"


def test_a_recorded_url_with_its_credentials_is_the_same_url_again() -> None:
    assert parse(SECRETIVE.shown).with_credentials("user:hunter2") == SECRETIVE


@pytest.mark.parametrize(
    "text",
    [
        "https://user:hunter2@a.example:8443/p?x=1#cbs=kore&rc=2",
        "http://user:p@ss:word@a.example/p?u=http://b.example/#rc=2",
        "http://@a.example",
        "HTTP://A.example/?#",
        "http://[::1]:80/",
    ],
)
def test_the_configured_form_of_a_url_is_the_given_text(text: str) -> None:
    assert parse(text).configured == text


@pytest.mark.parametrize(
    ("text", "credentials"),
    [
        ("http://a.example/", None),
        ("http://user@a.example/", "user"),
        ("http://user:@a.example/", "user:"),
        ("http://:pass@a.example/", ":pass"),
        ("http://us:er:pa:ss@a.example/", "us:er:pa:ss"),
        ("http://user@corp:pass@a.example/", "user@corp:pass"),
        ("http://a.example/user:pass@b.example", None),
        ("http://a.example?user:pass@b.example", None),
    ],
)
def test_credentials_are_before_the_last_at_sign_of_the_authority(
    text: str, credentials: str | None
) -> None:
    url = parse(text)
    assert (url.credentials, url.host) == (credentials, "a.example")


# ---- fragments


@pytest.mark.parametrize(
    ("fragment", "source"),
    [
        ("", None),
        ("#", None),
        ("#cbs=twilio", Source.TWILIO),
        ("#cbs=kore", Source.KORE),
        ("#rc=2&cbs=kore", Source.KORE),
        ("#cbs=kore&rp=5xx,ct", Source.KORE),
        ("#rc=2&rp=ct", None),
        ("#foo=cbs=kore", None),
        ("?cbs=kore", None),
    ],
)
def test_cbs_chooses_a_source(fragment: str, source: Source | None) -> None:
    assert parse(f"http://a.example/{fragment}").source is source


def test_one_fragment_sets_the_source_and_the_connection() -> None:
    url = parse("http://a.example/#rc=2&cbs=kore&rp=5xx,ct")
    assert url.source is Source.KORE
    assert url.connection == ConnectionOverrides(
        retry_count=2, retry_on=frozenset({RetryOn.SERVER_ERROR, RetryOn.CONNECT})
    )
    assert url.warnings == ()


@pytest.mark.parametrize("value", ["foo", "Kore", "KORE", "TWILIO", "", "kore,twilio", "kore%20"])
def test_an_unknown_cbs_is_refused_with_its_value_and_the_valid_ones(value: str) -> None:
    message = refusal_of(f"http://a.example/#cbs={value}")
    assert message == f"#cbs={value}: cbs must be twilio or kore"


@pytest.mark.parametrize("fragment", ["cbs", "rc=2&cbs", "cbs=kore#rc=2", "cbs=kore?rc=2"])
def test_a_malformed_cbs_is_refused_too(fragment: str) -> None:
    assert refusal_of(f"http://a.example/#{fragment}").endswith("cbs must be twilio or kore")


@pytest.mark.parametrize(
    ("fragment", "warning"),
    [
        ("foo=1", "the fragment key 'foo' is unknown and has no effect"),
        ("section-2", "the fragment key 'section-2' is unknown and has no effect"),
        ("=kore", "the fragment key '' is unknown and has no effect"),
        ("CBS=kore", "the fragment key 'CBS' is unknown and has no effect; did you mean cbs?"),
        ("Rc=9", "the fragment key 'Rc' is unknown and has no effect; did you mean rc?"),
        ("SNI=y", "the fragment key 'SNI' is unknown and has no effect; did you mean sni?"),
    ],
)
def test_a_key_without_effect_is_kept_and_causes_a_warning(fragment: str, warning: str) -> None:
    url = parse(f"http://a.example/#{fragment}")
    assert url.fragment == fragment
    assert url.source is None
    assert url.warnings == (warning,)


def test_an_unknown_key_does_not_affect_the_known_ones() -> None:
    url = parse("http://a.example/#foo=1&cbs=kore&bar&rc=3")
    assert (url.source, url.connection.retry_count) == (Source.KORE, 3)
    assert url.warnings == (
        "the fragment key 'foo' is unknown and has no effect",
        "the fragment key 'bar' is unknown and has no effect",
    )


@pytest.mark.parametrize("fragment", ["cbs=kore&cbs=twilio", "cbs=kore&cbs=kore", "cbs=kore&cbs"])
def test_a_source_chosen_twice_is_refused(fragment: str) -> None:
    message = refusal_of(f"http://a.example/#{fragment}")
    assert message == "#cbs is given twice in the callback URL; give it once"


def test_a_setting_given_twice_is_refused() -> None:
    message = refusal_of("http://a.example/#rc=1&cbs=kore&rc=1")
    assert message == "#rc is given twice in the callback URL; give it once"


def test_an_unknown_key_may_be_repeated() -> None:
    assert len(parse("http://a.example/#x&x=1").warnings) == 2


@pytest.mark.parametrize(
    "text", ["http://user:12#cbs=hunter2@a.example/", "http://u:8#rc=hunter2@a/"]
)
def test_a_password_with_a_number_sign_is_in_no_message(text: str) -> None:
    message = refusal_of(text)
    assert "hunter2" not in message
    assert "write it as %23" in message


@pytest.mark.parametrize("fragment", ["#", "#&", "#cbs=kore&", "#&cbs=kore", "#&cbs=kore&&rc=2&"])
def test_an_empty_setting_causes_no_warning(fragment: str) -> None:
    assert parse(f"http://a.example/{fragment}").warnings == ()


def test_a_setting_out_of_range_is_refused() -> None:
    message = refusal_of("http://a.example/#rc=99")
    assert message == "#rc=99: rc must be a whole number from 0 to 5"


def test_more_warnings_are_added_to_those_of_the_fragment() -> None:
    url = parse("http://a.example/#foo").with_warnings("CallbackMethod was ignored")
    assert url.warnings == (
        "the fragment key 'foo' is unknown and has no effect",
        "CallbackMethod was ignored",
    )


# ---- hostile and broken URLs


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "http",
        "//a.example/path",
        "/path",
        "http:/a.example",
        "http:a.example",
        "://a.example/",
        "1http://a.example/",
        "http://[::1/",
        "http://a]b/",
        "http://[::1]x/",
    ],
)
def test_text_that_is_not_a_url_is_refused(text: str) -> None:
    assert refusal_of(text) == f"{text!r} is not a valid URL; it must be like https://host/path"


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("ftp://a.example/", "ftp"),
        ("file:///etc/passwd", "file"),
        ("javascript://a.example/%0aalert(1)", "javascript"),
        ("unix+http://a.example/", "unix+http"),
    ],
)
def test_only_http_and_https_are_accepted(text: str, scheme: str) -> None:
    assert refusal_of(text) == f"{text!r}: callbacks go to http:// or https://, not {scheme}://"


NO_NAME = "its host is not a valid host name"
NO_ADDRESS = "the host in brackets is not a valid IPv6 address"
NO_PORT = "its port must be a number from 1 to 65535"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("http://", NO_NAME),
        ("http:///path", NO_NAME),
        ("http://?x=1", NO_NAME),
        ("http://a..b/", NO_NAME),
        ("http://.a/", NO_NAME),
        ("http://-a/", NO_NAME),
        ("http://a%2eexample/", NO_NAME),
        ("http://a,b/", NO_NAME),
        (f"http://{'a.' * 127}/", NO_NAME),
        ("http://::1/", NO_NAME),
        ("http://[]/", NO_ADDRESS),
        ("http://[::g]/", NO_ADDRESS),
        ("http://[127.0.0.1]/", NO_ADDRESS),
        ("http://[fe80::1%25eth0]/", NO_ADDRESS),
        ("http://[::1%eth0]/", NO_ADDRESS),
        ('http://[::1%"<x>]/', NO_ADDRESS),
        ("http://a.example:/", NO_PORT),
        ("http://a.example:0/", NO_PORT),
        ("http://a.example:65536/", NO_PORT),
        ("http://a.example:-1/", NO_PORT),
        ("http://a.example:+80/", NO_PORT),
        ("http://a.example:8_0/", NO_PORT),
        ("http://a.example:http/", NO_PORT),
        (f"http://a.example:{'9' * 4000}/", NO_PORT),
    ],
)
def test_a_message_names_the_wrong_part(text: str, problem: str) -> None:
    shown = repr(text if len(text) <= 200 else text[:200] + "…")
    assert refusal_of(text) == f"{shown}: {problem}"


@pytest.mark.parametrize(
    ("text", "odd", "escaped"),
    [
        (" http://a.example/", " ", "%20"),
        ("http://a.example/ ", " ", "%20"),
        ("http://a.example/a b", " ", "%20"),
        ("http://a.example/\r\nX-Evil: 1", "\r", "%0D"),
        ("http://a.example/\nX-Evil: 1", "\n", "%0A"),
        ("http://a.example/#cbs=kore\n", "\n", "%0A"),
        ("http://a.example/\x00", "\x00", "%00"),
        ("http://a.example/\t", "\t", "%09"),
        ("http://a.example\\@b.example/", "\\", "%5C"),
        ("http://exämple.com/", "ä", "%C3%A4"),
        ("http://a.example/ä", "ä", "%C3%A4"),
        ("http://a.example/\x7f", "\x7f", "%7F"),
        ("http://a.example/\ud800", "\ud800", "%3F"),
        ("http://a.example:8\u0660/", "\u0660", "%D9%A0"),
        ("http://a。example/", "。", "%E3%80%82"),
    ],
)
def test_a_character_that_no_url_may_have_is_refused(text: str, odd: str, escaped: str) -> None:
    message = refusal_of(text)
    assert f"has the character {odd!r}; in a URL it is written {escaped}" in message


def test_the_message_about_a_character_says_what_would_be_right() -> None:
    assert refusal_of("http://user:hunter2@ä.example/") == (
        "'…@ä.example/' has the character 'ä'; in a URL it is written %C3%A4"
        " (in a host name as punycode)"
    )


def test_an_empty_url_is_refused() -> None:
    assert refusal_of("") == "the callback URL is empty; it must be like https://host/path"


def test_a_url_may_be_as_long_as_the_limit_and_no_longer() -> None:
    longest = "http://a.example/".ljust(MAX_LENGTH, "x")
    assert parse(longest).wire == longest
    assert (
        refusal_of(longest + "x")
        == "the callback URL has 4097 characters; at most 4096 are allowed"
    )


def test_a_long_url_is_truncated_in_messages() -> None:
    short_enough = "http://a.example:0/".ljust(200, "x")
    assert refusal_of(short_enough).startswith(f"'{short_enough}': ")
    assert refusal_of(short_enough + "y").startswith(f"'{short_enough}…': ")


@pytest.mark.parametrize(
    "text",
    [
        "ftp://user:hunter2@a.example/",
        "http://user:hunter2@/",
        "http://user:hunter2@a.example:0/",
        "http://user:hunter2@a..example/",
        "http://user:hunter2@a.example/ä",
        "http://user:hunter2@a.example/#cbs=foo",
        "http://user:hunter2@a.example/#rc=99",
        "http://user:hunter2@[::g]/",
        "http://us@er:hunter2@a.example:0/",
        "http://user:hunter2 @a.example/",
        "https://user:hunter2/x@a.example/",
        "https://user:hunter2?x@a.example/",
        "https://user:hunter2#x@a.example/",
        "https:/user:hunter2@a.example/",
        "https:user:hunter2@a.example/",
        "user:hunter2@a.example/",
        "https:\\\\user:hunter2@a.example/",
        "https://user:hunter2\n@a.example/",
    ],
)
def test_no_message_has_a_password(text: str) -> None:
    assert "hunter2" not in refusal_of(text)


# ---- parts derived from a URL


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("http://a.example", "/"),
        ("http://a.example?x=1", "/?x=1"),
        ("http://a.example/?", "/?"),
        ("http://a.example/p?x=1#rc=2", "/p?x=1"),
        ("http://u:p@a.example//b/../c;d=1", "//b/../c;d=1"),
    ],
)
def test_a_request_line_has_the_path_and_the_query(text: str, target: str) -> None:
    assert parse(text).target == target


@pytest.mark.parametrize(
    ("text", "destination"),
    [
        ("http://a.example", "http://a.example:80"),
        ("https://a.example/p?x=1#rc=2", "https://a.example:443"),
        ("HTTPS://A.Example:443", "https://a.example:443"),
        ("http://user:hunter2@a.example:0080/", "http://a.example:80"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("http://[2001:DB8::1]/", "http://[2001:db8::1]:80"),
    ],
)
def test_a_destination_has_one_spelling(text: str, destination: str) -> None:
    assert parse(text).destination == destination


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("http://a.example/", None),
        ("http://user:pass@a.example/", "Basic dXNlcjpwYXNz"),
        ("http://user@a.example/", "Basic dXNlcjo="),
        ("http://user:p%40ss%3A@a.example/", "Basic dXNlcjpwQHNzOg=="),
    ],
)
def test_credentials_become_a_header(text: str, header: str | None) -> None:
    assert parse(text).authorization == header


def test_derived_parts_follow_from_the_changed_url() -> None:
    url = parse("http://a.example/p")
    assert (url.wire, url.target, url.authorization) == ("http://a.example/p", "/p", None)
    changed = url.with_parameters("A=1").with_credentials("user:pass")
    assert (changed.wire, changed.target) == ("http://a.example/p?A=1", "/p?A=1")
    assert changed.authorization == "Basic dXNlcjpwYXNz"


# ---- URLs that were accepted once


@pytest.mark.parametrize(
    "text", ["http://a.example", "https://A.Example:8443/p?x=1#rc=2&cbs=kore&e=a,b&new"]
)
def test_a_stored_url_is_read_back_unchanged(text: str) -> None:
    assert CallbackUrl.read_back(text) == parse(text)


def test_a_stored_url_with_a_former_source_is_read_back() -> None:
    url = CallbackUrl.read_back("http://a.example/p#rc=2&cbs=acme")
    assert (url.source, url.connection.retry_count, url.warnings) == ("acme", 2, ())


def test_a_url_may_choose_a_custom_source() -> None:
    url = CallbackUrl.parse("http://a.example/p#cbs=acme", ["twilio", "kore", "acme"])
    assert url.source == "acme"
    with pytest.raises(InvalidCallbackUrl, match="#cbs=x: cbs must be twilio, kore or acme"):
        CallbackUrl.parse("http://a.example/p#cbs=x", ["twilio", "kore", "acme"])


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        ("http://a.example/p#ct=1&cbs=kore", "http://a.example/p"),
        ("http://a.example:0/", "http://a.example:0/"),
        ("http://a..example/", "http://a..example/"),
    ],
)
def test_a_stored_url_that_would_be_refused_now_is_still_called(text: str, wire: str) -> None:
    refusal_of(text)
    url = CallbackUrl.read_back(text)
    assert (url.wire, url.shown, url.source) == (wire, text, None)
    assert url.connection == ConnectionOverrides()
    assert url.warnings == ("its fragment is no longer valid, and has no effect",)


def test_the_stored_url_of_a_kinesis_stream_is_read_back_without_a_warning() -> None:
    text = "kinesis://events.111111111111.us-east-1:443/aws"
    refusal_of(text)
    url = CallbackUrl.read_back(text)
    assert (url.shown, url.host, url.port) == (text, "events.111111111111.us-east-1", 443)
    assert url.warnings == ()


def test_text_that_was_never_a_url_cannot_be_read_back() -> None:
    with pytest.raises(ValueError, match="the stored callback URL 'nonsense' is not a valid URL"):
        CallbackUrl.read_back("nonsense")


def test_another_path_leaves_everything_else() -> None:
    url = parse("https://user:pass@a.example:8443/p?x=1#rc=2").with_path("/q/r")
    assert url.configured == "https://user:pass@a.example:8443/q/r?x=1#rc=2"
    assert url.connection.retry_count == 2


def test_the_fragment_of_a_streams_url_has_no_effect_but_a_warning() -> None:
    own = ConnectionOverrides(attempt_timeout_ms=5000)
    url = CallbackUrl.parse("https://u:p@a.example/e?x=1#cbs=kore&rc=3&odd=1").of_stream(own)
    assert (url.source, url.connection) == (None, own)
    assert url.warnings == (STREAM_WARNING,)
    assert url.shown == "https://a.example/e?x=1#cbs=kore&rc=3&odd=1"
    assert url.credentials == "u:p"
    assert url.of_stream(own) is url
    assert CallbackUrl.read_back(url.shown).with_warnings(STREAM_WARNING).of_stream(
        own
    ).warnings == (STREAM_WARNING,)


def test_a_streams_url_without_a_fragment_has_no_warning() -> None:
    own = ConnectionOverrides(attempt_timeout_ms=5000)
    assert CallbackUrl.parse("https://a.example/e").of_stream(own).warnings == ()
