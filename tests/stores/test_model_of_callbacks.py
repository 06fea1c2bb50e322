"""Callbacks, attempts and accounts: the SQLite store compared with its model in memory."""

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from ringback.core.accounts.account import Account
from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.callbacks.callback import (
    UNDELIVERED,
    CallbackRecord,
    CallbackStatus,
    advance,
    begin,
    discard,
    replay,
)
from ringback.core.callbacks.rendering import render
from ringback.core.callbacks.retry import Decision, GiveUp, NoRetryNeeded, RetryLater, RetryNow
from ringback.core.http.http_exchange import AttemptResult, ReceiverResponseRecord, RequestTimings
from ringback.core.http.outcome import (
    AttemptFailure,
    DeliveredOutcome,
    NoAnswerOutcome,
    Outcome,
    RefusedOutcome,
    UnknownOutcome,
)
from ringback.core.policy.source_policy import Source
from ringback.ports import (
    CallbackFilter,
    DeliveryClaim,
    Lane,
    LaneDue,
    PageWindow,
    Settlement,
    Transaction,
    lane_of,
)
from tests.fakes import NOW, claim_from, next_due_in, signing_with
from tests.memory_store import MemoryTransaction
from tests.stores.both_stores import (
    ACCOUNTS,
    AHEAD,
    LIMITS,
    NUMBERS,
    BothStores,
    Part,
    by_sid,
    or_refused,
    windows,
)
from tests.stores.records import SECOND, account, callback

KEYS = st.sampled_from([None, None, "a", "b"])
ORDERS = st.sampled_from([None, "SIM", "SIM", "other"])
"""Order keys."""
KIB = 1024
URLS = ("http://127.0.0.1:9000/p#cbs=kore", "http://a:b@127.0.0.1:9000", "https://a.example#tt=900")
DESTINATIONS = ("http://127.0.0.1:9000", "https://a.example:443")
STATUSES = st.sampled_from([None, UNDELIVERED, *(frozenset({status}) for status in CallbackStatus)])
BODIES = st.sampled_from([None, b"\0\xff", *(bytes(KIB + more * KIB) for more in (1, 3, 5))])
ENDINGS: list[tuple[Outcome, Callable[[timedelta], Decision]]] = [
    (DeliveredOutcome(204), lambda ahead: NoRetryNeeded()),
    (RefusedOutcome(410), lambda ahead: GiveUp("the receiver wants no more requests")),
    (RefusedOutcome(503), lambda ahead: RetryNow()),
    (
        NoAnswerOutcome(AttemptFailure.CONNECT, "nobody listens"),
        lambda ahead: RetryLater(NOW + ahead, 1),
    ),
    (UnknownOutcome(), lambda ahead: RetryLater(NOW, 0)),
]


class CallbacksInBothStores(BothStores):
    """Callbacks, their attempts, and the accounts that they need."""

    def __init__(self) -> None:
        self._numbers = count()
        self._kept = list[CallbackRecord]()
        self._under_way = list[DeliveryClaim]()
        super().__init__()

    @rule(
        how_many=st.integers(1, 4),
        account_sid=ACCOUNTS,
        ahead=AHEAD,
        url=st.sampled_from(URLS),
        key=KEYS,
        source=st.sampled_from(Source),
        method=st.sampled_from(HttpMethod),
        order=ORDERS,
    )
    def keep_callbacks(
        self,
        *,
        how_many: int,
        account_sid: str,
        ahead: timedelta,
        url: str,
        key: str | None,
        source: Source,
        method: HttpMethod,
        order: str | None,
    ) -> None:
        """Add new waiting callbacks; of those with the same idempotency key, only the first."""
        due = self.now + ahead
        for _ in range(how_many):
            added = callback(next(self._numbers), account_sid, due=due, url=url, key=key)
            added = added._replace(source=source, method=method, order_key=order)
            self.add(Part(lambda tx, added=added: _add_once(tx, added), self._note))

    @rule(account_sid=ACCOUNTS, url=st.sampled_from(URLS), key=KEYS, order=ORDERS)
    def send_off(self, account_sid: str, url: str, key: str | None, order: str | None) -> None:
        """Add a new callback with an attempt in progress, unless another one has to end before."""
        given = callback(next(self._numbers), account_sid, url=url, key=key)
        given = given._replace(order_key=order)
        begun = begin(given.progress, self.now, total_timeout=15 * SECOND)
        claimed = DeliveryClaim(given.having(begun), account(account_sid), lane_of(given))

        def work(tx: Transaction) -> list[DeliveryClaim]:
            if key is not None and tx.callbacks.with_key(account_sid, key) is not None:
                return []
            if not tx.callbacks.take_place(given):
                return [claimed._replace(callback=given, row_id=tx.callbacks.add(given))]
            row_id = tx.callbacks.add(claimed.callback)
            return [claimed._replace(row_id=row_id, is_new=True, run=row_id)]

        def done(claims: list[DeliveryClaim]) -> None:
            for claim in claims:
                self._note(claim.callback)
            self._under_way += [one for one in claims if one.progress.is_under_way]

        self.add(Part(work, done))

    @precondition(lambda self: self._kept)
    @rule(which=st.integers(0, 99))
    def give_what_is_refused(self, which: int) -> None:
        """Make a job add an existing callback; the whole job is refused."""
        kept = self._kept[which % len(self._kept)]

        def work(tx: Transaction) -> None:
            if isinstance(tx, MemoryTransaction):
                raise sqlite3.IntegrityError
            self.write_what_is_refused(tx, kept)

        self.add(Part(work))
        self.next_job()

    def write_what_is_refused(self, tx: Transaction, kept: CallbackRecord) -> None:
        """Write something that the database refuses because `kept` exists."""
        tx.callbacks.add(kept._replace(order_key=None))

    def _note(self, kept: CallbackRecord) -> None:
        self._kept.append(kept)

    @precondition(lambda self: self._kept)
    @rule(which=st.integers(0, 99), limit=LIMITS)
    def claim(self, which: int, limit: int) -> None:
        now, lane = self.now, self._lane(which)

        def done(claims: list[DeliveryClaim]) -> None:
            taken = {claim.callback.sid for claim in self._under_way}
            assert not taken & {claim.callback.sid for claim in claims}
            self._under_way += claims

        self.add(Part(lambda tx: claim_from(tx, lane, now, limit=limit), done))

    def _lane(self, which: int) -> Lane:
        kept = self._kept[which % len(self._kept)]
        return Lane(kept.account_sid, kept.url.destination)

    @precondition(lambda self: self._kept)
    @rule(which=st.integers(0, 99), limit=LIMITS, ending=st.sampled_from(ENDINGS), body=BODIES)
    def claim_and_settle_at_once(
        self,
        which: int,
        limit: int,
        ending: tuple[Outcome, Callable[[timedelta], Decision]],
        body: bytes | None,
    ) -> None:
        now, lane, (outcome, decide) = self.now, self._lane(which), ending

        def work(tx: Transaction) -> tuple[list[DeliveryClaim], list[LaneDue]]:
            claims = claim_from(tx, lane, now, limit=limit)
            settlements = [_settlement(claim, outcome, decide(SECOND), body) for claim in claims]
            _, turns = tx.callbacks.settle(settlements)
            return _going_on(claims, settlements), sorted(turns)

        self.add(Part(work, lambda ended: self._under_way.extend(ended[0])))

    @precondition(lambda self: self._under_way)
    @rule(most=st.integers(1, 3), ending=st.sampled_from(ENDINGS), ahead=AHEAD, body=BODIES)
    def settle(
        self,
        most: int,
        ending: tuple[Outcome, Callable[[timedelta], Decision]],
        ahead: timedelta,
        body: bytes | None,
    ) -> None:
        claims = self._take(most)
        outcome, decide = ending
        settlements = [_settlement(claim, outcome, decide(ahead), body) for claim in claims]
        going_on = _going_on(claims, settlements)
        self.add(
            Part(
                lambda tx: sorted(tx.callbacks.settle(settlements).turns),
                lambda _: self._under_way.extend(going_on),
                lambda: self._under_way.extend(claims),
            )
        )

    def _take(self, most: int) -> list[DeliveryClaim]:
        """Pick some of the attempts in progress, to end them."""
        taken = self._under_way[:most]
        del self._under_way[:most]
        return taken

    @precondition(lambda self: self._under_way)
    @rule(most=st.integers(1, 3))
    def put_back(self, most: int) -> None:
        now = self.now
        claims = self._take(most)
        self.add(
            Part(
                lambda tx: tx.callbacks.put_back(claims, now),
                undone=lambda: self._under_way.extend(claims),
            )
        )

    @precondition(lambda self: self._kept)
    @rule(which=st.integers(0, 99), is_replayed=st.booleans())
    def change(self, which: int, is_replayed: bool) -> None:
        """Replay or discard a callback without an attempt in progress."""
        now, kept = self.now, self._kept[which % len(self._kept)]

        def work(tx: Transaction) -> LaneDue | None:
            found = tx.callbacks.get(kept.account_sid, kept.sid)
            if found is None or found.progress.is_under_way:
                return None
            before = found.progress
            after = replay(before, now) if is_replayed else discard(before, "enough", now)
            return tx.callbacks.change(found.having(after))

        self.add(Part(work))

    @rule()
    def die_and_recover(self) -> None:
        """Reopen the file, and settle the attempts of the dead process as unknown."""
        self.commit()
        self.committer.close()
        self.connect()
        now = self.now

        def work(tx: Transaction) -> list[DeliveryClaim]:
            left_open = tx.callbacks.left_open()
            tx.callbacks.settle(
                [
                    _settlement(
                        claim, UnknownOutcome(), RetryLater(now, claim.progress.round_number)
                    )
                    for claim in left_open
                ]
            )
            return by_sid(left_open)

        def done(left_open: list[DeliveryClaim]) -> None:
            assert {claim.attempt for claim in left_open} == {
                claim.attempt for claim in self._under_way
            }
            self._under_way.clear()

        self.add(Part(work, done))
        self.commit()

    @rule(
        account_sid=ACCOUNTS,
        statuses=STATUSES,
        destination=st.none() | st.sampled_from(DESTINATIONS),
        window=windows(callback),
        number=NUMBERS,
        limit=LIMITS,
        ahead=AHEAD,
    )
    def look(
        self,
        *,
        account_sid: str,
        statuses: frozenset[CallbackStatus] | None,
        destination: str | None,
        window: PageWindow,
        number: int,
        limit: int,
        ahead: timedelta,
    ) -> None:
        which = CallbackFilter(statuses, destination=destination)
        sid = callback(number).sid
        instants = [self.now, self.now + ahead]
        self.add(
            Part(
                lambda tx: (
                    or_refused(lambda: tx.callbacks.page(account_sid, which, window)),
                    tx.callbacks.oldest(account_sid, which, after=sid, limit=limit),
                    tx.callbacks.get(account_sid, sid),
                    tx.callbacks.with_key(account_sid, "a"),
                    tx.callbacks.attempts(sid),
                    [next_due_in(tx, Lane(account_sid, one)) for one in DESTINATIONS],
                    tx.callbacks.unfinished(),
                    tx.callbacks.due_before(instants),
                    tx.callbacks.date_of(number, since=NOW),
                    tx.callbacks.totals(since=NOW, until=self.now),
                    tx.callbacks.totals(since=NOW, until=self.now, account_sid=account_sid),
                    tx.accounts.get(account_sid),
                )
            )
        )

    @rule()
    def look_for_what_waits(self) -> None:
        self.add(Part(lambda tx: sorted(tx.callbacks.waiting())))

    @rule(by=AHEAD)
    def look_for_changes_ahead(self, by: timedelta) -> None:
        after = self.now - by

        def work(tx: Transaction) -> list[str]:
            found = tx.callbacks.changed_after(after, limit=999)
            # A store may leave out those that are due before.
            ahead = [one for one in found if one.progress.due and one.progress.due > after]
            return sorted(one.sid for one in ahead)

        self.add(Part(work))

    @rule()
    def look_for_heads_that_ended(self) -> None:
        self.add(Part(lambda tx: tx.callbacks.restore_order(limit=999)))

    @rule(account_sid=ACCOUNTS, secret=st.sampled_from(["", "new", "newer"]))
    def rotate(self, account_sid: str, secret: str) -> None:
        rotated = replace(
            account(account_sid), webhook_secrets=signing_with(secret, account_sid=account_sid)
        )

        def work(tx: Transaction) -> list[Account]:
            tx.accounts.save(rotated)
            return [tx.accounts.get(account_sid) or rotated, *tx.accounts.all()]

        self.add(Part(work))


def _settlement(
    claim: DeliveryClaim, outcome: Outcome, decision: Decision, body: bytes | None = None
) -> Settlement:
    now = claim.progress.date_updated + SECOND
    response = None
    if body is not None:
        response = ReceiverResponseRecord(200, (("A", "b"), ("C", "")), body, is_cut=True)
    result = AttemptResult(outcome, RequestTimings(1.5, tls=0.0), response, "127.0.0.1:1", None)
    request = render(claim.callback, account=claim.account, at=now)
    after = advance(claim.progress, decision, now)
    if isinstance(decision, RetryNow):
        after = begin(after, now, total_timeout=claim.callback.url.connection.total_timeout)
    return Settlement(claim, after, result, now, request)


def _going_on(claims: list[DeliveryClaim], settlements: list[Settlement]) -> list[DeliveryClaim]:
    """Return the claims whose next attempts began with the settlement of the last ones."""
    return [
        claim._replace(callback=claim.callback.having(settlement.progress), is_new=False)
        for claim, settlement in zip(claims, settlements, strict=True)
        if settlement.progress.is_under_way
    ]


def _add_once(tx: Transaction, given: CallbackRecord) -> CallbackRecord:
    """Add this callback unless one has its key; return the stored callback with that key."""
    key = given.idempotency_key
    kept = None if key is None else tx.callbacks.with_key(given.account_sid, key)
    if kept is None:
        tx.callbacks.add(given)
    return kept or given


class LongCallbacksInBothStores(CallbacksInBothStores):
    """The same, in more examples."""


# This takes some seconds, and much longer on a busy machine.
@pytest.mark.timeout(300)
class TestCallbacksInBothStores(CallbacksInBothStores.TestCase):
    settings = settings(max_examples=20, stateful_step_count=60, deadline=None)


@pytest.mark.long
@pytest.mark.timeout(600)
class TestLongCallbacksInBothStores(LongCallbacksInBothStores.TestCase):
    settings = settings(max_examples=250, stateful_step_count=60, deadline=None)
