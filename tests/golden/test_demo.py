"""All output of `ringback demo`, except random values and values that depend on the time.

`pytest tests/golden --update-golden` rewrites it; then read the diff.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

PRINTED: Final = Path(__file__).parent / "demo.txt"

# Each replacement has as many characters as the original, so that the columns stay aligned.
REPLACED: Final = (
    (r"(?<=127\.0\.0\.1:)\d{5}", "PORT"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME"),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "TOKEN OF TWILIO"),
    (r"\bRQ[0-9a-f]{32}\b", "TOKEN OF KORE"),
    (r"(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{27}=", "SIGNATURE OF TWILIO"),
    (r"\b[0-9a-f]{64}\b", "SIGNATURE OF KORE"),
    (r"(?<=Kore-Signature: )[0-9a-f]{31}\b", "SIGNATURE OF KORE,"),
    (r"(?<=  )[0-9a-f]{33}\b", "CONTINUED"),
)


def without_randomness(printed: str) -> str:
    for pattern, name in REPLACED:
        printed = re.sub(pattern, lambda found, name=name: name.ljust(len(found[0]), "."), printed)
    return printed


def test_the_demo_prints_both_requests_and_all_their_consequences(
    pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "ringback", "demo"],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    printed = without_randomness(ran.stdout)
    if pytestconfig.getoption("--update-golden"):
        PRINTED.write_text(printed, "utf-8")
    assert printed == PRINTED.read_text("utf-8")
