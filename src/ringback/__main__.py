"""`python -m ringback`."""

from ringback.cli.main import main

main(prog_name="ringback")
