"""Writes the form anew before it checks KORE's signature.

Wrong: KORE signs the bytes of the body. Written anew, JSON is another text, a repeated parameter
may be lost, and a blank may be %20 rather than +; such callbacks are refused.
Why: the framework had read the body already, and gave its parameters only.
Instead: take the raw body before the framework reads it.
"""

import hashlib
from urllib.parse import urlencode

from serving import Receiver, Request, main


class SignsKoreBodyAnew(Receiver):
    """Trusts that there is one way to write a form."""

    def signature_of_kore(self, request: Request) -> str:
        """Hash a body that says the same."""
        body = urlencode(dict(request.form)) if request.method == "POST" else ""
        before = f"{self.settings.kore_secret}{request.method}{self.url}"
        return hashlib.sha256(f"{before}{body}".encode()).hexdigest()


if __name__ == "__main__":
    main(SignsKoreBodyAnew)
