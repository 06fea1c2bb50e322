"""Encodes the form again before it checks KORE's signature.

Wrong: KORE signs the bytes of the body. Encoded again, JSON changes, a repeated parameter may get
lost, and a space may become %20 instead of +; such callbacks are refused.
Why: the framework had parsed the body already, and provided only its parameters.
Instead: read the raw body before the framework parses it.
"""

import hashlib
from urllib.parse import urlencode

from serving import Receiver, Request, main


class SignsKoreBodyAnew(Receiver):
    """Assumes that a form can be encoded in only one way."""

    def signature_of_kore(self, request: Request) -> str:
        """Hash a body that is encoded again from the parsed form."""
        body = urlencode(dict(request.form)) if request.method == "POST" else ""
        before = f"{self.settings.kore_secret}{request.method}{self.url}"
        return hashlib.sha256(f"{before}{body}".encode()).hexdigest()


if __name__ == "__main__":
    main(SignsKoreBodyAnew)
