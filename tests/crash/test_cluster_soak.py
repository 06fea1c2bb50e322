"""Soaks of several servers on one PostgreSQL: a short one, and one of 200 faults."""

import sys
from pathlib import Path

import pytest

from tests.crash.cluster_soak import LONG, SHORT, ClusterSoak, Plan
from tests.crash.evidence import broken
from tests.crash.production import Log
from tests.crash.soak import summary
from tests.databases import postgres_programs


@pytest.mark.parametrize(
    ("plan", "faults", "acknowledged"),
    [
        pytest.param(SHORT, 10, 100, id="short", marks=pytest.mark.long),
        pytest.param(LONG, 200, 2000, id="long", marks=pytest.mark.long),
    ],
)
async def test_faults_under_load_break_no_law(
    plan: Plan, faults: int, acknowledged: int, tmp_path: Path
) -> None:
    # Both versions of PostgreSQL that come with the tests have a turn.
    programs = postgres_programs()[-1 if plan is LONG else 0]
    soak = ClusterSoak(tmp_path, seed=1, plan=plan, log=Log(sys.stderr), programs=programs)
    evidence = await soak.run()
    print(summary(soak, evidence, 0))
    assert broken(evidence) == []
    assert soak.faults_logged() == []
    # It would prove nothing if there were few faults, or if they came when nothing was done.
    assert soak.faults >= faults
    assert len(evidence.answers) >= acknowledged
