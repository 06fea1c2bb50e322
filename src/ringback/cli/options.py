"""Options that several commands share."""

from pathlib import Path

import click

from ringback.settings import DATA

data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    envvar=DATA.variable,
    default=DATA.default,
    show_default=True,
    metavar=DATA.metavar,
    help="The data folder of the `ringback dev` to ask.",
)
