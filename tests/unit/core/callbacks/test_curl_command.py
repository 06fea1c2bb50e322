"""A request as a curl command: curl itself sends it to a server that keeps the bytes."""

import shutil
import socket
import subprocess
import threading
from collections.abc import Sequence

import pytest

from ringback.core.callbacks.curl_command import curl_command
from ringback.core.callbacks.rendering import render
from ringback.core.policy.source_policy import Source
from tests.fakes import NOW, a_callback, an_account

HOST = ("Host", "a.example")
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def test_the_command_is_quoted_for_a_shell() -> None:
    said = curl_command("POST", "http://a.example/?a=1&b=2", [HOST, ("X", "it's")], "a=1&b='2'")
    assert (
        said
        == """\
curl --http1.1 --globoff --path-as-is 'http://a.example/?a=1&b=2' \\
  -H 'Host: a.example' \\
  -H 'X: it'"'"'s' \\
  -H User-Agent: \\
  -H Accept: \\
  -H Content-Type: \\
  --data-raw 'a=1&b='"'"'2'"'"''"""
    )


def test_a_get_with_a_body_stays_a_get() -> None:
    said = curl_command("GET", "http://a.example/", [HOST], "[]")
    assert "\n  -X GET \\\n" in said
    assert said.endswith("--data-raw '[]'")


def test_headers_of_the_request_are_not_removed_and_empty_ones_are_kept() -> None:
    headers = [HOST, ("user-agent", "x"), ("Accept", "*/*"), ("Kore-Signature", "")]
    lines = curl_command("GET", "http://a.example/", headers, "").splitlines()
    assert [line.strip(" \\") for line in lines[2:]] == [
        "-H 'user-agent: x'",
        "-H 'Accept: */*'",
        "-H 'Kore-Signature;'",
        "-H Content-Type:",
    ]


def test_other_methods_are_named() -> None:
    assert "-X PUT" in curl_command("PUT", "http://a.example/", [HOST], "")


def received(command: str, listener: socket.socket) -> bytes:
    """Run a command that sends a request to this listener, and return the bytes that arrive."""
    found = list[bytes]()

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(5)
            data = connection.recv(65536)
            while not _is_whole(data):
                data += connection.recv(65536)
            found.append(data)
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    thread = threading.Thread(target=answer)
    thread.start()
    subprocess.run(["sh", "-c", f"{command} --silent --noproxy '*'"], check=True, timeout=10)
    thread.join()
    return found[0]


def _is_whole(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    wanted = int(lengths[0].partition(b":")[2]) if lengths else 0
    return bool(end) and len(body) >= wanted


@needs_curl
@pytest.mark.parametrize("source", list(Source))
@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/path?foo=bar", "SimStatus=active&Note=it%27s"),
        ("/a/../b?x={1}&y=[2]", "@file"),
        ("/", ""),
        ("/", '[{"a": "it\'s"}]\n'),
    ],
)
def test_curl_sends_the_same_bytes(source: Source, target: str, body: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        url = f"http://127.0.0.1:{port}{target}"
        callback = a_callback(url=url, source=source, body=body, is_test=body[:1] == "[")
        request = render(callback, account=an_account(), at=NOW)
        record = request.recorded()
        command = curl_command(record.method, record.url, record.headers, record.body)
        assert received(command, listener) == request.to_bytes()


@needs_curl
def test_curl_sends_a_get_without_a_body() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/?a=1"
        headers: Sequence[tuple[str, str]] = [("Host", "b.example"), ("X-Empty", "")]
        data = received(curl_command("GET", url, headers, ""), listener)
    assert data == b"GET /?a=1 HTTP/1.1\r\nHost: b.example\r\nX-Empty:\r\n\r\n"
