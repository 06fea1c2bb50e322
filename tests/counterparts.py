"""Coverage by counterpart: does its own test file alone cover each module of the core?

`python -m tests.counterparts` runs the test files one by one, and lists what each misses in its
module.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
CORE: Final = ROOT / "src" / "ringback" / "core"
TESTS: Final = ROOT / "tests" / "unit" / "core"


def modules() -> list[Path]:
    """Return all modules of the core, in order of their paths."""
    found = (path.relative_to(CORE) for path in CORE.rglob("*.py") if path.stem != "__init__")
    return sorted(found)


def counterpart(module: Path) -> Path:
    return TESTS / module.with_name(f"test_{module.name}")


def missed(module: Path, data_file: Path) -> str:
    """Report what a module's own test file does not cover; empty if it covers everything."""
    coverage = [sys.executable, "-m", "coverage"]
    environment = os.environ | {"COVERAGE_FILE": str(data_file)}
    for command, wanted in (
        (["run", "-m", "pytest", "-q", str(counterpart(module))], "failed"),
        (["report", "--fail-under=100", f"--include={CORE / module}"], "not covered"),
    ):
        result = subprocess.run(
            [*coverage, *command],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            return f"{module}: {wanted}\n{result.stdout}{result.stderr}"
    return ""


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        reports = [
            missed(module, Path(folder, str(number))) for number, module in enumerate(modules())
        ]
    print(
        "\n".join(filter(None, reports)) or f"all {len(reports)} modules are covered by their own"
    )
    return 1 if any(reports) else 0


if __name__ == "__main__":
    sys.exit(main())
