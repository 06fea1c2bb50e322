"""The probe finds exactly the faults of each receiver of the corpus."""

import asyncio
from typing import Final

import pytest

from ringback.probe.case_kinds import ProbeCase
from ringback.probe.probe_cases import CASES, cases_of
from ringback.probe.probe_report import ProbeReport
from ringback.probe.receiver_faults import ReceiverFaultKind
from ringback.probe.stream_cases import stream_cases_of
from tests.corpus.receivers.async_apps import ASYNC
from tests.corpus.receivers.deduplication import DEDUPLICATION
from tests.corpus.receivers.django_apps import DJANGO
from tests.corpus.receivers.event_streams import STREAMS
from tests.corpus.receivers.flask_apps import FLASK
from tests.corpus.receivers.other_languages import OTHERS
from tests.corpus.receivers.other_sources import OF_SETTINGS, SOURCES
from tests.corpus.receivers.serving import CorpusReceiver, Registry, served
from tests.unit.probe.receivers import named, probed

CORPUS: Final[Registry] = FLASK | DJANGO | ASYNC | OTHERS | DEDUPLICATION | OF_SETTINGS | STREAMS
AT_ONCE: Final = 20

pytestmark = pytest.mark.timeout(180)  # seconds for all of them; about 20 on an idle machine


def cases_for(receiver: CorpusReceiver) -> tuple[ProbeCase, ...]:
    if receiver.streams_of:
        return stream_cases_of(receiver.streams_of)
    return CASES if receiver.source is None else cases_of([receiver.source], SOURCES)


async def report_on(receiver: CorpusReceiver, room: asyncio.Semaphore) -> ProbeReport:
    async with room, served(receiver) as running:
        return await probed(
            running.backend.url,
            cases=cases_for(receiver),
            timeouts=receiver.times,
            read_counter=running.backend.count,
            restart=running.restart,
            sources=SOURCES,
        )


@pytest.mark.long
async def test_precision_and_recall_are_complete() -> None:
    # One test for all, since each of the suite's processes would probe all of them for its own.
    room = asyncio.Semaphore(AT_ONCE)
    reports = await asyncio.gather(*(report_on(each, room) for each in CORPUS.values()))
    found = {
        (name, fault)
        for name, report in zip(CORPUS, reports, strict=True)
        for fault in named(report)
    }
    real = {(name, fault) for name, receiver in CORPUS.items() for fault in receiver.faults}
    precision, recall = len(found & real) / len(found), len(found & real) / len(real)
    assert (precision, recall) == (1.0, 1.0), (
        f"{len(CORPUS)} receivers: precision {precision:.3f}, recall {recall:.3f};"
        f" found but not real: {sorted(found - real)}; not found: {sorted(real - found)}"
    )


def test_the_corpus_is_large_and_has_receivers_without_faults() -> None:
    assert len(CORPUS) >= 40
    assert sum(not receiver.faults for receiver in CORPUS.values()) >= 5
    known = {fault.label for fault in ReceiverFaultKind}
    assert known >= set[str]().union(*(receiver.faults for receiver in CORPUS.values()))
