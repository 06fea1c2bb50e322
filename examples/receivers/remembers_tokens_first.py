"""Claims the token before it checks the signature.

Wrong: whoever guesses or sees a token can send it with a wrong signature first. The receiver then
takes the genuine callback for a repeat: it answers 200 and does nothing.
Why: the code that recognises repeats is a middleware, which runs before the check.
Instead: check first, and claim only the tokens of genuine callbacks.
"""

from serving import Receiver, Request, main


class RemembersTokensFirst(Receiver):
    """Claims each token, and checks only requests with a new one."""

    def answer(self, request: Request) -> int:
        """Answer 200 if the token is known, else check the request and do the work."""
        if request.token and self.seen.claim(request.key) != "new":
            return 200
        if not self.is_genuine(request):
            return 403
        self.work(request)
        return 200


if __name__ == "__main__":
    main(RemembersTokensFirst)
