from ipaddress import ip_address, ip_network

import pytest

from ringback.core.http.client_address import client_of, holder_of, is_in, peer_address

PROXIES = [ip_network("10.0.0.0/8"), ip_network("2001:db8::/64")]


@pytest.mark.parametrize(
    ("forwarded_for", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        (" 203.0.113.9 ", "203.0.113.9"),
        ("203.0.113.9:50000", "203.0.113.9"),
        ("2001:4860::1", "2001:4860::1"),
        ("[2001:4860::1]:50000", "2001:4860::1"),
        ("[2001:4860::1]", "2001:4860::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        # Entries to the left of an untrusted client come only from that client.
        ("8.8.8.8, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.3, 203.0.113.9", "203.0.113.9"),
        ("8.8.8.8, 203.0.113.9, 10.0.0.2, 2001:db8::1", "203.0.113.9"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        # If an entry can't be read, the proxy that passed it on is the client.
        ("", "10.0.0.1"),
        ("unknown", "10.0.0.1"),
        ("_hidden, 10.0.0.2", "10.0.0.2"),
        ("8.8.8.8, unknown", "10.0.0.1"),
        ("8.8.8.8,", "10.0.0.1"),
        ("203.0.113.9 8.8.8.8", "10.0.0.1"),
        ("203.0.113.999", "10.0.0.1"),
    ],
)
def test_the_client_is_the_last_address_that_is_not_a_trusted_proxy(
    forwarded_for: str, client: str
) -> None:
    assert client_of("10.0.0.1", forwarded_for, PROXIES) == client


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("2001:DB8::1", "2001:db8::1"),
    ],
)
def test_a_peer_has_one_spelling(host: str, address: str) -> None:
    assert str(peer_address(host)) == address


def test_a_peer_without_an_address_has_none() -> None:
    assert peer_address("") is None
    assert peer_address("/run/ringback.sock") is None
    assert holder_of(None) == "None"


def test_ipv6_clients_are_counted_by_the_network_of_a_customer() -> None:
    assert holder_of(ip_address("2001:db8:1:2::1")) == holder_of(ip_address("2001:db8:1:2:ff::"))
    assert holder_of(ip_address("2001:db8:1:2::1")) != holder_of(ip_address("2001:db8:1:3::1"))
    assert holder_of(ip_address("192.0.2.1")) != holder_of(ip_address("192.0.2.2"))


def test_an_address_is_only_in_networks_of_its_own_family() -> None:
    assert is_in(ip_address("2001:db8::9"), PROXIES)
    assert not is_in(ip_address("2001:db8:1::9"), PROXIES)
    assert not is_in(ip_address("11.0.0.1"), PROXIES)
