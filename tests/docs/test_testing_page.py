"""docs/testing.md: its table names everything that an emulator and a device have."""

import re
from pathlib import Path

from ringback.testing import Device, Emulator

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text("utf-8")


def test_the_table_names_everything_that_an_emulator_has() -> None:
    table = PAGE.partition("| attribute or method of an emulator |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines()[2:]]
    named = {name for row in rows for name in re.findall(r"`(\w+)", row)}
    public = {name for name in dir(Emulator) if not name.startswith("_")} - {"start", "stop"}
    assert named == public | {"receiver"}


def test_the_table_names_everything_that_a_device_can_do() -> None:
    (row,) = (line for line in PAGE.splitlines() if line.startswith("| `device(sim)` |"))
    named = set(re.findall(r"`(\w+)(?:\(\))?`", row.split("|")[2]))
    public = {name for name in vars(Device) if not name.startswith("_")}
    assert named == public - set(Device.__dataclass_fields__)
