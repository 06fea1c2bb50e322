"""What the machine and its libraries have to say about an error, in plain words."""

import os
import socket
import ssl


def in_words(error: OSError) -> str:
    """Return what went wrong, without a class name, a number or a file of the library's source.

    >>> in_words(ConnectionRefusedError(111, "[Errno 111] Connect call failed"))
    'Connection refused'
    """
    match error:
        case ssl.SSLCertVerificationError():
            return error.verify_message
        case ssl.SSLError():
            return (error.reason or "TLS error").replace("_", " ").lower()
        case socket.gaierror():
            return error.strerror or "name error"
        case _:
            # asyncio puts words of its own in `strerror`; the number is the system's.
            return os.strerror(error.errno) if error.errno else str(error) or "no answer"
