"""A URL source in one real file, and helpers to move its URLs."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ringback.core.policy.source_policy import Source
from ringback.migration.canary_step import CanarySettings
from ringback.migration.edit_status import EditState
from ringback.migration.executor import ApplyOutcome, PlanExecutor, ReceiverReadinessCheck
from ringback.migration.journal import JournalFile, JournalLine, JournalSummary, journal_of
from ringback.migration.plan import MigrationPlan, make_plan
from ringback.migration.progress import ProgressEvent, ProgressReader
from ringback.migration.url_source import EditOutcome, UrlEdit, UrlEntry, UrlLocation, UrlSourceSpec
from ringback.ports import no_checkpoint

ACCOUNT = "AC3ba717b1d236e6c4a835e46130267eb4"
NOW = datetime(2024, 10, 1, tzinfo=UTC)


class FileOfUrls:
    """Implements `UrlSource`: a file with a JSON object of places and URLs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def spec(self) -> UrlSourceSpec:
        return {"kind": "file of urls"}

    def fill(self, urls: dict[str, str]) -> None:
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(urls))
        fresh.replace(self.path)

    def urls(self) -> dict[str, str]:
        return json.loads(self.path.read_text())

    async def entries(self) -> Sequence[UrlEntry]:
        return [UrlEntry(UrlLocation(name, ACCOUNT), url) for name, url in self.urls().items()]

    async def replace(self, edits: Sequence[UrlEdit]) -> Sequence[EditOutcome]:
        return [self._replace(edit) for edit in edits]

    def _replace(self, edit: UrlEdit) -> EditOutcome:
        urls = self.urls()
        outcome = edit.outcome(urls.get(edit.place.name))
        if outcome is EditOutcome.DONE:
            self.fill({**urls, edit.place.name: edit.new})
        return outcome


class PassingClock:
    """Implements `ports.Clock`: a sleep returns at once, and moves the clock to its end."""

    def __init__(self, start: datetime = NOW) -> None:
        self._now = start
        self.slept = list[timedelta]()

    def now(self) -> datetime:
        return self._now

    async def sleep_until(self, instant: datetime) -> None:
        await asyncio.sleep(0)
        self.slept.append(instant - self._now)
        self._now = max(self._now, instant)


@dataclass
class World:
    """A URL source, the plan of its move, and the progress that applying it reported."""

    folder: Path
    url_source: FileOfUrls = field(init=False)
    clock: PassingClock = field(default_factory=PassingClock)
    news: list[ProgressEvent] = field(default_factory=list[ProgressEvent])

    def __post_init__(self) -> None:
        self.url_source = FileOfUrls(self.folder / "record.json")

    @property
    def path(self) -> Path:
        return self.folder / "move.plan"

    @property
    def plan(self) -> MigrationPlan:
        return MigrationPlan.read(self.path)

    def make_plan(self, **more: Any) -> MigrationPlan:
        plan = make_plan(
            asyncio.run(self.url_source.entries()),
            to=Source.KORE,
            url_source=self.url_source.spec,
            phase="before",
            now=NOW,
            plan_id="p1",
            **more,
        )
        plan.write(self.path)
        return plan

    def begin_anew(self, urls: dict[str, str]) -> None:
        """Configure these URLs, and make a new plan that isn't applied yet."""
        for path in (self.path, journal_of(self.path)):
            path.unlink(missing_ok=True)
        self.url_source.fill(urls)
        self.make_plan()

    def journal(self) -> JournalFile:
        reader = ProgressReader()

        def follow(line: JournalLine, summary: JournalSummary) -> None:
            self.news += reader.read(line, summary)

        return JournalFile(journal_of(self.path), plan_id="p1", follow=follow)

    def executor(
        self, journal: JournalFile, checkpoint: Callable[[str], None] = no_checkpoint
    ) -> PlanExecutor:
        return PlanExecutor(self.plan, self.url_source, journal, self.clock, checkpoint)

    def apply(
        self,
        *,
        readiness: ReceiverReadinessCheck | None = None,
        canary: CanarySettings | None = None,
        checkpoint: Callable[[str], None] = no_checkpoint,
    ) -> ApplyOutcome:
        with self.journal() as journal:
            return asyncio.run(
                self.executor(journal, checkpoint).apply(readiness=readiness, canary=canary)
            )

    def revert(self, checkpoint: Callable[[str], None] = no_checkpoint) -> None:
        with self.journal() as journal:
            asyncio.run(self.executor(journal, checkpoint).revert())

    def states(self) -> dict[str, EditState]:
        with self.journal() as journal:
            found = asyncio.run(self.executor(journal).statuses())
        return {place.name: status.state for place, status in found.items()}


def urls(count: int) -> dict[str, str]:
    """Return this number of URLs, each of another receiver."""
    return {f"fleet {n}": f"https://r{n}.example/p?x={n}#rc=2" for n in range(count)}


def moved(old: dict[str, str]) -> dict[str, str]:
    return {name: f"{url}&cbs=kore" for name, url in old.items()}
