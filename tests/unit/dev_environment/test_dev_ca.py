"""The CA of `ringback dev --tls`: made once, stored, and refused if its files are damaged."""

import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509

from ringback.core.errors import ConfigurationError
from ringback.dev_environment.dev_ca import ca_file_in, find_or_make_ca, server_side

NOW = datetime(2026, 11, 24, 15, 13, 46, tzinfo=UTC)


def refusal_of(data: Path) -> str:
    with pytest.raises(ConfigurationError) as refused:
        find_or_make_ca(data, now=NOW)
    return str(refused.value)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def shown_by(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> x509.Certificate:
    """Do a TLS handshake in memory, and return the server's certificate."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server, server_hostname=name)
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (asking, answering, asking):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    certificate = asking.getpeercert(binary_form=True)
    assert certificate is not None
    return x509.load_der_x509_certificate(certificate)


def trusting(path: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=path)
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    return context


# ---- storage -------------------------------------------------------------------------------------


def test_it_is_created_if_missing_and_only_its_owner_can_read_its_key(tmp_path: Path) -> None:
    ca = find_or_make_ca(tmp_path / "new" / "data", now=NOW)
    file = ca_file_in(tmp_path / "new" / "data")
    assert file.read_bytes() == ca.cert_pem.bytes()
    assert {path.name: mode_of(path) for path in file.parent.iterdir()} == {
        "ca.pem": 0o644,
        "ca-key.pem": 0o600,
    }


def test_the_next_start_uses_it_again(tmp_path: Path) -> None:
    made, found = (find_or_make_ca(tmp_path, now=NOW + timedelta(days=day)) for day in (0, 400))
    assert found.cert_pem.bytes() == made.cert_pem.bytes()
    assert found.private_key_pem.bytes() == made.private_key_pem.bytes()


def test_its_name_says_what_it_is_and_it_signs_no_other_ca(tmp_path: Path) -> None:
    find_or_make_ca(tmp_path, now=NOW)
    certificate = x509.load_pem_x509_certificate(ca_file_in(tmp_path).read_bytes())
    assert certificate.subject.rfc4514_string() == (
        "OU=Ringback dev CA of 2026-11-24 15:13:46 UTC,O=Ringback dev CA"
    )
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (constraints.ca, constraints.path_length) == (True, 0)


# ---- unusable files ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ca.pem", "ca-key.pem"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"-----BEGIN CERTIFICATE-----\n"])
def test_a_broken_file_is_refused_with_advice(tmp_path: Path, name: str, content: bytes) -> None:
    find_or_make_ca(tmp_path, now=NOW)
    folder = tmp_path / "tls"
    (folder / name).write_bytes(content)
    assert refusal_of(tmp_path) == (
        f"{folder}/ca.pem and {folder}/ca-key.pem are not the certificate and key of a CA;"
        f" delete the folder {folder}, and trust the CA that the next start makes"
    )


def test_another_cas_key_is_refused(tmp_path: Path) -> None:
    find_or_make_ca(tmp_path, now=NOW)
    key = tmp_path / "tls" / "ca-key.pem"
    key.write_bytes(trustme.CA().private_key_pem.bytes())
    assert "are not the certificate and key of a CA" in refusal_of(tmp_path)


def test_a_ca_without_its_key_is_refused(tmp_path: Path) -> None:
    find_or_make_ca(tmp_path, now=NOW)
    key = tmp_path / "tls" / "ca-key.pem"
    key.unlink()
    assert refusal_of(tmp_path) == (
        f"the CA in {tmp_path}/tls can't be read or made: {key}: No such file or directory;"
        " delete that folder, or choose another data folder with --data"
    )


def test_a_failure_to_write_is_reported(tmp_path: Path) -> None:
    (tmp_path / "tls").write_text("not a folder")
    assert "tls: File exists; delete that folder, or choose another" in refusal_of(tmp_path)


# ---- use -----------------------------------------------------------------------------------------


def test_clients_that_trust_it_accept_a_server_only_for_its_names(tmp_path: Path) -> None:
    server = server_side(
        find_or_make_ca(tmp_path, now=NOW), ["sims.example", "127.0.0.1"], now=datetime.now(UTC)
    )
    client = trusting(ca_file_in(tmp_path))
    for name in ("sims.example", "127.0.0.1"):
        shown_by(server, client, name)
    for name in ("other.example", "127.0.0.2"):
        with pytest.raises(ssl.SSLCertVerificationError, match="not valid for"):
            shown_by(server, client, name)
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        shown_by(server, ssl.create_default_context(), "sims.example")


def test_each_start_has_a_new_certificate_valid_no_longer_than_apple_allows(tmp_path: Path) -> None:
    ca, now = find_or_make_ca(tmp_path, now=NOW), datetime.now(UTC)
    client = trusting(ca_file_in(tmp_path))
    one, other = (
        shown_by(server_side(ca, ["sims.example"], now=now), client, "sims.example")
        for _ in range(2)
    )
    assert one.public_key() != other.public_key()
    assert one.not_valid_before_utc < now < one.not_valid_after_utc
    assert one.not_valid_after_utc - one.not_valid_before_utc < timedelta(days=825)


def test_nothing_older_than_tls_1_2_is_accepted(tmp_path: Path) -> None:
    server = server_side(find_or_make_ca(tmp_path, now=NOW), ["sims.example"], now=NOW)
    assert server.minimum_version is ssl.TLSVersion.TLSv1_2


def test_the_servers_key_is_not_in_any_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca = find_or_make_ca(tmp_path / "data", now=NOW)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    server_side(ca, ["sims.example"], now=NOW)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
