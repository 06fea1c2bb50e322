"""Breaks on headers that are not what it expects.

Wrong: whatever is no signature at all ends in an error of its own, a 500 that asks the sender to
try again, and an alarm at night that any stranger can ring.
Why: `hmac.compare_digest` takes texts, but only those in ASCII; and `bytes.fromhex` only hex.
Instead: compare bytes, and answer 400 or 403 to all that is no signature.
"""

import base64
import hashlib
import hmac

from serving import Receiver, Request, main


class CrashesOnMalformed(Receiver):
    """Decodes before it compares."""

    def is_of_twilio(self, request: Request, signature: str) -> bool:
        """Compare the bytes that the signatures stand for."""
        right = base64.b64decode(self.signature_of_twilio(request))
        return hmac.compare_digest(base64.b64decode(signature, validate=True), right)

    def is_of_kore(self, request: Request, signature: str) -> bool:
        """Compare what has the right length."""
        if len(bytes.fromhex(signature)) != hashlib.sha256().digest_size:
            return False
        return hmac.compare_digest(signature, self.signature_of_kore(request))


if __name__ == "__main__":
    main(CrashesOnMalformed)
