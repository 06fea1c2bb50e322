"""Errors of the system: their texts, and which of them mean that a resource is short."""

import errno
import socket
import ssl
from pathlib import Path

import pytest

from ringback.core.errors import ConfigurationError
from ringback.core.http.outcome import AttemptFailure
from ringback.runtime.os_error_messages import error_text, refusing, shortage_of


def an_ssl_error(reason: str, *, number: int = 1) -> ssl.SSLError:
    error = ssl.SSLError(number, "[SSL: X] x (_ssl.c:1)")
    error.reason = reason
    return error


def a_certificate_error(message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "[SSL: X] x (_ssl.c:1)")
    error.verify_message = message
    return error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConnectionRefusedError(111, "[Errno 111] Connect call failed"), "Connection refused"),
        (OSError(errno.EMFILE, ""), "Too many open files"),
        (OSError("its own words"), "its own words"),
        (OSError(), "no answer"),
        (
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            "Name or service not known",
        ),
        (socket.gaierror(), "name error"),
        (an_ssl_error("WRONG_VERSION_NUMBER"), "wrong version number"),
        (an_ssl_error(""), "tls error"),
        (a_certificate_error("certificate has expired"), "certificate has expired"),
    ],
)
def test_an_error_is_reported_in_plain_words(error: OSError, text: str) -> None:
    assert error_text(error) == text


@pytest.mark.parametrize(
    ("error", "shortage"),
    [
        *(
            (OSError(number, ""), AttemptFailure.SHORTAGE)
            for number in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENOSPC)
        ),
        *(
            (OSError(number, ""), AttemptFailure.NO_LOCAL_PORT)
            for number in (errno.EADDRNOTAVAIL, errno.EADDRINUSE)
        ),
        (ConnectionRefusedError(errno.ECONNREFUSED, ""), None),
        (OSError("its own words"), None),
        (socket.gaierror(socket.EAI_MEMORY, ""), AttemptFailure.SHORTAGE),
        (socket.gaierror(socket.EAI_NONAME, ""), None),
        (socket.gaierror(errno.EMFILE, "an equal number of another kind"), None),
        (socket.gaierror(socket.EAI_AGAIN, ""), None),
        (an_ssl_error("MALLOC_FAILURE"), AttemptFailure.SHORTAGE),
        (an_ssl_error("WRONG_VERSION_NUMBER"), None),
        (an_ssl_error("", number=errno.ENOMEM), None),
    ],
)
def test_shortages_of_this_machine_are_recognised_by_the_error_number(
    error: OSError, shortage: AttemptFailure | None
) -> None:
    assert shortage_of(error) is shortage


def test_a_refusal_says_what_failed_and_why(tmp_path: Path) -> None:
    with (
        pytest.raises(
            ConfigurationError, match=r"^the plan can't be read: No such file or directory$"
        ),
        refusing("the plan can't be read"),
    ):
        (tmp_path / "plan").read_bytes()


def test_a_refusal_may_include_advice(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigurationError, match=r": No such file or directory; make one$"),
        refusing("the plan can't be read", "make one"),
    ):
        (tmp_path / "plan").read_bytes()


def test_other_errors_are_not_refusals() -> None:
    with pytest.raises(ValueError, match="odd"), refusing("the plan can't be read"):
        raise ValueError("odd")
