"""Soaks of several servers on one PostgreSQL: short ones, and one of 200 faults."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.cluster_soak import (
    LONG,
    SHORT,
    SHORT_WITH_POOLER,
    SHORT_WITH_STANDBY,
    ClusterSoak,
    Plan,
)
from tests.crash.evidence import broken
from tests.crash.production import Log
from tests.crash.soak import summary
from tests.databases import debian_programs, postgres_programs

pytestmark = pytest.mark.long


@pytest.mark.parametrize(
    ("plan", "programs", "faults", "acknowledged"),
    [
        # Each PostgreSQL that the tests have gets a turn; that of Debian in two ways.
        pytest.param(SHORT, lambda: postgres_programs()[0], 10, 100, id="short"),
        pytest.param(SHORT_WITH_STANDBY, debian_programs, 12, 100, id="promoted"),
        pytest.param(SHORT_WITH_POOLER, debian_programs, 12, 100, id="behind a pooler"),
        pytest.param(LONG, lambda: postgres_programs()[-1], 200, 2000, id="long"),
    ],
)
async def test_faults_under_load_break_no_law(
    plan: Plan, programs: Callable[[], Path], faults: int, acknowledged: int, tmp_path: Path
) -> None:
    soak = ClusterSoak(tmp_path, seed=1, plan=plan, log=Log(sys.stderr), programs=programs())
    evidence = await soak.run()
    print(summary(soak, evidence, 0))
    assert broken(evidence) == []
    assert soak.faults_logged() == []
    # It would prove nothing if there were few faults, or if they came when nothing was done.
    assert soak.faults >= faults
    assert len(evidence.answers) >= acknowledged
    assert any(asked.order_key for asked in evidence.asked.values())
    if plan is SHORT_WITH_STANDBY:
        assert soak.counts["standbys promoted"] > 0
    if plan is SHORT_WITH_POOLER:
        assert soak.counts["poolers killed"] > 0
