"""docs/testing.md: its first example runs, and its table names what there is."""

import re
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from ringback.testing import Device, Emulator

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text("utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


class App:
    """The application that the page talks of."""

    def __init__(self, base_url: str, account_sid: str, auth_token: str) -> None:
        self._base_url = base_url
        self._pair = b64encode(f"{account_sid}:{auth_token}".encode()).decode()

    def deactivate(self, sim_sid: str, *, callback_url: str) -> None:
        form = urlencode({"Status": "inactive", "CallbackUrl": callback_url}).encode()
        headers = {"Authorization": f"Basic {self._pair}"}
        request = Request(f"{self._base_url}/v1/Sims/{sim_sid}", form, headers)  # noqa: S310 (of the emulator)
        with urlopen(request) as answer:  # noqa: S310 (likewise)
            assert answer.status == 202


def test_the_first_example_runs() -> None:
    names: dict[str, Any] = {"make_app": App}
    exec(EXAMPLES[0], names)  # noqa: S102 (it is our own page)
    assert names["callback"].parameters["SimStatus"] == "inactive"


def test_the_fixture_example_is_an_override_of_ours() -> None:
    import ringback.pytest_plugin as plugin

    names: dict[str, Any] = {}
    exec(EXAMPLES[1], names)  # noqa: S102 (likewise)
    assert "emulator_settings" in names
    assert hasattr(plugin, "emulator_settings")


def test_the_table_names_everything_that_an_emulator_has() -> None:
    table = PAGE.partition("| of an emulator |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines()[2:]]
    named = {name for row in rows for name in re.findall(r"`(\w+)", row)}
    public = {name for name in dir(Emulator) if not name.startswith("_")} - {"start", "stop"}
    assert named == public | {"receiver"}


def test_the_table_names_everything_that_a_device_can_do() -> None:
    (row,) = (line for line in PAGE.splitlines() if line.startswith("| `device(sim)` |"))
    named = set(re.findall(r"`(\w+)(?:\(\))?`", row.split("|")[2]))
    public = {name for name in vars(Device) if not name.startswith("_")}
    assert named == public - set(Device.__dataclass_fields__)
