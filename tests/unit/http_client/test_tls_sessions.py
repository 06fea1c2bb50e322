"""TLS sessions: which connections may resume which sessions, for how long, and how often."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from ringback.core.http.connection_profile import TlsIdentity
from ringback.core.http.egress_routes import Proxy
from ringback.http_client.request_route import ConnectionPoolKey
from ringback.http_client.tls_sessions import ResumableSession, TlsSessions
from tests.fakes import FakeClock
from tests.tls import connected_in_memory, server_side

HOST = "a.example"
PEER = ConnectionPoolKey(HOST, 443, "192.0.2.1", True, True, None, None)
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3])


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def sessions(clock: FakeClock) -> TlsSessions:
    return TlsSessions(clock.now)


@pytest.fixture
def client(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def server(authority: trustme.CA) -> ssl.SSLContext:
    return server_side(authority.issue_cert(HOST))


@pytest.fixture
def tls(client: ssl.SSLContext, server: ssl.SSLContext) -> ssl.SSLObject:
    return connected_in_memory(client, server, HOST)


def keep(
    sessions: TlsSessions,
    tls: ssl.SSLObject,
    peer: ConnectionPoolKey = PEER,
    *,
    offered: ResumableSession | None = None,
    since: datetime = NOW,
) -> None:
    sessions.keep(peer, tls, offered=offered, since=since)


def taken(sessions: TlsSessions, context: ssl.SSLContext) -> ResumableSession:
    session = sessions.take(PEER, context)
    assert session is not None
    return session


# ---- which connections


@pytest.mark.parametrize(
    "other",
    [
        PEER._replace(host="b.example"),
        PEER._replace(port=8443),
        PEER._replace(address="192.0.2.2"),
        PEER._replace(says_name=False),
        PEER._replace(local_address="192.0.2.9"),
        PEER._replace(proxy=Proxy("proxy.example", 3128)),
        PEER._replace(proxy=Proxy("proxy.example", 3128, "user:password")),
        PEER._replace(identity=TlsIdentity(ca="a PEM")),
    ],
)
def test_a_session_is_only_for_connections_that_could_share_one(
    sessions: TlsSessions, client: ssl.SSLContext, tls: ssl.SSLObject, other: ConnectionPoolKey
) -> None:
    keep(sessions, tls)
    assert sessions.take(other, client) is None
    assert sessions.take(PEER, client) is not None


def test_a_session_is_offered_by_one_connection_at_a_time(
    sessions: TlsSessions, client: ssl.SSLContext, tls: ssl.SSLObject
) -> None:
    keep(sessions, tls)
    assert sessions.take(PEER, client) is not None
    assert sessions.take(PEER, client) is None


def test_the_oldest_session_is_offered_first(
    sessions: TlsSessions, client: ssl.SSLContext, server: ssl.SSLContext
) -> None:
    connections = [connected_in_memory(client, server, HOST) for _ in range(3)]
    for tls in connections:
        keep(sessions, tls)
    ids = [taken(sessions, client).session.id for _ in connections]
    assert ids == [tls.session.id for tls in connections if tls.session]


def test_a_session_is_only_for_its_own_context(
    authority: trustme.CA, sessions: TlsSessions, client: ssl.SSLContext, server: ssl.SSLContext
) -> None:
    other = ssl.create_default_context()
    authority.configure_trust(other)
    for context in (client, other):
        keep(sessions, connected_in_memory(context, server, HOST))
    session = sessions.take(PEER, other)
    assert session is not None
    with pytest.raises(ValueError, match="different SSLContext"):
        connected_in_memory(sessions.offering(session, client), server, HOST)
    assert connected_in_memory(sessions.offering(session, other), server, HOST).session_reused


# ---- how it is offered


@VERSIONS
def test_a_context_offers_a_session_once(
    authority: trustme.CA, sessions: TlsSessions, client: ssl.SSLContext, version: ssl.TLSVersion
) -> None:
    server = server_side(authority.issue_cert(HOST), version)
    keep(sessions, connected_in_memory(client, server, HOST))
    context = sessions.offering(taken(sessions, client), client)
    resumed = [connected_in_memory(context, server, HOST).session_reused for _ in range(2)]
    assert resumed == [True, False]


def test_contexts_for_several_handshakes_at_once_offer_different_sessions(
    sessions: TlsSessions, client: ssl.SSLContext, server: ssl.SSLContext
) -> None:
    for _ in range(2):
        keep(sessions, connected_in_memory(client, server, HOST))
    contexts = [sessions.offering(taken(sessions, client), client) for _ in range(2)]
    connections = [connected_in_memory(context, server, HOST) for context in contexts]
    assert all(tls.session_reused for tls in connections)


# ---- for how long


@pytest.mark.parametrize(("minutes", "is_offered"), [(9.9, True), (10, False)])
def test_a_session_ends_ten_minutes_after_the_full_handshake(
    sessions: TlsSessions, tls: ssl.SSLObject, clock: FakeClock, minutes: float, is_offered: bool
) -> None:
    keep(sessions, tls)
    clock.advance(timedelta(minutes=minutes))
    assert (sessions.take(PEER, tls.context) is not None) is is_offered


@VERSIONS
def test_resuming_a_session_does_not_extend_its_time(
    authority: trustme.CA,
    sessions: TlsSessions,
    client: ssl.SSLContext,
    clock: FakeClock,
    version: ssl.TLSVersion,
) -> None:
    server = server_side(authority.issue_cert(HOST), version)
    keep(sessions, connected_in_memory(client, server, HOST))
    clock.advance(timedelta(minutes=9))
    first = taken(sessions, client)
    tls = connected_in_memory(client, server, HOST, first.session)
    assert tls.session_reused
    keep(sessions, tls, offered=first, since=clock.now())
    assert taken(sessions, client).until == NOW + timedelta(minutes=10)


def test_the_time_begins_anew_if_the_receiver_refuses_the_session(
    authority: trustme.CA,
    sessions: TlsSessions,
    tls: ssl.SSLObject,
    client: ssl.SSLContext,
    clock: FakeClock,
) -> None:
    keep(sessions, tls)
    first = taken(sessions, client)
    clock.advance(timedelta(minutes=9))
    without_its_keys = server_side(authority.issue_cert(HOST))
    tls = connected_in_memory(client, without_its_keys, HOST, first.session)
    assert not tls.session_reused
    keep(sessions, tls, offered=first, since=clock.now())
    assert taken(sessions, client).until == clock.now() + timedelta(minutes=10)


def test_a_session_ends_with_the_certificate(
    authority: trustme.CA, sessions: TlsSessions, client: ssl.SSLContext, clock: FakeClock
) -> None:
    end = datetime(2990, 1, 1, tzinfo=UTC)
    server = server_side(authority.issue_cert(HOST, not_after=end))
    clock.set(end - timedelta(minutes=1))
    for _ in range(2):
        keep(sessions, connected_in_memory(client, server, HOST), since=clock.now())
    assert taken(sessions, client).until == end
    clock.set(end)
    assert sessions.take(PEER, client) is None


def test_a_session_is_not_offered_if_the_clock_was_set_back(
    sessions: TlsSessions, client: ssl.SSLContext, tls: ssl.SSLObject, clock: FakeClock
) -> None:
    keep(sessions, tls)
    clock.set(NOW - timedelta(days=1))
    assert sessions.take(PEER, client) is None


# ---- how often


@pytest.mark.parametrize(("version", "is_kept"), [(TLS_1_2, True), (TLS_1_3, False)])
def test_a_ticket_of_tls_1_3_is_used_once(
    authority: trustme.CA,
    sessions: TlsSessions,
    client: ssl.SSLContext,
    version: ssl.TLSVersion,
    is_kept: bool,
) -> None:
    server = server_side(authority.issue_cert(HOST), version)
    keep(sessions, connected_in_memory(client, server, HOST))
    server.num_tickets = 0
    first = taken(sessions, client)
    tls = connected_in_memory(client, server, HOST, first.session)
    assert tls.session_reused
    keep(sessions, tls, offered=first)
    assert (sessions.take(PEER, client) is not None) is is_kept


def test_without_a_ticket_nothing_is_kept(
    sessions: TlsSessions, client: ssl.SSLContext, server: ssl.SSLContext
) -> None:
    server.num_tickets = 0
    keep(sessions, connected_in_memory(client, server, HOST))
    assert sessions.take(PEER, client) is None


def test_a_tls_1_2_session_without_a_ticket_is_kept_by_its_id(
    authority: trustme.CA, sessions: TlsSessions, client: ssl.SSLContext
) -> None:
    server = server_side(authority.issue_cert(HOST), TLS_1_2)
    server.options |= ssl.OP_NO_TICKET
    keep(sessions, connected_in_memory(client, server, HOST))
    session = taken(sessions, client).session
    assert not session.has_ticket
    assert connected_in_memory(client, server, HOST, session).session_reused


# ---- receivers that fail


def test_a_receiver_that_fails_gets_no_offer_for_a_while(
    sessions: TlsSessions, client: ssl.SSLContext, tls: ssl.SSLObject, clock: FakeClock
) -> None:
    keep(sessions, tls)
    sessions.avoid(PEER)
    assert sessions.take(PEER, client) is None
    keep(sessions, tls)
    assert sessions.take(PEER, client) is None, "nothing is kept meanwhile"
    clock.advance(timedelta(minutes=10))
    keep(sessions, tls, since=clock.now())
    assert sessions.take(PEER, client) is not None


# ---- how many


def test_the_newest_sessions_of_a_peer_are_kept(
    sessions: TlsSessions, client: ssl.SSLContext, tls: ssl.SSLObject
) -> None:
    times = [NOW - timedelta(seconds=number) for number in reversed(range(70))]
    for since in times:
        keep(sessions, tls, since=since)
    ends = [taken(sessions, client).until for _ in range(64)]
    assert ends == [since + timedelta(minutes=10) for since in times[-64:]]
    assert sessions.take(PEER, client) is None


def test_the_newest_sessions_of_all_peers_are_kept(
    sessions: TlsSessions, client: ssl.SSLContext, tls: ssl.SSLObject
) -> None:
    peers = [PEER._replace(port=port) for port in range(1, 521)]
    for peer in peers:
        keep(sessions, tls, peer)
    assert [peer for peer in peers if sessions.take(peer, client)] == peers[-512:]
