"""The POST that every peer sends: a callback's form, signed as Twilio signs it."""

import base64
import hmac
import os
from urllib.parse import parse_qsl

URL = os.environ["BENCH_URL"]
REDIS = os.environ["BENCH_REDIS"]
BODY = (
    "AccountSid=AC11111111111111111111111111111111&SimSid=HS22222222222222222222222222222222"
    "&SimUniqueName=my_super_sim&SimStatus=active"
)
_KEY = b"0123456789abcdef0123456789abcdef"


def signed(url: str, body: str, number: int) -> dict[str, str]:
    """Return the headers of one callback."""
    text = url + "".join(name + value for name, value in sorted(parse_qsl(body)))
    signature = base64.b64encode(hmac.digest(_KEY, text.encode(), "sha1")).decode()
    return {
        "User-Agent": "TwilioProxy/1.1",
        "Accept": "*/*",
        "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
        "I-Twilio-Idempotency-Token": f"9f2c1e88-0000-4000-8000-{number:012d}",
        "X-Home-Region": "us1",
        "X-Twilio-Signature": signature,
    }
