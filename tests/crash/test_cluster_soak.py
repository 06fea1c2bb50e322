"""Soaks of several servers on one PostgreSQL: a short one, and one of 200 faults."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.cluster_soak import LONG, SHORT, ClusterSoak, Plan
from tests.crash.evidence import broken
from tests.crash.production import Log
from tests.crash.soak import summary
from tests.databases import debian_programs, postgres_programs


@pytest.mark.long
@pytest.mark.parametrize(
    ("plan", "faults", "acknowledged", "programs"),
    [
        # Both versions of PostgreSQL that come with the tests have a turn, and that of Debian.
        pytest.param(SHORT, 10, 100, lambda: postgres_programs()[0], id="short"),
        pytest.param(SHORT, 10, 100, debian_programs, id="short on Debian's PostgreSQL"),
        pytest.param(LONG, 200, 2000, lambda: postgres_programs()[-1], id="long"),
    ],
)
async def test_faults_under_load_break_no_law(
    plan: Plan, faults: int, acknowledged: int, programs: Callable[[], Path], tmp_path: Path
) -> None:
    soak = ClusterSoak(tmp_path, seed=1, plan=plan, log=Log(sys.stderr), programs=programs())
    evidence = await soak.run()
    print(summary(soak, evidence, 0))
    assert broken(evidence) == []
    assert soak.faults_logged() == []
    # It would prove nothing if there were few faults, or if they came when nothing was done.
    assert soak.faults >= faults
    assert len(evidence.answers) >= acknowledged
