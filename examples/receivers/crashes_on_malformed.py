"""Crashes on malformed signature headers.

Wrong: a malformed signature leads to an exception and a 500, which makes the sender retry, and
any stranger can trigger alarms at night.
Why: `hmac.compare_digest` accepts only ASCII texts, and `bytes.fromhex` only hex.
Instead: compare bytes, and answer 400 or 403 to every malformed signature.
"""

import base64
import hashlib
import hmac

from serving import Receiver, Request, main


class CrashesOnMalformed(Receiver):
    """Decodes signatures before it compares them, and doesn't catch errors."""

    def is_of_twilio(self, request: Request, signature: str) -> bool:
        """Decode the signature from Base64, and compare the bytes."""
        right = base64.b64decode(self.signature_of_twilio(request))
        return hmac.compare_digest(base64.b64decode(signature, validate=True), right)

    def is_of_kore(self, request: Request, signature: str) -> bool:
        """Decode the signature from hex to check its length, and compare it."""
        if len(bytes.fromhex(signature)) != hashlib.sha256().digest_size:
            return False
        return hmac.compare_digest(signature, self.signature_of_kore(request))


if __name__ == "__main__":
    main(CrashesOnMalformed)
