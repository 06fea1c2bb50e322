from tests.counterparts import TESTS, counterpart, modules


def test_each_module_of_the_core_has_a_test_file_of_its_name() -> None:
    tested = set(TESTS.rglob("test_*.py")) - {TESTS / "test_counterparts.py"}
    assert tested == {counterpart(module) for module in modules()}
