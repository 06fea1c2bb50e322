"""`ringback`, but its database can't be written to while the file DATA/read-only is there."""

import sys
from pathlib import Path

from ringback.cli.main import main
from tests.crash.driver import writing_nothing_while

SIGN = "read-only"

if __name__ == "__main__":
    folder = Path(sys.argv[sys.argv.index("--data") + 1])
    with writing_nothing_while(folder / SIGN):
        main(prog_name="ringback")
