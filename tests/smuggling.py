"""Bytes that two servers may read as different requests, or that are not valid: all are refused."""

from typing import Final

HOST: Final = b"Host: a\r\n"
FIRST: Final = b"POST /first HTTP/1.1\r\n"
SECOND: Final = b"GET /second HTTP/1.1\r\nHost: a\r\n\r\n"
"""A request that must never be read as a request of its own after any of these."""
CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"
_ONE_CHUNK: Final = b"1\r\na\r\n0\r\n\r\n"


def _headers(*lines: bytes, body: bytes = b"") -> bytes:
    return FIRST + HOST + b"".join(lines) + b"\r\n" + body


def _chunks(body: bytes) -> bytes:
    return _headers(CHUNKED, body=body)


REFUSED_HEADS: Final[dict[str, bytes]] = {
    # The headers that give the length of the body.
    "a length beside chunks": _headers(b"Content-Length: 6\r\n", CHUNKED, body=b"0\r\n\r\nG"),
    "chunks beside a length": _headers(CHUNKED, b"Content-Length: 4\r\n", body=_ONE_CHUNK),
    "two lengths": _headers(b"Content-Length: 0\r\nContent-Length: 5\r\n", body=b"hello"),
    "two equal lengths": _headers(b"Content-Length: 5\r\nContent-Length: 5\r\n", body=b"hello"),
    "a list of lengths": _headers(b"Content-Length: 5, 5\r\n", body=b"hello"),
    "a length with a plus": _headers(b"Content-Length: +5\r\n", body=b"hello"),
    "a negative length": _headers(b"Content-Length: -5\r\n", body=b"hello"),
    "a length in hex": _headers(b"Content-Length: 0x5\r\n", body=b"hello"),
    "a length with a dot": _headers(b"Content-Length: 5.0\r\n", body=b"hello"),
    "a length with an underscore": _headers(b"Content-Length: 1_0\r\n", body=b"hello"),
    "a length with a space within": _headers(b"Content-Length: 5 0\r\n", body=b"hello"),
    "an empty length": _headers(b"Content-Length: \r\n", body=b"hello"),
    "a length beyond 64 bits": _headers(b"Content-Length: 18446744073709551621\r\n"),
    "a length in other digits": _headers(b"Content-Length: \xd9\xa5\r\n", body=b"hello"),
    "identity": _headers(b"Transfer-Encoding: identity\r\n", b"Content-Length: 5\r\n"),
    "identity alone": _headers(b"Transfer-Encoding: identity\r\n"),
    "chunked not last": _headers(b"Transfer-Encoding: chunked, gzip\r\n", body=_ONE_CHUNK),
    "chunked behind another": _headers(b"Transfer-Encoding: gzip, chunked\r\n", body=_ONE_CHUNK),
    "chunked twice": _headers(b"Transfer-Encoding: chunked, chunked\r\n", body=_ONE_CHUNK),
    "two codings": _headers(CHUNKED, CHUNKED, body=_ONE_CHUNK),
    "chunked and identity": _headers(CHUNKED, b"Transfer-Encoding: identity\r\n", body=_ONE_CHUNK),
    "xchunked": _headers(b"Transfer-Encoding: xchunked\r\n", body=_ONE_CHUNK),
    "chunked in quotes": _headers(b'Transfer-Encoding: "chunked"\r\n', body=_ONE_CHUNK),
    "chunked with a parameter": _headers(b"Transfer-Encoding: chunked;a=b\r\n", body=_ONE_CHUNK),
    "chunked with a vertical tab": _headers(b"Transfer-Encoding: \x0bchunked\r\n", body=_ONE_CHUNK),
    "a coding without a value": _headers(b"Transfer-Encoding:\r\n", body=_ONE_CHUNK),
    "chunks in HTTP/1.0": b"POST /first HTTP/1.0\r\n" + HOST + CHUNKED + b"\r\n" + _ONE_CHUNK,
    # Line ends, and header names.
    "bare LF in the first line": b"GET /first HTTP/1.1\nHost: a\r\n\r\n",
    "bare LF between headers": FIRST + b"Host: a\nX: b\r\n\r\n",
    "bare LF everywhere": b"GET /first HTTP/1.1\nHost: a\n\n",
    "bare LF at the end": FIRST + b"Host: a\r\n\n",
    "bare CR in a value": _headers(b"X: a\rContent-Length: 5\r\n"),
    "CR CR LF": _headers(b"X: a\r\r\n"),
    "NUL in a value": _headers(b"X: a\0b\r\n"),
    "NUL in a name": _headers(b"X\0: b\r\n"),
    "DEL in a value": _headers(b"X: \x7f\r\n"),
    "a space before the colon": _headers(b"Content-Length : 5\r\n", body=b"hello"),
    "a tab before the colon": _headers(b"Transfer-Encoding\t: chunked\r\n", body=_ONE_CHUNK),
    "a name with a space": _headers(b"Content Length: 5\r\n", body=b"hello"),
    "an empty name": _headers(b": 5\r\n"),
    "no colon": _headers(b"Content-Length\r\n"),
    "a folded line": _headers(b"X: a\r\n Content-Length: 5\r\n"),
    "a folded line with a tab": _headers(b"Transfer-Encoding:\r\n\tchunked\r\n", body=_ONE_CHUNK),
    "a space before the first header": FIRST + b" Host: a\r\n" + HOST + b"\r\n",
    "a name that is not ASCII": _headers(b"Content-Length\xa0: 5\r\n", body=b"hello"),
    # The first line.
    "HTTP/0.9": b"GET /first\r\n",
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/2.0": b"GET /first HTTP/2.0\r\n" + HOST + b"\r\n",
    "HTTP/1.2": b"GET /first HTTP/1.2\r\n" + HOST + b"\r\n",
    "HTTP/1.10": b"GET /first HTTP/1.10\r\n" + HOST + b"\r\n",
    "http/1.1": b"GET /first http/1.1\r\n" + HOST + b"\r\n",
    "no version": b"GET /first \r\n" + HOST + b"\r\n",
    "two spaces": b"GET  /first HTTP/1.1\r\n" + HOST + b"\r\n",
    "a tab between": b"GET\t/first HTTP/1.1\r\n" + HOST + b"\r\n",
    "a space at the end": b"GET /first HTTP/1.1 \r\n" + HOST + b"\r\n",
    "a space in front": b" GET /first HTTP/1.1\r\n" + HOST + b"\r\n",
    "a huge method": b"G" * 33 + b" /first HTTP/1.1\r\n" + HOST + b"\r\n",
    "an invalid method": b"GE(T /first HTTP/1.1\r\n" + HOST + b"\r\n",
    "a byte that no URL may have": b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "a fragment": b"GET /first#a HTTP/1.1\r\n" + HOST + b"\r\n",
    "a relative target": b"GET first HTTP/1.1\r\n" + HOST + b"\r\n",
    "an asterisk": b"GET * HTTP/1.1\r\n" + HOST + b"\r\n",
    "CONNECT": b"CONNECT a:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "another host in the target": b"GET http://b/first HTTP/1.1\r\n" + HOST + b"\r\n",
    "another scheme": b"GET ftp://a/first HTTP/1.1\r\n" + HOST + b"\r\n",
    "two empty lines in front": b"\r\n\r\n" + FIRST + HOST + b"\r\n",
    # The host.
    "no Host": FIRST + b"\r\n",
    "two Hosts": _headers(b"Host: b\r\n"),
    "two equal Hosts": _headers(HOST),
    "two Hosts in HTTP/1.0": b"GET /first HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
    "a Host with a space": FIRST + b"Host: a b\r\n\r\n",
    "a Host with a path": FIRST + b"Host: a/b\r\n\r\n",
    "a Host with a user": FIRST + b"Host: user@a\r\n\r\n",
}
"""Heads that are refused with 400."""

REFUSED_BODIES: Final[dict[str, bytes]] = {
    "a size that is not a number": _chunks(b"x\r\na\r\n0\r\n\r\n"),
    "a size with 0x": _chunks(b"0x1\r\na\r\n0\r\n\r\n"),
    "a size with a sign": _chunks(b"+1\r\na\r\n0\r\n\r\n"),
    "a negative size": _chunks(b"-1\r\na\r\n0\r\n\r\n"),
    "a size with an underscore": _chunks(b"1_0\r\na\r\n0\r\n\r\n"),
    "a size with a space in front": _chunks(b" 1\r\na\r\n0\r\n\r\n"),
    "a size with a space behind": _chunks(b"1 \r\na\r\n0\r\n\r\n"),
    "no size": _chunks(b"\r\na\r\n0\r\n\r\n"),
    "a size that overflows": _chunks(b"ffffffffffffffff1\r\na\r\n0\r\n\r\n"),
    "a size of 33 bits": _chunks(b"100000001\r\na\r\n0\r\n\r\n"),
    "a size that ends with a bare LF": _chunks(b"1\na\r\n0\r\n\r\n"),
    "an extension with a bare LF": _chunks(b"1;a\n\r\na\r\n0\r\n\r\n"),
    "an extension with a bare CR": _chunks(b"1;a\rb\r\na\r\n0\r\n\r\n"),
    "an extension with a NUL": _chunks(b"1;\0\r\na\r\n0\r\n\r\n"),
    "an extension without end": _chunks(b"1;" + b"a" * 2000),
    "a chunk that is longer": _chunks(b"1\r\nab\r\n0\r\n\r\n"),
    "a chunk that ends with a bare LF": _chunks(b"1\r\na\n0\r\n\r\n"),
    "a chunk that ends with two other bytes": _chunks(b"1\r\naXX0\r\n\r\n"),
    "an invalid trailer": _chunks(b"0\r\nGET /second HTTP/1.1\r\n\r\n"),
    "a trailer that is folded": _chunks(b"0\r\nX: a\r\n b\r\n\r\n"),
    "a trailer with a space before its colon": _chunks(b"0\r\nX : a\r\n\r\n"),
    "a bare LF behind the last chunk": _chunks(b"0\r\n\n\r\n"),
}
"""Bodies that are refused with 400."""

READ: Final[dict[str, tuple[bytes, bytes]]] = {
    "a body on a GET": (
        b"GET /first HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(SECOND) + SECOND,
        SECOND,
    ),
    "the other request as a body": (
        _headers(b"Content-Length: %d\r\n" % len(SECOND), body=SECOND),
        SECOND,
    ),
    "the other request as a chunk": (
        _chunks(b"%x\r\n%b\r\n0\r\n\r\n" % (len(SECOND), SECOND)),
        SECOND,
    ),
    "Chunked in capitals": (_headers(b"tRANSFER-eNCODING:CHUNKED\r\n", body=_ONE_CHUNK), b"a"),
    "extensions": (_chunks(b'1;a=b;c="d e"\r\na\r\n0;last\r\n\r\n'), b"a"),
    "a space before an extension": (_chunks(b"1 ;a\r\na\r\n0\r\n\r\n"), b"a"),
    "leading zeros": (_chunks(b"00000001\r\na\r\n000\r\n\r\n"), b"a"),
    "trailers": (_chunks(b"1\r\na\r\n0\r\nContent-Length: 9\r\nX: y\r\n\r\n"), b"a"),
    "an absolute target": (b"GET http://A:80/first HTTP/1.1\r\nHost: a:80\r\n\r\n", b""),
    "an empty line in front": (b"\r\n" + _headers(), b""),
    "an upgrade": (_headers(b"Connection: Upgrade\r\nUpgrade: websocket\r\n"), b""),
    "an upgrade to h2c": (
        _headers(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"),
        b"",
    ),
    "another header twice": (_headers(b"X: 1\r\nX: 2\r\n"), b""),
    "bytes beyond ASCII in a value": (_headers(b"X: \xe9\xff\r\n"), b""),
    "spaces around a value": (_headers(b"Content-Length: \t 1 \t\r\n", body=b"a"), b"a"),
}
"""Requests that are accepted, with their bodies; the next request begins right after."""
