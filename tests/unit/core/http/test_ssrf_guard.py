from ipaddress import ip_network

import pytest

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.http.allowed_addresses import LOOPBACK
from ringback.core.http.ssrf_guard import ANY_PORT, SsrfGuard, read_ports, read_schemes

WEB = (range(80, 81), range(443, 444), range(8000, 9000))


def refusal_of(guard: SsrfGuard, url: str) -> str | None:
    return guard.refusal_of(CallbackUrl.parse(url))


@pytest.mark.parametrize("url", ["http://a.example/", "HTTPS://a.example/", "http://a.example:1/"])
def test_any_scheme_and_port_is_permitted_by_default(url: str) -> None:
    assert refusal_of(SsrfGuard(), url) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example/",
        "https://a.example/",
        "http://a.example:443/",
        "http://a.example:0080/",
        "http://a.example:8000/",
        "http://a.example:8999/",
    ],
)
def test_a_listed_port_is_permitted(url: str) -> None:
    assert refusal_of(SsrfGuard(ports=WEB), url) is None


@pytest.mark.parametrize("port", [1, 79, 81, 7999, 9000, 65535])
def test_another_port_is_refused_with_the_permitted_ones(port: int) -> None:
    assert refusal_of(SsrfGuard(ports=WEB), f"http://a.example:{port}/") == (
        f"callbacks may not go to port {port}; the settings permit 80,443,8000-8999"
    )


def test_the_default_port_of_a_url_counts_too() -> None:
    only_https = SsrfGuard(ports=(range(443, 444),))
    assert refusal_of(only_https, "http://a.example/") is not None
    assert refusal_of(only_https, "https://a.example/") is None


@pytest.mark.parametrize("url", ["http://a.example/", "HTTP://a.example:443/"])
def test_another_scheme_is_refused_in_any_letter_case(url: str) -> None:
    assert refusal_of(SsrfGuard(schemes=("https",)), url) == (
        "callbacks may not go to http URLs; the settings permit https"
    )


def test_an_address_is_refused_if_it_is_neither_public_nor_permitted() -> None:
    guard = SsrfGuard((*LOOPBACK, ip_network("10.1.0.0/16")))
    assert guard.refusal_at("8.8.8.8") is None
    assert guard.refusal_at("127.0.0.1") is None
    assert guard.refusal_at("10.1.2.3") is None
    assert (guard.refusal_at("10.2.0.1") or "").startswith("10.2.0.1 is not a public address")


@pytest.mark.parametrize("text", ["", "localhost", "127.0.0.1 ", "127.1", "[::1]"])
def test_text_that_is_not_an_address_is_refused(text: str) -> None:
    assert SsrfGuard().refusal_at(text) == f"{text} is not an IP address"


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("any", ANY_PORT),
        ("443", (range(443, 444),)),
        ("80,443,8000-8999", WEB),
        ("1-65535", ANY_PORT),
        ("9-9", (range(9, 10),)),
    ],
)
def test_ports_are_parsed_from_a_setting(text: str, ports: tuple[range, ...]) -> None:
    assert read_ports(text) == ports


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", ""),
        ("80,", ""),
        ("80, 443", " 443"),
        ("0", "0"),
        ("65536", "65536"),
        ("-80", "-80"),
        ("80-", "80-"),
        ("90-80", "90-80"),
        ("80-90-100", "80-90-100"),
        ("http", "http"),
        ("any,80", "any"),
        ("\u0668\u0660", "\u0668\u0660"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_invalid_ports_are_refused_with_valid_examples(text: str, part: str) -> None:
    with pytest.raises(ValueError, match="is not a port or a range of ports") as refused:
        read_ports(text)
    assert str(refused.value) == (
        f"{part!r} is not a port or a range of ports; write numbers from 1 to 65535 and ranges"
        " of them in a comma list, like 80,443,8000-8999, or the word `any`"
    )


@pytest.mark.parametrize("text", ["http", "https", "http,https", "https,http"])
def test_schemes_are_parsed_from_a_setting(text: str) -> None:
    assert read_schemes(text) == tuple(text.split(","))


@pytest.mark.parametrize("text", ["", "ftp", "HTTP", "http,", "http, https", "https,https"])
def test_invalid_schemes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be http, https or both"):
        read_schemes(text)
