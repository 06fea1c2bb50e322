from ringback.dev_receiver.responses import ListenerResponse
from ringback.dev_receiver.server import to_bytes


def test_an_answer_has_its_length() -> None:
    answer = ListenerResponse(200, (("Content-Type", "text/plain"),), b"ok")
    assert to_bytes(answer, method="POST", keeps_alive=True) == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
    )


def test_an_answer_without_a_body_has_no_length_if_its_status_forbids_one() -> None:
    assert to_bytes(ListenerResponse(204), method="POST", keeps_alive=True) == (
        b"HTTP/1.1 204 No Content\r\n\r\n"
    )


def test_an_answer_to_head_has_a_length_but_no_body() -> None:
    assert to_bytes(ListenerResponse(200, (), b"ok"), method="HEAD", keeps_alive=True) == (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    )


def test_the_last_answer_of_a_connection_says_that_it_closes() -> None:
    assert to_bytes(ListenerResponse(599), method="GET", keeps_alive=False) == (
        b"HTTP/1.1 599 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
