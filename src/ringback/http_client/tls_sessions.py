"""TLS sessions: a new connection resumes the session of an earlier one, if the receiver allows it.

A resumed handshake needs no certificates and no signature, so it costs both sides less. This module
guarantees:

- A session is offered only where its connection could be reused: with the same `ConnectionPoolKey`.
  So the host, port, address, SNI and route are the same. The trusted authorities and the client
  certificate are the same, too: each `TlsSessions` belongs to one `ClientTls`, and a session is
  only for connections of its own TLS context.
- The receiver's certificate is verified in the full handshake, not when a session is resumed. So a
  session ends `_LONGEST` after the full handshake, or with the certificate if that is earlier.
  Resuming doesn't extend this time, even if the receiver then sends a new ticket.
- No session is offered by two connections at a time, and no TLS 1.3 ticket twice: with a reused
  ticket, an observer could find out that both connections have the same sender (RFC 8446, C.4).
- A receiver that has forgotten the session does a full handshake instead. If a receiver fails when
  a session is offered, it gets no further offers for a while (`avoid`).
"""

import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from ringback.core.newest_entries import NewestEntries
from ringback.http_client.request_route import ConnectionPoolKey

# Long enough for the next callbacks of a busy receiver. Not longer, because a certificate that was
# replaced or is no longer trusted is noticed only in the next full handshake.
_LONGEST: Final = timedelta(minutes=10)
# Each takes 44 KB of memory, so all take up to 22 MB.
_MOST: Final = 512
_MOST_PER_PEER: Final = 64


@dataclass(frozen=True, slots=True)
class ResumableSession:
    """A session to offer in a handshake, and when it ends."""

    session: ssl.SSLSession
    until: datetime


@dataclass(frozen=True, slots=True, eq=False)
class _Connection:
    """A connection whose session can be resumed; it may have ended."""

    peer: ConnectionPoolKey
    tls: ssl.SSLObject
    since: datetime
    """When its handshake began."""
    until: datetime | None
    """When the session ends, if the connection itself resumed it; None after a full handshake."""
    resumed_id: bytes | None

    def session(self) -> ResumableSession | None:
        """Return the session, if it can be resumed.

        It is read only if it is wanted: reading costs more than all the rest of keeping it.
        """
        session = self.tls.session
        if session is None or not (session.id or session.has_ticket):
            return None
        if session.id == self.resumed_id and self.tls.version() == "TLSv1.3":
            return None  # the receiver has sent no new ticket
        if self.until is not None:
            return ResumableSession(session, self.until)
        certificate = cast("dict[str, Any]", self.tls.getpeercert())
        end = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
        return ResumableSession(session, min(self.since + _LONGEST, end))


class SessionRefused(Exception):
    """The peer broke off a handshake that offered a session; the next one will offer none."""


class TlsSessions:
    """The sessions of the newest connections of one `ClientTls`. `now` returns the current time."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._kept: dict[ConnectionPoolKey, deque[_Connection]] = {}
        """The connections to each peer, from oldest to newest."""
        self._order: dict[_Connection, None] = {}
        """All connections, from oldest to newest."""
        self._avoided = NewestEntries[ConnectionPoolKey, datetime](_MOST)
        """The peers that get no offers, and since when."""
        self._idle_contexts = list[_OfferingContext]()

    def take(self, peer: ConnectionPoolKey, context: ssl.SSLContext) -> ResumableSession | None:
        """Return a session of this context to offer to this peer, or None.

        Nobody else gets the same session.
        """
        now = self._now()
        while peer in self._kept:
            connection = self._take_oldest(peer)
            if connection.tls.context is not context:
                continue  # the context of a destination was made again meanwhile
            # If the clock was set back, nobody knows how much time has passed.
            if connection.since <= now < connection.since + _LONGEST:
                session = connection.session()
                return session if session is not None and now < session.until else None
        return None

    def offering(self, session: ResumableSession, context: ssl.SSLContext) -> ssl.SSLContext:
        """Return a TLS context for one connection of `context`, which offers the session."""
        idle = self._idle_contexts
        offering = idle.pop() if idle else _OfferingContext(ssl.PROTOCOL_TLS_CLIENT)
        offering.offer(session.session, context, made=idle.append)
        return offering

    def keep(
        self,
        peer: ConnectionPoolKey,
        tls: ssl.SSLObject,
        *,
        offered: ResumableSession | None,
        since: datetime,
    ) -> None:
        """Keep the session of a connection for later ones.

        Call this after the first answer: TLS 1.3 receivers send their tickets after the handshake,
        which began at the time `since` and offered the session `offered`.
        """
        if self._is_avoided(peer):
            return
        if offered is not None and tls.session_reused:
            connection = _Connection(peer, tls, since, offered.until, offered.session.id)
        else:
            connection = _Connection(peer, tls, since, None, None)
        of_peer = self._kept.setdefault(peer, deque())
        of_peer.append(connection)
        self._order[connection] = None
        if len(of_peer) > _MOST_PER_PEER:
            self._take_oldest(peer)
        elif len(self._order) > _MOST:
            self._take_oldest(next(iter(self._order)).peer)

    def avoid(self, peer: ConnectionPoolKey) -> None:
        """Offer no session to this peer for a while: a handshake that offered one has failed."""
        self._avoided[peer] = self._now()
        while peer in self._kept:
            self._take_oldest(peer)

    def _take_oldest(self, peer: ConnectionPoolKey) -> _Connection:
        of_peer = self._kept[peer]
        connection = of_peer.popleft()
        del self._order[connection]
        if not of_peer:
            del self._kept[peer]
        return connection

    def _is_avoided(self, peer: ConnectionPoolKey) -> bool:
        since = self._avoided.get(peer)
        return since is not None and since <= self._now() < since + _LONGEST


class _OfferingContext(ssl.SSLContext):
    """Makes one connection of another TLS context, which offers a session.

    Event loops have no parameter for a session, and uvloop calls `wrap_bio` some time after
    `start_tls`, so the TLS context that it gets must know the session. It is used again for another
    connection, because creating one costs about as much as resuming a session saves.
    """

    _session: ssl.SSLSession | None
    _context: ssl.SSLContext
    _made: Callable[["_OfferingContext"], None]

    def offer(
        self,
        session: ssl.SSLSession,
        context: ssl.SSLContext,
        *,
        made: Callable[["_OfferingContext"], None],
    ) -> None:
        """Offer this session in the next connection; `made` is called when it is made."""
        self._session, self._context, self._made = session, context, made

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002 (the method's own signature)
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Return a connection of the other context that offers the session."""
        offered, self._session = session or self._session, None
        self._made(self)
        return self._context.wrap_bio(incoming, outgoing, server_side, server_hostname, offered)
