"""`ringback` with a database that can't be written while the file DATA/read-only exists."""

import sys
from pathlib import Path

from ringback.cli.main import main
from tests.crash.driver import writing_nothing_while

SIGN = "read-only"

if __name__ == "__main__":
    folder = Path(sys.argv[sys.argv.index("--data") + 1])
    with writing_nothing_while(folder / SIGN):
        main(prog_name="ringback")
