"""Curl commands: how a shell reads their quotes, and the request that curl would send."""

import pytest

from ringback.captures import CapturedRequest, UnreadableCapture
from ringback.captures.curl_parser import read
from ringback.captures.shell_words import shell_words


def refusal_of(text: str) -> str:
    with pytest.raises(UnreadableCapture) as refused:
        read(text)
    return str(refused.value)


def body_of(options: str) -> bytes:
    return read(f"curl https://a.example/p {options}").request.body


# ---- words --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a  b\tc\nd", ["a", "b", "c", "d"]),
        ("a'b c'd", ["ab cd"]),
        ("'' \"\" x", ["", "", "x"]),
        (r'"a\"b\\c\d\$e"', [r'a"b\c\d$e']),
        ("a\\\nb \\\r\n c\\ d", ["ab", "c d"]),
        ('"a\\\nb"', ["ab"]),
        (r"$'it\'s\n\x41\u00e9\101\q'", ["it's\nAéAq"]),
        ("$a '$b'", ["$a", "$b"]),
        ("a | b", ["a"]),
        ("a; b", ["a"]),
        ("a 'b|c'", ["a", "b|c"]),
        ('curl ^"a^&b^" ^\n -d ^"x^%^20y^"', ["curl", "a&b", "-d", "x%20y"]),
        ('curl "a^&b" ^\n -d "^\\^"c^\\^""', ["curl", "a&b", "-d", '"c"']),
        ('curl -d ^"a^\n\nb^"', ["curl", "-d", "a\nb"]),
        ("curl a^b", ["curl", "a^b"]),
    ],
)
def test_a_command_is_split_into_words_as_by_its_shell(text: str, words: list[str]) -> None:
    assert shell_words(text) == words


def test_bytes_that_are_written_one_by_one_are_joined_to_characters() -> None:
    assert body_of(r"--data-raw $'\xc3\xa9\377'") == b"\xc3\xa9\xff"


@pytest.mark.parametrize("text", ["'a", '"a', "$'a", "a \\"])
def test_a_quote_without_an_end_is_refused(text: str) -> None:
    assert "that is never closed" in refusal_of(f"curl {text}")


# ---- options ------------------------------------------------------------------------------------


def test_a_command_without_options_is_a_get() -> None:
    capture = read("curl https://user:pass@a.example:81/p?x=1#cbs=kore")
    assert capture.url == "https://a.example:81/p?x=1"
    assert (capture.request.method, capture.request.target) == ("GET", "/p?x=1")
    assert capture.request.headers == (("Host", "a.example:81"),)


def test_a_url_without_a_scheme_is_http_as_for_curl() -> None:
    assert read("curl a.example").url == "http://a.example"


@pytest.mark.parametrize("data", ["-d x=1", "-dx=1", "--data x=1", "--data-raw x=1", "-sSdx=1"])
def test_data_makes_the_request_a_post_of_a_form(data: str) -> None:
    request = read(f"curl https://a.example/p {data}").request
    assert (request.method, request.body) == ("POST", b"x=1")
    assert request.values("Content-Type") == ["application/x-www-form-urlencoded"]


def test_several_data_options_are_joined() -> None:
    assert body_of("-d x=1 --data-binary y=2 --data-raw @z") == b"x=1&y=2&@z"


def test_data_is_encoded_if_the_option_says_so() -> None:
    options = "--data-urlencode 'a=b c&' --data-urlencode '=d e' --data-urlencode 'f g'"
    assert body_of(options) == b"a=b%20c%26&d%20e&f%20g"


def test_data_may_go_into_the_query() -> None:
    capture = read("curl -G https://a.example/p?x=1 -d y=2 -d z=3")
    assert capture.url == "https://a.example/p?x=1&y=2&z=3"
    assert (capture.request.method, capture.request.body) == ("GET", b"")
    assert read("curl --get https://a.example/p -d y=2").request.target == "/p?y=2"


def test_json_sets_its_content_type() -> None:
    request = read("""curl --json '[{"a":' --json '1}]' --url https://a.example/p""").request
    assert (request.method, request.body) == ("POST", b'[{"a":1}]')
    assert request.is_json


@pytest.mark.parametrize("option", ["-XPUT", "-X PUT", "--request PUT"])
def test_a_given_method_is_used(option: str) -> None:
    assert read(f"curl {option} a.example -d x=1").request.method == "PUT"


def test_head_and_empty_data_have_methods_of_their_own() -> None:
    assert read("curl -I a.example").request.method == "HEAD"
    assert read("curl -d '' a.example").request.method == "POST"


def test_headers_are_the_given_ones_and_an_empty_one_stays_empty() -> None:
    words = "-H 'A: b' -H 'Kore-Signature;' -H 'C:' -A agent -e from -b 'x=1' -H 'host: h'"
    assert read(f"curl a.example {words}").request.headers == (
        ("A", "b"),
        ("Kore-Signature", ""),
        ("C", ""),
        ("User-Agent", "agent"),
        ("Referer", "from"),
        ("Cookie", "x=1"),
        ("host", "h"),
    )


def test_options_that_do_not_affect_the_request_are_ignored() -> None:
    capture = read(
        "curl -sSL --compressed -u me:secret -o out -m 3 --retry 2 --no-buffer a.example"
    )
    assert capture.url == "http://a.example"
    assert capture.notes == ()


def test_an_unknown_option_is_named() -> None:
    [note] = read("curl --frobnicate a.example").notes
    assert note == "the option '--frobnicate' of the curl command is unknown, and was ignored"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("a.example -d @body.txt", "--data of the curl command reads the file 'body.txt'"),
        ("a.example --data-binary @b", "--data-binary of the curl command reads the file 'b'"),
        ("a.example --data-urlencode a@b", "--data-urlencode of the curl command reads the file"),
        ("a.example -H @b", "--header of the curl command reads the file 'b'"),
        ("a.example -F a=b", "--form of the curl command sends a multipart form"),
        ("a.example -T b", "--upload-file of the curl command sends a file"),
        ("a.example -H 'no colon'", "has 'no colon'; expected 'Name: value'"),
        ("a.example -H ';'", "has ';'; expected 'Name: value'"),
        ("a.example -H", "ends with -H, which needs a value"),
        ("a.example --data", "ends with --data, which needs a value"),
        ("-d x=1", "has no URL"),
        ("a.example b.example", "has 2 URLs"),
        (
            "--frobnicate x a.example",
            "has 2 URLs; expected one command with one URL (the option '--frob",
        ),
    ],
)
def test_an_unsupported_command_is_refused(words: str, why: str) -> None:
    assert why in refusal_of(f"curl {words}")


def test_no_message_has_credentials() -> None:
    capture: CapturedRequest = read("curl -u me:secret --foo https://me:secret@a.example/")
    assert "secret" not in repr(capture)
