"""Verifies signed requests of 1 KiB: `python -m benchmarks.checking`.

Our code and the libraries commonly used today run alternately, so that a disturbance of the machine
affects all of them. Only CPU time counts: on a busy machine, the longer of two calls is interrupted
more often, so it would seem even longer. Each call gets what a web server has: the method, the
headers, and the body as bytes.
"""

import argparse
import gc
import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from statistics import median
from time import process_time
from typing import Final
from urllib.parse import parse_qsl

from standardwebhooks import Webhook
from twilio.request_validator import HMAC_SHA256, RequestValidator

from ringback.core.form_encoding import encode
from ringback.core.sources.signature import sign_as_kore, sign_as_twilio
from ringback.receiver import Receiver, Verified

Check = Callable[[], bool]
Headers = dict[str, str]

_SECRET: Final = "made-up-secret"
_RESOURCE: Final = "https://example.com/callbacks"
_URL: Final = f"{_RESOURCE}?tenant=7"
_PAIRS: Final = [(f"Parameter{number:02}", "a value " * 9) for number in range(12)]
_FORM: Final = encode(_PAIRS).encode()
_JSON: Final = json.dumps({"data": "x" * 1012}, separators=(",", ":"))
_BASE: Final = {
    "Host": "example.com",
    "User-Agent": "TwilioProxy/1.1",
    "Content-Length": "1024",
    "Accept": "*/*",
    "Accept-Encoding": "gzip",
    "Date": "2024-07-03T14:40:58Z",
}
_IN_A_ROW: Final = 200


def checks() -> Mapping[str, Check]:
    """Return the timed functions by name; each returns True if it accepted its request."""
    form = {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"}
    digest = sign_as_kore("POST", _RESOURCE, _FORM, secret=_SECRET)
    by_kore = {"Kore-Idempotency-Token": "RQ" + "0" * 32, "Kore-Signature": digest}
    token = {"I-Twilio-Idempotency-Token": "00010203-0405-4607-8809-0a0b0c0d0e0f"}
    by_twilio = {**token, "X-Twilio-Signature": sign_as_twilio(_URL, _PAIRS, auth_token=_SECRET)}
    covered = f"{_URL}&bodySHA256={sha256(_JSON.encode()).hexdigest()}"
    shared = {
        **token,
        "X-Twilio-Signature": sign_as_twilio(covered, auth_token=_SECRET, digest="sha256"),
        "X-Twilio-Webhooks-Signature-Settings": f"key=made_up,algorithm={HMAC_SHA256}",
    }
    return {
        "KORE, form": _ours(_BASE | form | by_kore, _FORM, _URL),
        "Twilio, form": _ours(_BASE | form | by_twilio, _FORM, _URL),
        "Twilio, JSON by SHA-256": _ours(
            _BASE | {"Content-Type": "application/json"} | shared, _JSON.encode(), covered
        ),
        "twilio, form": _twilio_form(_BASE | form | by_twilio),
        "twilio, form that somebody has parsed": _twilio_parsed(by_twilio),
        "twilio, JSON by SHA-256": _twilio_json(covered, shared),
        "standardwebhooks, JSON by SHA-256": _standardwebhooks(),
    }


def _ours(headers: Headers, body: bytes, called: str) -> Check:
    receiver = Receiver(
        _URL, twilio_auth_tokens=[_SECRET], twilio_shared_keys=[_SECRET], kore_secrets=[_SECRET]
    )
    target = called.removeprefix("https://example.com")
    return lambda: isinstance(receiver.check("POST", headers, body, target=target), Verified)


def _twilio_form(headers: Headers) -> Check:
    validator = RequestValidator(_SECRET)

    def check() -> bool:
        form = dict(parse_qsl(_FORM.decode(), keep_blank_values=True))
        return validator.validate(_URL, form, headers["X-Twilio-Signature"])

    return check


def _twilio_parsed(headers: Headers) -> Check:
    validator, form = RequestValidator(_SECRET), dict(_PAIRS)
    return lambda: validator.validate(_URL, form, headers["X-Twilio-Signature"])


def _twilio_json(called: str, headers: Headers) -> Check:
    validator, body = RequestValidator(_SECRET), _JSON.encode()
    signature = headers["X-Twilio-Signature"]
    return lambda: validator.validate(called, body.decode(), signature, HMAC_SHA256)


def _standardwebhooks() -> Check:
    webhook, at = Webhook(b64encode(_SECRET.encode()).decode()), datetime.now(UTC)
    headers = _BASE | {
        "Content-Type": "application/json",
        "webhook-id": "msg_00010203040506070809",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": webhook.sign("msg_00010203040506070809", at, _JSON),
    }
    body = _JSON.encode()
    return lambda: webhook.verify(body, headers) is not None


def run(rounds: int, times: int) -> dict[str, list[float]]:
    """Return, for each check, its µs in each round: the median of many calls."""
    named = checks()
    wrong = [name for name, check in named.items() if not check()]
    if wrong:
        raise AssertionError(f"rejected a genuine request: {wrong}")
    gc.collect()
    gc.freeze()
    took: dict[str, list[float]] = {name: [] for name in named}
    for _ in range(rounds):
        samples: dict[str, list[float]] = {name: [] for name in named}
        for _ in range(times):
            for name, check in named.items():
                samples[name].append(_time(check))
        for name, each in samples.items():
            took[name].append(median(each))
    return took


def _time(check: Check) -> float:
    began = process_time()
    for _ in range(_IN_A_ROW):
        check()
    return (process_time() - began) / _IN_A_ROW * 1e6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--times", type=int, default=100, help="in each round")
    given = parser.parse_args()
    print(json.dumps(run(given.rounds, given.times)))


if __name__ == "__main__":
    main()
