"""Certificates in files and texts: usable ones are loaded, and errors name the others."""

import os
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from ringback.core.errors import ConfigurationError
from ringback.runtime.certificate_files import (
    describe_certificates,
    load_certificate,
    load_certificate_text,
    require_readable,
    trust_text,
)
from tests.tls import connected_in_memory, pem_text


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


# ---- texts


@pytest.fixture
def badge(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("a.example")


@pytest.fixture(params=["memory", "disk"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder for temporary files, on a machine with or without files in memory."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if request.param == "disk":
        monkeypatch.delattr(os, "memfd_create")
    return tmp_path


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_certificate_is_loaded_from_a_text(
    authority: trustme.CA, badge: trustme.LeafCert, folder: Path, line_end: str
) -> None:
    serving, calling = a_server(), ssl.create_default_context()
    text = pem_text(*badge.cert_chain_pems, badge.private_key_pem).replace("\n", line_end)
    load_certificate_text(serving, text, "badge")
    trust_text(calling, pem_text(authority.cert_pem), "CA")
    assert connected_in_memory(calling, serving, "a.example").getpeercert()
    assert list(folder.iterdir()) == []


def test_a_file_for_a_text_can_be_read_by_its_owner_only(
    badge: trustme.LeafCert, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "memfd_create")
    modes = list[int]()

    class Watching(ssl.SSLContext):
        def load_cert_chain(self, certfile: Any, *rest: Any, **how: Any) -> None:
            modes.append(Path(certfile).stat().st_mode & 0o777)

    text = pem_text(badge.private_key_and_cert_chain_pem)
    load_certificate_text(Watching(ssl.PROTOCOL_TLS_SERVER), text, "badge")
    assert modes == [0o600]


def _changed(text: str) -> str:
    """Return a PEM text with a character in its first block that makes it invalid."""
    begin = text.index("-----\n") + 20
    return f"{text[:begin]}!{text[begin + 1 :]}"


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda chain, key: chain, "the badge has no private key in PEM; give it, too"),
        (lambda chain, key: key, "the badge has no certificate in PEM; give it, too"),
        (lambda chain, key: "", "the badge has no certificate in PEM"),
        (lambda chain, key: f"é{chain}{key}", "the badge has characters that PEM doesn't have"),
        (lambda chain, key: f"\0{chain}{key}", "characters that PEM doesn't have"),
        (lambda chain, key: chain + key + " " * 65536, "characters; at most 65536 are allowed"),
        (
            lambda chain, key: _changed(chain) + key,
            "the badge can't be used: a part of it is damaged; give",
        ),
        (
            lambda chain, key: chain + _changed(key),
            "badge can't be used: bad base64 decode; give all",
        ),
        (
            lambda chain, key: pem_text(trustme.CA().cert_pem) + chain + key,
            "key of the badge does not belong to the first certificate; begin with the key's own",
        ),
    ],
)
def test_an_unusable_text_is_refused_without_showing_it(
    badge: trustme.LeafCert, spoil: Callable[[str, str], str], why: str
) -> None:
    key = pem_text(badge.private_key_pem)
    text = spoil(pem_text(*badge.cert_chain_pems), key)
    with pytest.raises(ConfigurationError, match=why) as refused:
        load_certificate_text(a_server(), text, "badge")
    assert not [line for line in key.splitlines() if line in str(refused.value)]


def test_a_key_of_another_kind_than_the_certificate_is_refused(authority: trustme.CA) -> None:
    by_rsa, by_curve = (
        authority.issue_cert("a.example", key_type=kind)
        for kind in (trustme.KeyType.RSA, trustme.KeyType.ECDSA)
    )
    text = pem_text(*by_rsa.cert_chain_pems, by_curve.private_key_pem)
    with pytest.raises(ConfigurationError, match="does not belong to the first certificate"):
        load_certificate_text(a_server(), text, "badge")


def test_an_encrypted_key_in_a_text_is_refused(
    files: tuple[Path, Path], badge: trustme.LeafCert
) -> None:
    _with_an_encrypted_key(*files)
    text = "".join(path.read_text() for path in files)
    with pytest.raises(ConfigurationError, match="the private key of the badge is encrypted"):
        load_certificate_text(a_server(), text, "badge")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda ca, key: "", "the CA has no certificate in PEM"),
        (lambda ca, key: ca + key, "the CA has a private key; give only certificates"),
        (lambda ca, key: f"{ca}é", "the CA has characters that PEM doesn't have"),
        (lambda ca, key: _changed(ca), "the CA can't be used: a part of it is damaged; give all"),
        (lambda ca, key: ca + _changed(ca), "the CA can't be used: bad base64 decode; give all"),
        (lambda ca, key: ca * 100, "the CA has .* characters; at most 65536 are allowed"),
    ],
)
def test_unusable_authorities_are_refused(
    authority: trustme.CA, spoil: Callable[[str, str], str], why: str
) -> None:
    ca, key = pem_text(authority.cert_pem), pem_text(authority.private_key_pem)
    with pytest.raises(ConfigurationError, match=why):
        trust_text(a_server(), spoil(ca, key), "CA")


def test_certificates_are_described_by_subject_and_end() -> None:
    ca = trustme.CA(organization_name="Acme")
    leaf = ca.issue_cert("a.example")
    text = pem_text(*leaf.cert_chain_pems, leaf.private_key_pem) + pem_text(ca.cert_pem)
    first, second = describe_certificates(text).split("; ")
    assert "Acme" in second
    for one in (first, second):
        assert one.endswith(", until 3000-01-01T00:00:00Z")
    with pytest.raises(ValueError, match="PEM"):
        describe_certificates("no certificate")
