"""Routes: the destination of a URL, and the pool key for one of its addresses."""

import pytest

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.http.connection_profile import TlsIdentity
from ringback.core.http.egress_routes import ANY, Direct, Egress, Proxy
from ringback.http_client.request_route import ConnectionPoolKey, RequestRoute, route_of
from tests.unit.http_client.parts import a_route

PROXY = Proxy("proxy.example", 3128, "user:hunter2")


@pytest.mark.parametrize(
    ("url", "route"),
    [
        ("http://a.example/x", RequestRoute("a.example", 80, False, True, ANY, 2, "AC1")),
        ("https://a.example:8443/", RequestRoute("a.example", 8443, True, True, ANY, 2, "AC1")),
        ("https://a.example/#sni=y", RequestRoute("a.example", 443, True, True, ANY, 2, "AC1")),
        ("https://a.example/#sni=n", RequestRoute("a.example", 443, True, False, ANY, 2, "AC1")),
    ],
)
def test_the_route_of_a_url_is_its_destination_and_whether_sni_is_sent(
    url: str, route: RequestRoute
) -> None:
    assert route_of(CallbackUrl.parse(url), ANY, 2, "AC1") == route


@pytest.mark.parametrize(
    ("host", "place"),
    [("a.example", "a.example port 80"), ("2001:db8::1", "[2001:db8::1] port 80")],
)
def test_a_destination_is_written_as_in_a_url(host: str, place: str) -> None:
    assert a_route(80, host=host).place == place


@pytest.mark.parametrize(
    ("egress", "address", "local_address"),
    [
        (ANY, "192.0.2.7", None),
        (Direct(("198.51.100.1", "198.51.100.2")), "192.0.2.7", "198.51.100.2"),
        (Direct(("198.51.100.1", "2001:db8::1")), "2001:db8::7", "2001:db8::1"),
    ],
)
def test_a_peer_leaves_from_the_address_whose_turn_it_is(
    egress: Egress, address: str, local_address: str | None
) -> None:
    route = RequestRoute("a.example", 443, True, False, egress, 1, "AC1")
    assert route.peers_at([address])[0] == ConnectionPoolKey(
        "a.example", 443, address, True, False, local_address, None
    )


def test_an_egress_of_the_other_family_is_unusable() -> None:
    assert a_route(80, egress=Direct(("198.51.100.1",))).peers_at(["2001:db8::7"]) == ()


def test_a_proxy_is_part_of_the_peer_and_is_shown_without_its_credentials() -> None:
    route = a_route(80, egress=PROXY)
    (peer,) = route.peers_at(["2001:db8::7"])
    assert peer is not None
    assert (peer.proxy, peer.local_address) == (PROXY, None)
    assert (route.proxy, route.proxy_shown) == (PROXY, "http://proxy.example:3128")
    assert (a_route(80).proxy, a_route(80).proxy_shown) == (None, None)


def test_connections_are_shared_between_accounts() -> None:
    one, other = (a_route(80)._replace(account=account) for account in ("AC1", "AC2"))
    assert one.peers_at(["192.0.2.7"]) == other.peers_at(["192.0.2.7"])


def test_a_tls_identity_is_part_of_the_peer() -> None:
    url, identity = CallbackUrl.parse("https://a.example/"), TlsIdentity("a certificate")
    route = route_of(url, ANY, 0, identity=identity)
    assert [peer.identity for peer in route.peers_at(["192.0.2.7"])] == [identity]
    assert route.peers_at(["192.0.2.7"]) != route_of(url, ANY, 0).peers_at(["192.0.2.7"])


def test_without_tls_the_identity_does_not_matter() -> None:
    url = CallbackUrl.parse("http://a.example/")
    with_one = route_of(url, ANY, 0, identity=TlsIdentity("a certificate"))
    assert with_one == route_of(url, ANY, 0)
