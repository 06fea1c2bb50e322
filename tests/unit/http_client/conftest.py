"""A network that trusts a certification authority made for the test file."""

from pathlib import Path

import pytest
import trustme

from ringback.http_client.sockets_and_tls import SystemNetwork
from ringback.http_client.tls import ClientTls


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def network(authority: trustme.CA, tmp_path: Path) -> SystemNetwork:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return SystemNetwork(ClientTls(ca_files=[tmp_path / "ca.pem"]))
