"""Writes a request as a curl command that sends the same bytes."""

import shlex
from collections.abc import Sequence
from typing import Final

_ADDED_BY_CURL: Final = ("User-Agent", "Accept", "Content-Type")
"""Headers that curl adds of its own; Host and Content-Length have the same values anyway."""


def curl_command(method: str, url: str, headers: Sequence[tuple[str, str]], body: str) -> str:
    r"""Return a command for a POSIX shell that sends a request again, one header in each line.

    The headers keep their order, letter case and values, so the signature stays right as long as
    its receiver accepts its age. Values that records hide stay hidden.

    >>> print(curl_command("POST", "http://a.example/?b=1", [("Host", "a.example")], "c=1"))
    curl --http1.1 --globoff --path-as-is 'http://a.example/?b=1' \
      -H 'Host: a.example' \
      -H User-Agent: \
      -H Accept: \
      -H Content-Type: \
      --data-raw c=1
    """
    options = list[str]()
    # With a body, curl would send a POST.
    if method not in ("GET", "POST") or (method == "GET" and body):
        options.append(f"-X {shlex.quote(method)}")
    options += [f"-H {shlex.quote(_header(name, value))}" for name, value in headers]
    sent = {name.lower() for name, _ in headers}
    options += [f"-H {name}:" for name in _ADDED_BY_CURL if name.lower() not in sent]
    if method != "GET" or body:
        options.append(f"--data-raw {shlex.quote(body)}")
    first = f"curl --http1.1 --globoff --path-as-is {shlex.quote(url)}"
    return " \\\n  ".join([first, *options])


def _header(name: str, value: str) -> str:
    # A colon without a value would remove the header; a semicolon sends it empty.
    return f"{name}: {value}" if value else f"{name};"
