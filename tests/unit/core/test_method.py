from ringback.core.method import Method


def test_a_method_is_its_name_on_the_wire() -> None:
    assert [str(method) for method in Method] == ["POST", "GET"]
