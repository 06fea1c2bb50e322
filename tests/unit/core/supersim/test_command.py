from datetime import timedelta
from itertools import product

import pytest

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.sims.message import MESSAGE_MOVES, MessageStatus, PayloadType
from ringback.core.supersim.command import IP_MOVES, LONGEST_DATAGRAM, IpStatus
from tests.fakes import NOW
from tests.unit.core.builders import a_datagram, an_sms

LATER = NOW + timedelta(seconds=2)

MOVES_OF_SMS = {(old, new) for old, targets in MESSAGE_MOVES.items() for new in targets}
MOVES_OF_IP = {(IpStatus.QUEUED, IpStatus.SENT), (IpStatus.QUEUED, IpStatus.FAILED)}


def test_the_statuses_are_those_of_the_api() -> None:
    assert list(IpStatus) == ["queued", "sent", "received", "failed"]


def test_the_longest_payload_is_that_of_the_documentation() -> None:
    assert LONGEST_DATAGRAM == 1300


def test_the_moves_are_those_of_the_documentation() -> None:
    assert {(old, new) for old, targets in IP_MOVES.items() for new in targets} == MOVES_OF_IP


def test_every_status_has_its_line_in_the_table() -> None:
    assert set(IP_MOVES) == set(IpStatus)


@pytest.mark.parametrize(("old", "new"), sorted(MOVES_OF_SMS))
def test_a_move_of_an_sms_changes_nothing_else(old: MessageStatus, new: MessageStatus) -> None:
    assert an_sms(status=old).moved(new, LATER) == an_sms(status=new, date_updated=LATER)


@pytest.mark.parametrize(
    ("old", "new"), sorted(set(product(MessageStatus, MessageStatus)) - MOVES_OF_SMS)
)
def test_an_sms_has_no_other_moves(old: MessageStatus, new: MessageStatus) -> None:
    with pytest.raises(ValueError, match=f"an SMS Command that is {old} can't become {new}"):
        an_sms(status=old).moved(new, LATER)


@pytest.mark.parametrize(("old", "new"), sorted(MOVES_OF_IP))
def test_a_move_of_a_datagram_changes_nothing_else(old: IpStatus, new: IpStatus) -> None:
    assert a_datagram(status=old).moved(new, LATER) == a_datagram(status=new, date_updated=LATER)


@pytest.mark.parametrize(("old", "new"), sorted(set(product(IpStatus, IpStatus)) - MOVES_OF_IP))
def test_a_datagram_has_no_other_moves(old: IpStatus, new: IpStatus) -> None:
    with pytest.raises(ValueError, match=f"an IP Command that is {old} can't become {new}"):
        a_datagram(status=old).moved(new, LATER)


@pytest.mark.parametrize(
    ("payload_type", "payload", "wire"),
    [
        (PayloadType.TEXT, "ä: €", b"\xc3\xa4: \xe2\x82\xac"),
        (PayloadType.TEXT, "YWN0dWFsbHk=", b"YWN0dWFsbHk="),
        (PayloadType.BINARY, "YWN0dWFsbHk=", b"actually"),
        (PayloadType.BINARY, "AP8=", b"\x00\xff"),
        (PayloadType.BINARY, "", b""),
    ],
)
def test_a_datagram_is_sent_as_its_bytes(
    payload_type: PayloadType, payload: str, wire: bytes
) -> None:
    assert a_datagram(payload_type=payload_type, payload=payload).datagram == wire


def test_commands_are_called_back_by_post_by_default() -> None:
    assert an_sms().callback.method is a_datagram().callback.method is HttpMethod.POST
