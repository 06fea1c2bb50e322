"""Sends one request over HTTP, and returns the outcome.

This module guarantees:

- A call of `send` sends at most one request, byte for byte as it was rendered.
- A request that had to wait for a connection is rendered again, so that its signature is valid when
  it is sent.
- Requests go only to addresses that the SSRF guard allows, also over reused connections.
- Requests whose destinations have different TLS identities never share a connection.
- Certificates are always verified, and redirects are not followed.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from functools import cached_property, lru_cache, partial
from itertools import count
from typing import Final, NamedTuple

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.http.allowed_addresses import ANYWHERE
from ringback.core.http.connection_profile import OwnRoute
from ringback.core.http.egress_routes import Direct, Egress, Egresses
from ringback.core.http.http_exchange import (
    AttemptResult,
    OutgoingRequest,
    ReceiverResponseRecord,
    RequestTimings,
)
from ringback.core.http.outcome import SHORTAGES, AttemptFailure, NoAnswerOutcome
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.core.policy.source_policy import SourceName
from ringback.http_client.connect_timing import ConnectTimer
from ringback.http_client.connection_pool import ConnectionPool, KeepAliveLimits
from ringback.http_client.connector import Connector
from ringback.http_client.dialer import Dialer
from ringback.http_client.guarded_resolver import CachingResolver
from ringback.http_client.http_connection import AnswerOutcome, HttpConnection, KnownAnswers
from ringback.http_client.request_route import ConnectionPoolKey, RequestRoute, route_of
from ringback.http_client.sockets_and_tls import NetworkBackend, SystemNetwork
from ringback.http_client.system_resolver import Resolve, SystemResolver
from ringback.runtime.account_fair_semaphore import FairSemaphore

_GUARD: Final = SsrfGuard()
_EGRESSES: Final = Egresses()
_KEEP_ALIVE: Final = KeepAliveLimits()
# Size of the read buffer. All connections of a sender share one buffer, since the event loop fills
# and empties it in one step; a plain Protocol would get new memory for every read.
_BUFFER: Final = 64 * 1024
_MOST_ANSWERS: Final = 64
"""Maximum number of short answers that are remembered by their bytes."""
_MOST_URLS: Final = 4096
"""Maximum number of URLs whose peers are remembered."""


class _Opening(NamedTuple):
    """How to open a connection for a request; see `HttpTransport.send`."""

    limits: Timeouts
    turn: int
    fresh: bool
    timing: ConnectTimer
    anew: Callable[[], OutgoingRequest] | None


class HttpTransport:
    """Sends requests over HTTP/1.1, and keeps connections open for reuse.

    `stopwatch` returns seconds, to measure durations; time limits use the event loop's clock. The
    defaults of `network` and `resolve` are this machine's network and resolver.

    The addresses of a name are cached for `remember_names` seconds. A look-up takes at most
    `name_limit` seconds. At most `names_at_once` look-ups run at a time.

    At most `most_open` connections are open at a time, in use or idle. The default is a little less
    than the 1024 files that a process can usually open.
    """

    def __init__(
        self,
        *,
        stopwatch: Callable[[], float],
        guard: SsrfGuard = _GUARD,
        egresses: Egresses = _EGRESSES,
        network: NetworkBackend | None = None,
        resolve: Resolve | None = None,
        remember_names: float = 5.0,
        name_limit: float = 5.0,
        names_at_once: int = 128,
        keep_alive: KeepAliveLimits = _KEEP_ALIVE,
        most_open: int = 900,
    ) -> None:
        self._stopwatch = stopwatch
        self._guard = guard
        self._egresses = egresses
        self._turns = defaultdict[Egress, "count[int]"](count)
        self._buffer = memoryview(bytearray(_BUFFER))
        self._known_answers = KnownAnswers(_MOST_ANSWERS)
        self._fixed_peers = lru_cache(_MOST_URLS)(self._find_fixed_peers)
        self._pool = ConnectionPool(keep_alive)
        self._under_way = set[HttpConnection]()
        """The connections with a request of `try_send`."""
        # One account may hold all places: the caller limits what each account has under way, and an
        # idle connection may also serve other accounts than the one that opened it.
        self._places = FairSemaphore(most_open, shared=False)
        network = network or SystemNetwork()
        resolve = resolve or SystemResolver()
        still_asking = resolve.under_way if isinstance(resolve, SystemResolver) else None
        self._resolver, self._proxies = (
            CachingResolver(
                guard=of_theirs,
                resolve=resolve,
                still_asking=still_asking,
                remember=remember_names,
                limit=name_limit,
                at_once=names_at_once,
            )
            for of_theirs in (guard, SsrfGuard(ANYWHERE))
        )
        self._connector = Connector(
            network=network,
            resolver=self._resolver,
            dialer=Dialer(
                network=network,
                proxies=self._proxies,
                new_connection=self._new_connection,
                buffer=self._buffer,
            ),
            pool=self._pool,
            places=self._places,
        )

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        # Remembered, since it takes four times as long to ask for it as to ask it for the time.
        return asyncio.get_running_loop()

    @property
    def open_connections(self) -> int:
        """Number of connections that are in use, idle or being opened."""
        return self._places.taken

    def try_send(
        self,
        request: OutgoingRequest,
        *,
        limits: Timeouts,
        turn: int = 0,
        ended: Callable[[AttemptResult], None],
    ) -> bool:
        """Send the request if an idle connection is there for it; otherwise return False.

        Afterwards, `ended` is called once with the result; it may send the next request.
        """
        url, now = request.url, self._loop.time()
        addresses = self._resolver.remembered(url.hostname, now)
        if not addresses or limits.total <= 0:
            return False
        data, own = request.to_bytes(), request.profile.own_route
        peers = self._fixed_peers(url, request.source, turn, addresses, own)
        connection = self._pool.take(peers)
        if connection is None:
            return False
        self._under_way.add(connection)
        try:
            self._begin(connection, data, limits.read, now + limits.total, ended)
        except BaseException:
            self._under_way.discard(connection)
            connection.abort()
            raise
        return True

    def break_off(self) -> None:
        """Give up the requests of `try_send` that are not answered; `ended` is not called."""
        while self._under_way:
            self._under_way.pop().abort()

    async def send(
        self,
        request: OutgoingRequest,
        *,
        limits: Timeouts,
        turn: int = 0,
        fresh: bool = False,
        anew: Callable[[], OutgoingRequest] | None = None,
        leaving: Callable[[], None] | None = None,
    ) -> AttemptResult:
        """Send the request once, and return the result; never raises because of the receiver.

        `turn` is the number of earlier attempts in the same round; if the URL names several egress
        routes, `turn` selects one of them. With `fresh`, a new connection is used.

        If a connection must be opened first, `anew` makes the request again just before it is sent,
        so that the current secrets sign it. If the destination has got another profile meanwhile,
        a connection is opened for that one.

        `leaving` is called right before the request is written, unless nothing can be sent. If it
        raises, nothing is sent, and the error is raised here.
        """
        began, now = self._stopwatch(), self._loop.time()
        if refused := self._refusal(request.url, limits):
            return self._unsent(refused, began)
        route, timing, connection = self._route(request, turn), None, None
        if not fresh:
            addresses = self._resolver.remembered(route.host, now)
            connection = self._pool.take(route.peers_at(addresses))
        if connection is None:
            timing = ConnectTimer(self._stopwatch)
            how = _Opening(limits, turn, fresh, timing, anew)
            route, connection, request = await self._open(route, request, how)
            if isinstance(connection, NoAnswerOutcome):
                if connection.failure in SHORTAGES:
                    self._pool.clear()
                return self._unsent(connection, began, route, timing)
        waited = 0.0 if timing is None else timing.waited
        result: asyncio.Future[AttemptResult] = self._loop.create_future()
        is_under_way = True

        def ended(ending: AttemptResult) -> None:
            nonlocal is_under_way
            is_under_way = False
            if not result.cancelled():
                result.set_result(ending)

        # Nothing is awaited since `anew`, until the request is written, so its signature is fresh.
        try:
            data = request.to_bytes()
            if leaving is not None and connection.broken is None:
                leaving()
        except BaseException:
            self._give_back(connection)
            raise
        try:
            until = now + waited + limits.total
            self._begin(connection, data, limits.read, until, ended, began=began, timing=timing)
            return await result
        except BaseException:
            if is_under_way:
                connection.abort()
            raise

    async def close(self) -> None:
        """Cancel look-ups and close idle connections; call after the last request has ended."""
        await self._resolver.close()
        await self._proxies.close()
        await self._pool.close()

    def _refusal(self, url: CallbackUrl, limits: Timeouts) -> NoAnswerOutcome | None:
        if limits.total <= 0:
            return NoAnswerOutcome(AttemptFailure.NO_TIME, "no time was left for this attempt")
        why = self._guard.refusal_of(url)
        return None if why is None else NoAnswerOutcome(AttemptFailure.GUARD, why)

    def _route(self, request: OutgoingRequest, turn: int) -> RequestRoute:
        url, own = request.url, request.profile.own_route
        egress = self._egress(url, request.source, turn, own)
        has_addresses = isinstance(egress, Direct) and egress.local_addresses
        own_turn = next(self._turns[egress]) if has_addresses else 0
        return route_of(url, egress, own_turn, request.account_sid, own and own.identity)

    def _egress(
        self, url: CallbackUrl, source: SourceName | None, turn: int, own: OwnRoute | None
    ) -> Egress:
        named = own and own.egress
        return self._egresses.choose(source, url.connection, turn=turn, destination=named)

    async def _open(
        self, route: RequestRoute, request: OutgoingRequest, how: _Opening
    ) -> tuple[RequestRoute, HttpConnection | NoAnswerOutcome, OutgoingRequest]:
        """Open a connection for the request, and make the request anew.

        Returns the route and the connection, or why there is none, and the request to send. If the
        destination has got another profile meanwhile, opens another connection for that one.
        """
        limits, turn, fresh, timing, anew = how
        until = self._loop.time() + limits.total
        while True:
            connection = await self._connector.open(
                route, limits=limits, timing=timing, fresh=fresh
            )
            if anew is None or isinstance(connection, NoAnswerOutcome):
                return route, connection, request
            opened_for = request.profile
            try:
                request = anew()
            except BaseException:
                self._give_back(connection)
                raise
            if request.profile.own_route == opened_for.own_route:
                return route, connection, request
            self._give_back(connection)
            route = self._route(request, turn)
            left = until + timing.waited - self._loop.time()
            limits = limits._replace(total=left)

    def _give_back(self, connection: HttpConnection) -> None:
        """Keep a connection for the next request if it can carry one; otherwise end it."""
        if not connection.is_reusable or self._places.are_waited_for:
            connection.abort()
        else:
            self._pool.keep(connection, self._loop.time())

    def _begin(
        self,
        connection: HttpConnection,
        data: bytes,
        read_limit: float,
        until: float,
        ended: Callable[[AttemptResult], None],
        *,
        began: float | None = None,
        timing: ConnectTimer | None = None,
    ) -> None:
        """Send the request; `began` is when the attempt began, by the stopwatch, if before now."""
        left = self._stopwatch()
        times = (left if began is None else began, left, timing)
        finish = partial(self._finish, connection, ended, times)
        connection.exchange(data, read_limit, until, finish)

    def _finish(
        self,
        connection: HttpConnection,
        ended: Callable[[AttemptResult], None],
        times: tuple[float, float, ConnectTimer | None],
        outcome: AnswerOutcome | NoAnswerOutcome,
        response: ReceiverResponseRecord | None,
    ) -> None:
        """Keep the connection if it can be used again, and pass on the result of its exchange.

        `times` has when the attempt began and when its request left, by the stopwatch, and the
        timer of the connection if it is new.
        """
        began, left, timing = times
        first_byte, total = connection.first_byte, (self._stopwatch() - began) * 1000
        answered_in = None if first_byte is None else (first_byte - left) * 1000
        timings = _timings(total, answered_in, timing)
        self._under_way.discard(connection)
        if connection.is_reusable:
            self._give_back(connection)
        proxy = connection.peer.proxy
        shown = None if proxy is None else proxy.shown
        waited = 0.0 if timing is None else timing.waited
        ended(AttemptResult(outcome, timings, response, connection.local_address, shown, waited))

    def _find_fixed_peers(
        self,
        url: CallbackUrl,
        source: SourceName | None,
        turn: int,
        addresses: tuple[str, ...],
        own: OwnRoute | None,
    ) -> tuple[ConnectionPoolKey, ...]:
        """Return the peers that all requests with these arguments have.

        There are none if the guard refuses the URL, or if its egress has several local addresses.
        """
        egress = self._egress(url, source, turn, own)
        is_fixed = not isinstance(egress, Direct) or len(egress.local_addresses) <= 1
        if not is_fixed or self._guard.refusal_of(url) is not None:
            return ()
        return route_of(url, egress, 0, identity=own and own.identity).peers_at(addresses)

    def _unsent(
        self,
        why: NoAnswerOutcome,
        began: float,
        route: RequestRoute | None = None,
        timing: ConnectTimer | None = None,
    ) -> AttemptResult:
        proxy = None if route is None else route.proxy_shown
        waited = 0.0 if timing is None else timing.waited
        total = (self._stopwatch() - began) * 1000
        return AttemptResult(why, _timings(total, None, timing), proxy=proxy, waited=waited)

    def _new_connection(self, peer: ConnectionPoolKey) -> HttpConnection:
        return HttpConnection(
            peer,
            buffer=self._buffer,
            known_answers=self._known_answers,
            stopwatch=self._stopwatch,
            on_lost=self._pool.lost,
        )


def _timings(total: float, first_byte: float | None, timing: ConnectTimer | None) -> RequestTimings:
    if timing is None:
        return RequestTimings(total, None, None, None, first_byte)
    return timing.timings(total=total - timing.held_up * 1000, first_byte=first_byte)
