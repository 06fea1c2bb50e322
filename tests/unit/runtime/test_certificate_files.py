"""Certificate files: usable ones are loaded, and errors name the others."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from ringback.core.errors import ConfigurationError
from ringback.runtime.certificate_files import load_certificate, require_readable


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(authority: trustme.CA, tmp_path: Path) -> tuple[Path, Path]:
    issued = authority.issue_cert("a.example")
    certificate, key = tmp_path / "own.pem", tmp_path / "own.key"
    issued.cert_chain_pems[0].write_to_path(str(certificate))
    issued.private_key_pem.write_to_path(str(key))
    return certificate, key


def a_server() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


def test_a_loaded_certificate_is_used(authority: trustme.CA, files: tuple[Path, Path]) -> None:
    serving, calling = a_server(), ssl.create_default_context()
    load_certificate(serving, *files, "certificate")
    authority.configure_trust(calling)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = serving.wrap_bio(outgoing, incoming, server_side=True)
    client = calling.wrap_bio(incoming, outgoing, server_hostname="a.example")
    for _ in range(2):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    certificate = client.getpeercert()
    assert certificate is not None
    assert certificate["subjectAltName"] == (("DNS", "a.example"),)


def _without_a_key(certificate: Path, key: Path) -> None:
    key.unlink()


def _with_text(certificate: Path, key: Path) -> None:
    certificate.write_text("not a certificate\n")


def _with_the_key_of_another(certificate: Path, key: Path) -> None:
    trustme.CA().issue_cert("b.example").private_key_pem.write_to_path(str(key))


def _with_an_encrypted_key(certificate: Path, key: Path) -> None:
    plain = serialization.load_pem_private_key(key.read_bytes(), password=None)
    key.write_bytes(
        plain.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"hunter2"),
        )
    )


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (_without_a_key, r"the file \S+own\.key can't be read: No such file or directory"),
        (_with_text, r"the badge \S+own\.pem with the key \S+own\.key can't be used: .*in PEM"),
        (_with_the_key_of_another, r"the badge \S+own\.pem with the key \S+own\.key can't be used"),
        (_with_an_encrypted_key, r"the key \S+own\.key is encrypted; give one that needs no"),
    ],
)
def test_unusable_files_are_named(
    files: tuple[Path, Path], spoil: Callable[[Path, Path], None], why: str
) -> None:
    spoil(*files)
    with pytest.raises(ConfigurationError, match=why):
        load_certificate(a_server(), *files, "badge")


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="can't be read: Is a directory"):
        require_readable(tmp_path)
