"""TLS settings: the names that a certificate is valid for, and files that can't be used."""

import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from ringback.core.errors import ConfigurationError
from ringback.core.http.outcome import AttemptFailure
from ringback.http_client.tls import ClientTls, TlsFailed, check_name, tls_failure


class TestTheNameInACertificate:
    @pytest.mark.parametrize(
        ("names", "host"),
        [
            ([("DNS", "hooks.example")], "hooks.example"),
            ([("DNS", "Hooks.Example")], "hooks.eXample"),
            ([("DNS", "other.example"), ("DNS", "hooks.example")], "hooks.example"),
            ([("DNS", "*.hooks.example")], "a.hooks.example"),
            ([("IP Address", "192.0.2.1")], "192.0.2.1"),
            ([("IP Address", "2001:DB8:0:0:0:0:0:1\n")], "2001:db8::1"),
        ],
    )
    def test_is_one_of_those_in_the_certificate(
        self, names: list[tuple[str, str]], host: str
    ) -> None:
        check_name({"subjectAltName": names}, host)

    @pytest.mark.parametrize(
        ("names", "host"),
        [
            ([], "hooks.example"),
            ([("DNS", "hooks.example")], "a.hooks.example"),
            ([("DNS", "hooks.example")], "hooks.example.evil.example"),
            ([("DNS", "*.hooks.example")], "hooks.example"),
            ([("DNS", "*.hooks.example")], "a.b.hooks.example"),
            ([("DNS", "*.hooks.example")], ".hooks.example"),
            ([("DNS", "*.example")], "hooks.example"),
            ([("DNS", "*")], "hooks.example"),
            ([("DNS", "*.*.example")], "a.hooks.example"),
            ([("DNS", "ho*.hooks.example")], "horse.hooks.example"),
            ([("DNS", "a.*.example")], "a.hooks.example"),
            ([("DNS", "hooks.example\x00.evil.example")], "hooks.example"),
            ([("DNS", "192.0.2.1")], "192.0.2.1"),
            ([("DNS", "*.0.2.1")], "192.0.2.1"),
            ([("IP Address", "192.0.2.2")], "192.0.2.1"),
            ([("IP Address", "192.0.2.1")], "hooks.example"),
            ([("URI", "hooks.example"), ("email", "hooks.example")], "hooks.example"),
        ],
    )
    def test_is_nothing_else(self, names: list[tuple[str, str]], host: str) -> None:
        with pytest.raises(TlsFailed, match=f"the certificate is not for {host}") as refused:
            check_name({"subjectAltName": names}, host)
        assert refused.value.failure is AttemptFailure.CERTIFICATE_NAME

    def test_is_not_a_common_name(self) -> None:
        subject = ((("commonName", "hooks.example"),),)
        with pytest.raises(TlsFailed):
            check_name({"subject": subject}, "hooks.example")


class TestTheClientCertificate:
    @pytest.fixture
    def certificate(self, authority: trustme.CA, tmp_path: Path) -> Path:
        issued = authority.issue_cert("sender.example")
        issued.cert_chain_pems[0].write_to_path(str(tmp_path / "client.pem"))
        issued.private_key_pem.write_to_path(str(tmp_path / "client.key"))
        return tmp_path / "client.pem"

    def test_may_have_its_key_in_its_own_file(self, authority: trustme.CA, tmp_path: Path) -> None:
        both = authority.issue_cert("sender.example").private_key_and_cert_chain_pem
        both.write_to_path(str(tmp_path / "both.pem"))
        ClientTls(client_certificate=tmp_path / "both.pem")

    def test_without_a_file_is_unusable(self, certificate: Path, tmp_path: Path) -> None:
        with pytest.raises(
            ConfigurationError, match=r"gone\.pem can't be read: No such file or directory"
        ):
            ClientTls(client_certificate=tmp_path / "gone.pem")
        with pytest.raises(ConfigurationError, match=r"gone\.key can't be read"):
            ClientTls(client_certificate=certificate, client_key=tmp_path / "gone.key")

    def test_with_the_key_of_another_is_unusable(
        self, certificate: Path, authority: trustme.CA, tmp_path: Path
    ) -> None:
        other = tmp_path / "other.key"
        authority.issue_cert("other.example").private_key_pem.write_to_path(str(other))
        with pytest.raises(
            ConfigurationError, match=r"client\.pem with the key .*other\.key can't be used"
        ):
            ClientTls(client_certificate=certificate, client_key=other)

    def test_that_is_invalid_is_unusable(self, tmp_path: Path) -> None:
        (tmp_path / "odd.pem").write_text("not a certificate\n")
        with pytest.raises(
            ConfigurationError, match=r"odd\.pem.*must be in PEM and belong together"
        ):
            ClientTls(client_certificate=tmp_path / "odd.pem")

    def test_with_an_encrypted_key_is_unusable(
        self, authority: trustme.CA, certificate: Path, tmp_path: Path
    ) -> None:
        plain = certificate.with_suffix(".key").read_bytes()
        key = serialization.load_pem_private_key(plain, password=None)
        locked = tmp_path / "locked.key"
        locked.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"hunter2"),
            )
        )
        with pytest.raises(ConfigurationError, match=r"locked\.key is encrypted"):
            ClientTls(client_certificate=certificate, client_key=locked)

    def test_that_is_only_a_key_is_unusable(self, certificate: Path) -> None:
        with pytest.raises(ConfigurationError, match="is given without its certificate"):
            ClientTls(client_key=certificate)


class TestAFileOfAuthorities:
    def test_that_is_missing_is_unusable(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"the file .*gone\.pem can't be read"):
            ClientTls(ca_files=[tmp_path / "gone.pem"])

    @pytest.mark.parametrize("content", ["", "not a certificate\n"])
    def test_without_certificates_is_unusable(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "odd.pem").write_text(content)
        with pytest.raises(
            ConfigurationError, match=r"the CA file .*odd\.pem can't be used: .*in PEM"
        ):
            ClientTls(ca_files=[tmp_path / "odd.pem"])

    def test_is_trusted_besides_those_of_the_machine(
        self, authority: trustme.CA, tmp_path: Path
    ) -> None:
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        tls = ClientTls(ca_files=[tmp_path / "ca.pem"])
        own = len(ClientTls().context(says_name=True).get_ca_certs())
        for says_name in (True, False):
            assert len(tls.context(says_name=says_name).get_ca_certs()) == own + 1


@pytest.mark.parametrize("says_name", [True, False])
def test_every_certificate_is_verified_and_the_name_by_us_if_sni_is_not_sent(
    says_name: bool,
) -> None:
    context = ClientTls().context(says_name=says_name)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname is says_name


@pytest.mark.parametrize(
    ("number", "failure"),
    [
        (10, AttemptFailure.CERTIFICATE_EXPIRED),
        (18, AttemptFailure.CERTIFICATE_UNTRUSTED),
        (19, AttemptFailure.CERTIFICATE_UNTRUSTED),
        (20, AttemptFailure.CERTIFICATE_UNTRUSTED),
        (21, AttemptFailure.CERTIFICATE_UNTRUSTED),
        (62, AttemptFailure.CERTIFICATE_NAME),
        (64, AttemptFailure.CERTIFICATE_NAME),
        (23, AttemptFailure.TLS),
    ],
)
def test_each_problem_that_openssl_finds_has_a_failure_of_its_own(
    number: int, failure: AttemptFailure
) -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = number, "its words"
    failed = tls_failure(error)
    assert (failed.failure, failed.why, str(failed)) == (failure, "its words", "its words")


def test_any_other_error_of_a_handshake_is_tls() -> None:
    failed = tls_failure(ConnectionResetError(104, "Connection reset by peer"))
    assert (failed.failure, failed.why) == (AttemptFailure.TLS, "Connection reset by peer")
