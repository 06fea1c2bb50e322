"""Drafts plans from a server's own data, and shows how far those are that its jobs carry out."""

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ringback.api.portal.plan_views import PlanDraftOrder
from ringback.application.receiver_checker import fix_of
from ringback.core.accounts.account import one_account
from ringback.core.errors import (
    SUPER_SIM,
    ConfigurationError,
    Conflict,
    InvalidParameter,
    NotFound,
    StoreUnavailable,
)
from ringback.core.policy.receiver_evidence import judge_receiver
from ringback.core.policy.source_policy import source_named
from ringback.core.policy.urls_in_use import wire_of
from ringback.policy.policy_monitor import PolicyMonitor
from ringback.ports import Clock, RandomSource, Store, Transaction
from ringback.runtime.system_clock import stopwatch

if TYPE_CHECKING:
    from ringback.migration.canary_evaluation import DeliveriesBeforeAndAfter
    from ringback.migration.plan import MigrationPlan
    from ringback.migration.plan_overview import PlanOverview, UrlOverview
    from ringback.migration.url_source import UrlLocation
    from ringback.ports import UrlDeliveryTotals

_MOST_SHOWN: Final = 100
_MOST_URLS: Final = 1000
_MOST_BYTES: Final = 15 * 1024 * 1024
"""The most bytes of a drafted plan's lines, so that it can be sent back."""
_MOST_KEPT: Final = 4
"""How many plans are remembered, so that only the new lines of their journals are read."""
_KEPT_FOR: Final = 10.0
_REST: Final = 100
"""The time between two counts of deliveries, as a multiple of the time that a count takes."""

# The code of the migration is imported for the first request: few servers need it.


class _CountedDeliveries(NamedTuple):
    """The deliveries to the URLs of a step, as they were counted last."""

    step: datetime
    """When the step began."""
    before: "Sequence[UrlDeliveryTotals]"
    found: "Mapping[UrlLocation, DeliveriesBeforeAndAfter]"
    counted: datetime
    good_until: float


@dataclass(slots=True)
class _KnownPlan:
    """A plan whose journal has been read up to a line."""

    overview: "PlanOverview"
    last: int = 0
    deliveries: _CountedDeliveries | None = None


@dataclass(slots=True)
class PlanDesk:
    """Implements `PlanViewer` of the API, with the code of the migration."""

    store: Store
    clock: Clock
    random_source: RandomSource
    monitor: PolicyMonitor
    _known: OrderedDict[tuple[str, str], _KnownPlan] = field(
        default_factory=OrderedDict[tuple[str, str], _KnownPlan]
    )
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    # ---- a draft

    async def draft(self, account_sid: str, order: PlanDraftOrder) -> dict[str, Any]:
        """Make a plan for the URLs that an account, or for EVERY all, have configured.

        Raises InvalidParameter if a condition is invalid, or the plan too big to be sent back.
        """
        from ringback.migration.filters import UrlFilter  # noqa: PLC0415 (see above)
        from ringback.migration.plan import make_plan  # noqa: PLC0415 (see above)
        from ringback.migration.url_sources.own_data import OwnDataUrlSource  # noqa: PLC0415 (see above)

        owner = one_account(account_sid)
        policy, date, _ = self.monitor.by_date()
        if order.to not in policy.sources:
            known = ", ".join(policy.sources)
            raise _wrong(f"To={order.to!r} is not a source of the policy; it has {known}")
        try:
            selections = [UrlFilter.parse(condition) for condition in order.conditions]
        except ConfigurationError as problem:
            raise _wrong(f"Select: {problem}") from None
        urls = OwnDataUrlSource(self.store, folder="", clock=self.clock, account_sid=owner)
        entries = await urls.entries()
        fingerprint = await self.store.read(lambda tx: tx.fingerprint())

        def make() -> dict[str, Any]:
            plan = make_plan(
                entries,
                to=source_named(order.to),
                url_source=urls.spec,
                phase=policy.general_phase(date).name,
                now=self.clock.now(),
                plan_id=self.random_source.bytes(8).hex(),
                selections=selections,
                percent=order.percent,
                fingerprint=fingerprint,
            )
            return self._draft_record(plan)

        return await asyncio.to_thread(make)

    def _draft_record(self, plan: "MigrationPlan") -> dict[str, Any]:
        from ringback.migration.migration_effect import in_vain  # noqa: PLC0415 (see above)
        from ringback.migration.plan import edit_record  # noqa: PLC0415 (see above)

        lines = [*plan.lines()]
        if sum(map(len, lines)) > _MOST_BYTES:
            raise _wrong(
                f"the plan would have {len(plan.edits):,} URLs, too many for one request: select"
                " fewer, by an account or a URL prefix"
            )
        policy, date, _ = self.monitor.by_date()
        return {
            "id": plan.id,
            "to": plan.to,
            "phase": plan.phase,
            "edits": len(plan.edits),
            "lines": lines,
            "digest": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
            "left_out": plan.left_out,
            "without_effect": in_vain(plan.edits, plan.to, policy, at=date),
            "first": [_shown(edit_record(edit)) for edit in plan.edits[:_MOST_SHOWN]],
        }

    # ---- plans that jobs carry out

    def target_of(self, tx: Transaction, account_sid: str, plan_id: str) -> str | None:
        """Return the source that a plan moves URLs to; None if its first lines don't say it."""
        try:
            (line,) = tx.plans.after(account_sid, plan_id, 0, limit=1)
            to = json.loads(json.loads(line)["lines"][0])["to"]
        except (ValueError, KeyError, IndexError, TypeError):
            return None
        return to if isinstance(to, str) else None

    async def overview(self, account_sid: str, plan_id: str) -> dict[str, Any]:
        """Return how far a plan is, for JSON.

        Raises NotFound if there is none, and Conflict if its journal can't be read.
        """
        async with self._lock:
            known = await self._read(account_sid, plan_id)
            deliveries = await self._count(account_sid, known)
            record = await asyncio.to_thread(self._record, known.overview, deliveries)
        return await self._with_checks(account_sid, record)

    async def _with_checks(self, account_sid: str, record: dict[str, Any]) -> dict[str, Any]:
        """Return an overview with the last check of each receiver that was skipped."""
        to = record["to"]

        def look(tx: Transaction) -> list[dict[str, Any]]:
            return [self._with_check(tx, one, account_sid, to) for one in record["urls"]]

        return {**record, "urls": await self.store.read(look, asked_by=account_sid)}

    def _with_check(
        self, tx: Transaction, one: dict[str, Any], account_sid: str, to: str | None
    ) -> dict[str, Any]:
        if one["state"] != "skipped" or to is None:
            return {**one, "check": None}
        checks = tx.receiver_checks.of_url(one["account_sid"] or account_sid, wire_of(one["url"]))
        check = next((check for check in checks if check.source == to), None)
        if check is None:
            return {**one, "check": None}
        finding = judge_receiver(source_named(to), check, None)
        shown = {
            "verdict": finding.verdict,
            "words": finding.words,
            "fault": check.fault,
            "fix": check.fault and fix_of(check.fault),
            "date": check.date,
        }
        return {**one, "check": shown}

    async def _read(self, account_sid: str, plan_id: str) -> _KnownPlan:
        from ringback.migration.plan_overview import PlanOverview  # noqa: PLC0415 (see above)
        from ringback.migration.stored_journal import read_lines  # noqa: PLC0415 (see above)

        key = account_sid, plan_id
        last = await self.store.read(lambda tx: tx.plans.last(*key), asked_by=account_sid)
        known = self._known.pop(key, None)
        if not last:
            raise NotFound(f"there is no plan with the id {plan_id!r}")
        if known is None or known.last > last:
            known = _KnownPlan(PlanOverview(f"plan {plan_id}"))

        async def fetch(after: int) -> list[str]:
            return await self.store.read(
                lambda tx: tx.plans.after(*key, after), asked_by=account_sid
            )

        overview = known.overview
        try:
            known.last = await read_lines(
                fetch, lambda line, _: overview.take(line), after=known.last
            )
        except StoreUnavailable:
            raise
        except ConfigurationError as problem:
            raise Conflict(str(problem)) from None
        await asyncio.to_thread(overview.read_plan)
        # Only now: one that could be read only in part is read again from its beginning.
        self._known[key] = known
        while len(self._known) > _MOST_KEPT:
            self._known.popitem(last=False)
        return known

    async def _count(self, account_sid: str, known: _KnownPlan) -> _CountedDeliveries | None:
        """Return the deliveries of the step that is watched; None if there is none.

        They are counted again only now and then, since a count reads many callbacks.
        """
        from ringback.migration.canary_evaluation import deliveries_of  # noqa: PLC0415 (see above)
        from ringback.migration.canary_step import CanarySettings  # noqa: PLC0415 (see above)
        from ringback.migration.url_sources.own_data import OwnDataUrlSource  # noqa: PLC0415 (see above)

        summary, before = known.overview.summary, known.deliveries
        step, began = summary.step, summary.began
        if step is None or began is None or step.watched_until is None:
            known.deliveries = None
            return None
        if before is not None and before.step != step.began:
            before = None
        started = stopwatch()
        if before is not None and started < before.good_until:
            return before
        urls = OwnDataUrlSource(
            self.store, folder="", clock=self.clock, account_sid=one_account(account_sid)
        )
        canary = CanarySettings(
            began.shares,
            timedelta(seconds=began.soak),
            urls,
            began.least,
            timedelta(seconds=began.wait),
        )
        earlier = await canary.before(step.began) if before is None else before.before
        now = self.clock.now()
        later = await canary.after(began=step.began, now=now)
        found = await asyncio.to_thread(deliveries_of, known.overview.watched, earlier, later)
        ended = stopwatch()
        good_until = ended + max(_KEPT_FOR, _REST * (ended - started))
        known.deliveries = _CountedDeliveries(step.began, earlier, found, now, good_until)
        return known.deliveries

    def _record(
        self, overview: "PlanOverview", deliveries: _CountedDeliveries | None
    ) -> dict[str, Any]:
        plan, began, urls = overview.plan, overview.summary.began, overview.urls()
        found: Mapping[UrlLocation, DeliveriesBeforeAndAfter] = (
            {} if deliveries is None else deliveries.found
        )
        return {
            "to": None if plan is None else plan.to,
            "date_created": None if plan is None else plan.made,
            "date_updated": overview.updated,
            "problem": overview.problem,
            "edits": len(urls),
            "left_out": {} if plan is None else plan.left_out,
            "soak_seconds": 0.0 if began is None else began.soak,
            "least": 0 if began is None else began.least,
            "wait_seconds": 0.0 if began is None else began.wait,
            "steps": [step._asdict() for step in overview.steps],
            "counts": {state.value: count for state, count in overview.counts().items()},
            "callbacks": dict(overview.summary.fates),
            "deliveries_counted": None if deliveries is None else deliveries.counted,
            "urls": [_url_record(one, found.get(one.edit.place)) for one in urls[:_MOST_URLS]],
            "urls_left_out": len(urls[_MOST_URLS:]),
        }


def _url_record(
    one: "UrlOverview", deliveries: "DeliveriesBeforeAndAfter | None"
) -> dict[str, Any]:
    from ringback.migration.plan import edit_record  # noqa: PLC0415 (see above)
    from ringback.migration.plan_overview import verdict_of  # noqa: PLC0415 (see above)

    return {
        **_shown(edit_record(one.edit)),
        "state": one.state,
        "words": one.why,
        "verdict": verdict_of(one, deliveries),
        "before": deliveries and _counts(deliveries.before.delivered, deliveries.before.tried),
        "since": deliveries and _counts(deliveries.after.delivered, deliveries.after.tried),
    }


def _shown(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an edit that answers have."""
    return {name: record[name] for name in ("account_sid", "place", "method", "url", "new")}


def _counts(delivered: int, total: int) -> dict[str, int]:
    return {"delivered": delivered, "total": total}


def _wrong(message: str) -> InvalidParameter:
    return InvalidParameter(message, code=SUPER_SIM.invalid)
