import pytest

from ringback.core.codes import SUPER_SIM, WIRELESS, Codes


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (SUPER_SIM, Codes(invalid=83600, missing=20002, paging=83600, name_taken=83011)),
        (WIRELESS, Codes(invalid=33101, missing=33102, paging=33103, name_taken=33101)),
    ],
    ids=["Super SIM", "Programmable Wireless"],
)
def test_what_every_api_can_refuse_has_the_codes_of_its_documentation(
    codes: Codes, expected: Codes
) -> None:
    assert codes == expected
