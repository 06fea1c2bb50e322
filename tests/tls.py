"""The receiver's side of TLS."""

import contextlib
import ssl

import trustme


def server_side(
    certificate: trustme.LeafCert, newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = newest
    certificate.configure_cert(context)
    return context


def pem_text(*blobs: trustme.Blob) -> str:
    """Return certificates and keys as one text in PEM."""
    return "".join(blob.bytes().decode() for blob in blobs)


def connected_in_memory(
    client: ssl.SSLContext, server: ssl.SSLContext, host: str, session: ssl.SSLSession | None = None
) -> ssl.SSLObject:
    """Return the client's end of a connection on which the server has sent its first bytes."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=host, session=session)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    under_way = [ours, theirs]
    while under_way:
        end = under_way.pop(0)
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            under_way.append(end)
    theirs.write(b"first")
    ours.read(5)
    with contextlib.suppress(ssl.SSLWantReadError):
        theirs.unwrap()  # a server forgets the session of a connection that it has not closed
    return ours


def refused_in_memory(client: ssl.SSLContext, server: ssl.SSLContext) -> ssl.SSLError:
    """Return the error that the client gets if the server refuses its connection."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname="a.example")
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    # In TLS 1.3, the client learns it only when it reads after the handshake.
    steps = [ours.do_handshake, theirs.do_handshake] * 2 + [ours.read]
    for step in steps:
        try:
            step()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLError as error:
            if step.__self__ is ours:
                return error
    raise AssertionError("the server accepts the client")
