from ipaddress import ip_network

import pytest

from ringback.core.http.allowed_addresses import ANYWHERE, LOOPBACK, refusal, refusal_of_name


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "93.184.216.34",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.169.0.1",
        "2606:4700::1111",
        "2001:4860:4860::8888",
        "64:ff9b::808:808",
    ],
)
def test_public_addresses_are_allowed(address: str) -> None:
    assert refusal(address) is None


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "::1",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "fc00::1",
        "fd12:3456::1",
        "169.254.0.1",
        "fe80::1",
        "fe80::1%eth0",
        "100.64.0.1",
        "100.127.255.255",
        "224.0.0.1",
        "239.255.255.255",
        "ff02::1",
        "ff0e::1",
        "0.0.0.0",
        "::",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "2001:db8::1",
        "3fff::1",
        "100::1",
        "4000::1",
        "5f00::1",
        "192.88.99.1",
    ],
)
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    is_loopback = address in {"127.0.0.1", "127.255.255.254", "::1"}
    plain = address.partition("%")[0]
    needed = "loopback" if is_loopback else plain
    assert (
        refusal(address) == f"{address} is not a public address; allow it with `--allow {needed}`"
    )
    assert refusal(address, allowed=LOOPBACK if is_loopback else (ip_network(plain),)) is None


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",  # AWS, Azure, Google Cloud and others
        "fd00:ec2::254",  # AWS
        "100.100.100.200",  # Alibaba Cloud
        "168.63.129.16",  # Azure
    ],
)
def test_addresses_of_clouds_metadata_are_refused(address: str) -> None:
    assert refusal(address) is not None


@pytest.mark.parametrize(
    "address",
    [
        "192.0.0.192",  # Oracle Cloud's metadata, in 192.0.0.0/24 (RFC 6890)
        "::127.0.0.1",  # IPv4-compatible (RFC 4291)
        "::ffff:0:127.0.0.1",  # IPv4-translated (RFC 2765)
        "64:ff9b:1::7f00:1",  # local-use NAT64 (RFC 8215)
        "fec0::1",  # site-local (RFC 3879)
        "2002:808:808::1",  # 6to4, even of a public address (RFC 7526)
        "::ffff:8.8.8.8",  # IPv4-mapped, even of a public address: a lookup never returns it
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",  # Teredo (RFC 4380)
    ],
)
def test_other_addresses_that_lead_to_private_ones_are_refused(address: str) -> None:
    assert refusal(address) is not None


@pytest.mark.parametrize(
    "inner", ["7f00:1", "a00:1", "ac10:1", "c0a8:1", "a9fe:a9fe", "6440:1", "e000:1", "0:0"]
)
@pytest.mark.parametrize("form", ["::ffff:{}", "64:ff9b::{}", "2002:{}::1"])
def test_an_ipv6_address_that_contains_a_private_one_is_refused(form: str, inner: str) -> None:
    assert refusal(form.format(inner)) is not None


def test_a_mapped_address_may_be_written_with_dots() -> None:
    assert refusal("::ffff:127.0.0.1") is not None


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"]
)
def test_an_allowed_network_is_recognised_in_any_spelling(address: str) -> None:
    assert refusal(address, allowed=LOOPBACK) is None


@pytest.mark.parametrize("form", ["127.0.0.1", "::ffff:7f00:1", "64:ff9b::7f00:1", "2002:7f00:1::"])
def test_one_address_may_be_allowed_by_itself(form: str) -> None:
    assert refusal(form, allowed=[ip_network("127.0.0.1/32")]) is None


@pytest.mark.parametrize("address", ["10.0.0.1", "169.254.169.254", "fe80::1", "0.0.0.0"])
def test_allowing_loopback_allows_nothing_else(address: str) -> None:
    assert refusal(address, allowed=LOOPBACK) is not None


@pytest.mark.parametrize(
    ("address", "is_refused"), [("10.1.255.255", False), ("10.2.0.0", True), ("fd00::1", True)]
)
def test_an_exception_ends_where_its_network_does(address: str, is_refused: bool) -> None:
    assert (refusal(address, allowed=[ip_network("10.1.0.0/16")]) is not None) is is_refused


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "fe80::1%eth0", "ff02::1"])
def test_all_may_be_allowed(address: str) -> None:
    assert refusal(address, allowed=ANYWHERE) is None


def test_text_that_is_not_an_address_is_not_judged() -> None:
    with pytest.raises(ValueError, match="localhost"):
        refusal("localhost")


def test_the_refusal_of_a_name_does_not_show_its_addresses() -> None:
    assert refusal_of_name("db.internal") == (
        "db.internal does not lead to a public address; callbacks are sent only to"
        " public addresses and to networks that the settings allow"
    )
