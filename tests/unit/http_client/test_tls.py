"""TLS settings: the names that a certificate is valid for, and files that can't be used."""

import asyncio
import errno
import os
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from ringback.core.errors import ConfigurationError
from ringback.core.http.connection_profile import TlsIdentity
from ringback.core.http.outcome import AttemptFailure
from ringback.http_client import tls as tls_module
from ringback.http_client.tls import (
    ClientTls,
    TlsFailed,
    check_ca,
    check_client_certificate,
    check_name,
    refusal_of,
    tls_failure,
)
from tests.tls import pem_text, refused_in_memory, server_side


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
    reset = ConnectionResetError(104, "Connection reset by peer")
    odd = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")
    odd.reason = "WRONG_VERSION_NUMBER"
    for error, why in ((reset, "Connection reset by peer"), (odd, "wrong version number")):
        failed = tls_failure(error)
        assert (failed.failure, failed.why) == (AttemptFailure.TLS, why)
        assert refusal_of(error) is None


class TestARefusal:
    """What a receiver says by an alert, as OpenSSL reports it."""

    @pytest.fixture
    def asking(self, authority: trustme.CA) -> ssl.SSLContext:
        context = server_side(authority.issue_cert("a.example"))
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)
        return context

    @pytest.mark.parametrize(
        ("version", "why"),
        [
            (ssl.TLSVersion.TLSv1_2, "the receiver broke off the handshake, perhaps because it"),
            (ssl.TLSVersion.TLSv1_3, "the receiver requires a client certificate, and got none ("),
        ],
    )
    def test_says_that_a_certificate_is_missing(
        self, authority: trustme.CA, asking: ssl.SSLContext, version: ssl.TLSVersion, why: str
    ) -> None:
        asking.maximum_version = version
        client = ssl.create_default_context()
        authority.configure_trust(client)
        assert tls_failure(refused_in_memory(client, asking)).why.startswith(why)

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    @pytest.mark.parametrize(
        ("is_ours", "not_after", "why"),
        [
            (False, None, "does not trust the authority of the client certificate ("),
            (True, datetime(2020, 1, 1, tzinfo=UTC), "says that the client certificate has expir"),
        ],
    )
    def test_says_what_is_wrong_with_the_certificate(
        self,
        authority: trustme.CA,
        asking: ssl.SSLContext,
        version: ssl.TLSVersion,
        *,
        is_ours: bool,
        not_after: datetime | None,
        why: str,
    ) -> None:
        asking.maximum_version = version
        client, issuer = ssl.create_default_context(), authority if is_ours else trustme.CA()
        authority.configure_trust(client)
        issuer.issue_cert("sender.example", not_after=not_after).configure_cert(client)
        failed = tls_failure(refused_in_memory(client, asking))
        assert failed.failure is AttemptFailure.TLS
        assert failed.why.startswith(f"the receiver {why}")


class TestADestinationsOwn:
    """The TLS contexts of destinations with an identity."""

    @pytest.fixture
    def certificate(self, authority: trustme.CA) -> str:
        issued = authority.issue_cert("sender.example")
        return pem_text(*issued.cert_chain_pems, issued.private_key_pem)

    async def test_context_is_made_once_for_connections_at_the_same_time(
        self, certificate: str
    ) -> None:
        tls = ClientTls()
        asked = [
            tls.context_of(TlsIdentity(certificate), says_name=says_name)
            for says_name in (True, True, False)
        ]
        one, same, silent = await asyncio.gather(*asked)
        assert one is same
        assert await tls.context_of(TlsIdentity(certificate), says_name=True) is one
        assert (one.check_hostname, silent.check_hostname) == (True, False)
        assert one.verify_mode is silent.verify_mode is ssl.CERT_REQUIRED

    async def test_context_differs_with_the_identity(self, certificate: str) -> None:
        tls = ClientTls()
        contexts = {
            await tls.context_of(identity, says_name=True)
            for identity in (TlsIdentity(certificate), TlsIdentity(f"{certificate}\n"))
        }
        assert len(contexts) == 2
        assert tls.context(says_name=True) not in contexts

    async def test_authorities_are_trusted_besides_all_others(
        self, authority: trustme.CA, tmp_path: Path
    ) -> None:
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        tls, identity = ClientTls(ca_files=[tmp_path / "ca.pem"]), _trusting(trustme.CA())
        context = await tls.context_of(identity, says_name=True)
        others = tls.context(says_name=True).get_ca_certs()
        assert len(context.get_ca_certs()) == len(others) + 1

    @pytest.mark.parametrize(
        ("identity", "why"),
        [
            (
                TlsIdentity("nonsense"),
                "the client certificate of the destination has no certificate",
            ),
            (TlsIdentity(ca="nonsense"), "the CA of the destination has no certificate in PEM"),
        ],
    )
    async def test_text_that_can_not_be_used_is_a_failure_of_tls(
        self, identity: TlsIdentity, why: str
    ) -> None:
        tls = ClientTls()
        for _ in range(2):
            with pytest.raises(TlsFailed, match=why) as failed:
                await tls.context_of(identity, says_name=True)
            assert failed.value.failure is AttemptFailure.TLS

    @pytest.mark.parametrize("has_certificate", [True, False])
    async def test_context_needs_the_servers_files_and_only_the_log_names_them(
        self,
        authority: trustme.CA,
        certificate: str,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
        has_certificate: bool,
    ) -> None:
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        tls = ClientTls(ca_files=[tmp_path / "ca.pem"])
        (tmp_path / "ca.pem").unlink()
        identity = TlsIdentity(certificate) if has_certificate else _trusting(authority)
        with pytest.raises(TlsFailed, match="own certificates can't be read any more") as failed:
            await tls.context_of(identity, says_name=True)
        assert "ca.pem" not in failed.value.why
        assert "ca.pem can't be read: No such file" in caplog.text

    async def test_context_is_made_again_after_a_shortage(
        self, certificate: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def lack(name: str) -> int:
            raise OSError(errno.EMFILE, "Too many open files")

        tls, identity = ClientTls(), TlsIdentity(certificate)
        with monkeypatch.context() as short:
            short.setattr(os, "memfd_create", lack)
            with pytest.raises(TlsFailed, match="Too many open files") as failed:
                await tls.context_of(identity, says_name=True)
        assert failed.value.failure is AttemptFailure.SHORTAGE
        assert await tls.context_of(identity, says_name=True)

    async def test_context_that_was_used_last_is_kept(
        self, certificate: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tls_module, "_MOST_CONTEXTS", 2)
        tls = ClientTls()
        one, other, third = (TlsIdentity(certificate + "\n" * number) for number in range(3))
        first = await tls.context_of(one, says_name=True)
        second = await tls.context_of(other, says_name=True)
        assert await tls.context_of(one, says_name=True) is first
        await tls.context_of(third, says_name=True)
        assert await tls.context_of(one, says_name=True) is first
        assert await tls.context_of(other, says_name=True) is not second

    async def test_context_is_made_for_others_if_one_gives_up(self, certificate: str) -> None:
        tls, identity = ClientTls(), TlsIdentity(certificate)
        hasty, patient = (
            asyncio.create_task(tls.context_of(identity, says_name=True)) for _ in range(2)
        )
        await asyncio.sleep(0)
        hasty.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hasty
        assert await tls.context_of(identity, says_name=True) is await patient


def test_what_a_destination_gets_can_be_checked_before(authority: trustme.CA) -> None:
    issued = authority.issue_cert("sender.example")
    chain, key = pem_text(*issued.cert_chain_pems), pem_text(issued.private_key_pem)
    check_client_certificate(chain + key)
    check_client_certificate(key + chain)
    check_ca(pem_text(authority.cert_pem))
    with pytest.raises(ConfigurationError, match="the client certificate has no private key"):
        check_client_certificate(chain)
    with pytest.raises(ConfigurationError, match="the CA has no certificate in PEM"):
        check_ca("nonsense")


def _trusting(authority: trustme.CA) -> TlsIdentity:
    return TlsIdentity(ca=pem_text(authority.cert_pem))
