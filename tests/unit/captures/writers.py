"""Write a request in the formats of browsers, proxies, curl and the listener."""

import json
import re
import shlex
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from ringback.cli.callback_output import attempt_lines
from ringback.core.http.http_exchange import OutgoingRequest
from ringback.dev_receiver.callback_report import as_record
from ringback.dev_receiver.received_callback import CheckedRequest
from ringback.receiver.verification import ReceivedRequest, Rejected
from ringback.receiver.verification.verdict import Reason


def as_received(request: OutgoingRequest) -> ReceivedRequest:
    return ReceivedRequest(request.method, request.url.target, request.headers, request.body)


def raw(request: OutgoingRequest) -> bytes:
    return request.to_bytes()


def raw_with_short_line_breaks(request: OutgoingRequest) -> bytes:
    """Write the request as an editor saves it: line breaks are LF, with one more at the end."""
    head, _, body = request.to_bytes().partition(b"\r\n\r\n")
    return head.replace(b"\r\n", b"\n") + b"\n\n" + body + b"\n"


def raw_of_http2(request: OutgoingRequest) -> bytes:
    pseudo = {
        "method": request.method,
        "scheme": request.url.scheme,
        "authority": request.url.authority,
        "path": request.url.target,
    }
    lines = [f":{name}: {value}" for name, value in pseudo.items()]
    lines += [f"{name}: {value}" for name, value in request.headers if name != "Host"]
    return "\n".join([*lines, "", ""]).encode() + request.body


def verbose_curl(request: OutgoingRequest) -> bytes:
    """Write the request as `curl -v` shows it, with the body pasted after it."""
    head, _, body = request.to_bytes().partition(b"\r\n\r\n")
    lines = [b"*   Trying 127.0.0.1:80...", *(b"> " + line for line in head.split(b"\r\n")), b">"]
    return b"\n".join([*lines, body, b"* upload completely sent off", b"< HTTP/1.1 200 OK", b"< "])


def notice(request: OutgoingRequest) -> bytes:
    headers = [f"{name}: {value}" for name, value in request.headers]
    content = ["REQUEST CONTENT:", request.body.decode(), ""]
    lines = [f"{request.method} {request.url.target}", "", *content, "HEADERS:", *headers, ""]
    return "\n".join(lines).encode()


def curl(request: OutgoingRequest) -> bytes:
    words = ["curl", "-X", request.method, request.url.wire]
    for name, value in request.headers:
        words += ["-H", f"{name}: {value}" if value else f"{name};"]
    if request.body:
        words += ["--data-raw", request.body.decode()]
    return " ".join(map(shlex.quote, words)).replace(" -H", " \\\n  -H").encode()


def curl_in_ansi_c(request: OutgoingRequest) -> bytes:
    words = ["curl", "--url", _ansi_c(request.url.wire), "--request", request.method]
    for name, value in request.headers:
        words += ["--header", _ansi_c(f"{name}: {value}")]
    if request.body:
        words += ["--data-binary", _ansi_c(request.body.decode())]
    return " ".join(words).encode()


def _ansi_c(text: str) -> str:
    return "$'" + re.sub(r"[^\w]", lambda match: f"\\u{ord(match[0]):04x}", text) + "'"


def curl_of_cmd(request: OutgoingRequest) -> bytes:
    """Write the request as Chromium's "Copy as cURL (cmd)" does."""
    words = [f"curl {_cmd(request.url.wire)}", f"-X {_cmd(request.method)}"]
    for name, value in request.headers:
        words += [f"-H {_cmd(f'{name}: {value}' if value else f'{name};')}"]
    if request.body:
        words += [f"--data-raw {_cmd(request.body.decode())}"]
    return " ^\r\n  ".join(words).encode()


def _cmd(text: str) -> str:
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    text = re.sub(r"[^a-zA-Z0-9\s_\-:=+~'/.,?;()*`]", lambda match: f"^{match[0]}", text)
    text = re.sub(r"%(?=[a-zA-Z0-9_])", "%^", text)
    return f'^"{text}^"'


def har(*requests: OutgoingRequest) -> bytes:
    return json.dumps({"log": {"entries": [_entry(request) for request in requests]}}).encode()


def _entry(request: OutgoingRequest) -> dict[str, object]:
    headers = [{"name": name, "value": value} for name, value in request.headers]
    made: dict[str, object] = {
        "method": request.method,
        "url": request.url.wire,
        "headers": headers,
    }
    if request.body:
        made["postData"] = {"mimeType": "", "text": request.body.decode()}
    return {"request": made, "response": {"status": 200}}


def listen(request: OutgoingRequest) -> bytes:
    return (listen_line(as_received(request)) + "\n").encode()


def listen_line(request: ReceivedRequest) -> str:
    verdict = Rejected(Reason.NO_SECRET, "")
    at = datetime(2026, 1, 2, tzinfo=UTC)
    checked = CheckedRequest(at, request, verdict, seen=None, answered=200)
    return json.dumps(as_record(checked))


def callbacks_show(*requests: OutgoingRequest) -> bytes:
    attempts = [attempt_lines(one) for one in _shown(*requests)["attempts"]]
    lines = chain([f"CB{0:032}  delivered", "  why  made up"], *(["", *one] for one in attempts))
    return "\n".join([*lines, ""]).encode()


def callbacks_show_json(*requests: OutgoingRequest) -> bytes:
    return json.dumps(_shown(*requests)).encode()


def _shown(*requests: OutgoingRequest) -> dict[str, Any]:
    attempts = [
        {
            "number": number,
            "date_started": "2024-07-03T14:40:58Z",
            "result": "delivered",
            "error_code": None,
            "reason": "the receiver answered 200 OK",
            "timings": None,
            "local_address": None,
            "request": {
                "method": request.method,
                "url": request.url.wire,
                "headers": request.headers,
                "body": request.body.decode(),
            },
            "response": {
                "status": 200,
                "headers": [["A", "b"]],
                "headers_left_out": 0,
                "body": "ok",
                "body_left_out": 0,
                "is_cut": False,
            },
        }
        for number, request in enumerate(requests, 1)
    ]
    return {"sid": f"CB{0:032}", "attempts": attempts}


WRITERS = (
    raw,
    raw_with_short_line_breaks,
    raw_of_http2,
    verbose_curl,
    notice,
    curl,
    curl_in_ansi_c,
    curl_of_cmd,
    har,
    listen,
    callbacks_show,
    callbacks_show_json,
)
