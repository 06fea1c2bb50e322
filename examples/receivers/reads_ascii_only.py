"""Decodes the form as Latin-1.

Wrong: forms are in UTF-8; if a value has an accented letter, the computed signature is wrong, and
the callback is refused.
Why: Latin-1 is the default of old frameworks, and SIMs had ASCII names in all tests.
Instead: decode forms as UTF-8, whatever the default is.
"""

from urllib.parse import parse_qsl

from serving import Receiver, Request, in_base64, main


class ReadsAsciiOnly(Receiver):
    """Decodes forms in the wrong encoding."""

    def signature_of_twilio(self, request: Request) -> str:
        """Sign the URL and the sorted parameters, decoded as Latin-1."""
        form = parse_qsl(request.body.decode(), keep_blank_values=True, encoding="latin-1")
        signed = self.url + request.query + "".join(a + b for a, b in sorted(set(form)))
        return in_base64(self.settings.auth_token, signed)


if __name__ == "__main__":
    main(ReadsAsciiOnly)
