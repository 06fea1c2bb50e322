"""`ringback docs`: opens the documentation, which the installed package carries."""

from pathlib import Path
from typing import Final

import click

import ringback
from ringback.cli.base_command import command, option
from ringback.cli.output import echo
from ringback.core.errors import ConfigurationError

PACKAGE: Final = Path(ringback.__file__).parent


@command(examples={"ringback docs --print": "Print the address of the installed documentation:"})
@option(
    "--print",
    "only_print",
    is_flag=True,
    help="Print the address of the documentation, a file URL, instead of opening it.",
)
def docs(only_print: bool) -> None:
    """Open the documentation in a browser.

    The documentation is installed with Ringback, so this needs no network.
    """
    address = start_page(PACKAGE).as_uri()
    if not only_print:
        click.launch(address)
    echo(address)


def start_page(package: Path) -> Path:
    """Return the first page of the site: the installed one, or the one that a checkout has built.

    Raises ConfigurationError if there is neither.
    """
    checkout = package.parents[1]
    for site in (package / "_site", checkout / "build" / "site"):
        if (site / "index.html").is_file():
            return site / "index.html"
    raise ConfigurationError(
        "the documentation is not built here: run `make docs` in a checkout of Ringback, or install"
        " a released package, which contains it"
    )
