"""Retention in plain dictionaries: a callback loses what `stage_of` says, with no slack."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.retention import (
    RetentionCutoffs,
    RetentionStage,
    StoredTimes,
    TimeSubject,
    stage_of,
)
from ringback.ports import FreeSpace, RetentionCounts, RetentionFinds, UnusedFinds
from tests.memory_store.callbacks import MemoryCallbacks
from tests.memory_store.kept_responses import MemoryKeptResponses
from tests.memory_store.records import of_account
from tests.memory_store.shadows import MemoryShadows


@dataclass
class MemoryRetention:
    """Implements `ports.Retention`."""

    callbacks: MemoryCallbacks
    responses: MemoryKeptResponses
    shadows: MemoryShadows
    set: dict[TimeSubject, timedelta | None] = field(
        default_factory=dict[TimeSubject, "timedelta | None"]
    )

    def times(self) -> StoredTimes:
        return dict(self.set)

    def set_times(self, changes: Mapping[TimeSubject, timedelta | None], now: datetime) -> None:
        self.set.update(changes)

    def unset_times(self, times: Sequence[TimeSubject]) -> None:
        for key in times:
            self.set.pop(key, None)

    def find_expired(
        self,
        account_sid: str,
        cutoffs: RetentionCutoffs,
        place: object = None,
        *,
        limit: int,
        is_walked: bool = True,
    ) -> RetentionFinds:
        found = [
            (0, one.sid)
            for one in of_account(account_sid, self.callbacks.callbacks.values())
            if self._loses_something(one, cutoffs)
        ]
        return RetentionFinds(found[:limit], None, len(found) <= limit)

    def remove_expired(
        self, rows: Sequence[tuple[int, str]], cutoffs: RetentionCutoffs
    ) -> RetentionCounts:
        stages = list[RetentionStage]()
        for _, sid in rows:
            callback = self.callbacks.callbacks.get(sid)
            stage = RetentionStage.NOTHING if callback is None else _stage(callback, cutoffs)
            stages.append(stage)
            if stage is not RetentionStage.NOTHING:
                self._remove_attempts(sid)
            if stage is RetentionStage.ALL:
                del self.callbacks.callbacks[sid]
        return RetentionCounts(
            stages.count(RetentionStage.ALL), stages.count(RetentionStage.ATTEMPTS)
        )

    def find_unused(
        self, cutoffs: Mapping[str, RetentionCutoffs], place: object = None, *, limit: int
    ) -> UnusedFinds:
        compared = {shadow.attempt.callback_sid for shadow in self.shadows.shadows.values()}
        found = [
            ("kept_responses", 0, sid)
            for sid, one in self.responses.kept.items()
            if self._is_past_answers(sid, cutoffs.get(one.account_sid))
        ]
        found += [
            ("answer_bodies", number, sid)
            for (sid, number), row in self.callbacks.rows.items()
            if row.response is not None
            and row.response.body
            and (sid not in compared or number > 1)
            and self._is_past_answers(sid, cutoffs.get(row.account_sid))
        ]
        # Its rows have no numbers of their own.
        return UnusedFinds([(f"{table} {sid}", number) for table, number, sid in found], None)

    def remove_unused(self, rows: Sequence[tuple[str, int]]) -> None:
        for place, number in rows:
            table, sid = place.split()
            if table == "kept_responses":
                self.responses.kept.pop(sid, None)
                continue
            row = self.callbacks.rows[sid, number]
            shown = self.responses.shown(sid, number, row.response)
            assert shown is not None
            bare = row._replace(response=shown._replace(body=b""))
            self.callbacks.rows[sid, number] = bare

    def free_space(self) -> FreeSpace:
        return FreeSpace(0, 0, can_shrink=True)

    def give_back(self, most: int) -> None:
        pass

    def _loses_something(self, one: CallbackRecord, cutoffs: RetentionCutoffs) -> bool:
        stage = _stage(one, cutoffs)
        has_attempts = any(sid == one.sid for sid, _ in self.callbacks.rows)
        is_stripped = stage is RetentionStage.ATTEMPTS and has_attempts
        return stage is RetentionStage.ALL or is_stripped

    def _is_past_answers(self, sid: str, cutoffs: RetentionCutoffs | None) -> bool:
        """Return True if the answers to a callback, or to a shadow copy, have been kept enough."""
        if cutoffs is None or cutoffs.answers is None:
            return False
        callback, shadow = self.callbacks.callbacks.get(sid), self.shadows.shadows.get(sid)
        if callback is not None:
            is_ended, at = callback.progress.is_ended, callback.progress.date_updated
            return is_ended and at <= cutoffs.answers
        return shadow is not None and shadow.attempt.date_started <= cutoffs.answers

    def _remove_attempts(self, sid: str) -> None:
        copies = [
            copy.sid for copy in self.shadows.shadows.values() if copy.attempt.callback_sid == sid
        ]
        for copy in copies:
            del self.shadows.shadows[copy]
        for one in (sid, *copies):
            self.responses.kept.pop(one, None)
        for key in [key for key in self.callbacks.rows if key[0] == sid]:
            del self.callbacks.rows[key]


def _stage(callback: CallbackRecord, cutoffs: RetentionCutoffs) -> RetentionStage:
    return stage_of(callback.status, callback.progress.date_updated, cutoffs)
