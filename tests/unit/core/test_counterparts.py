from pathlib import Path

from tests.counterparts import modules


def test_each_module_of_the_core_has_a_test_file_of_its_name() -> None:
    tested = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    assert tested - {"counterparts"} == set(modules())
