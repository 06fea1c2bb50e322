"""A receiver that gets everything right, with the toolkit.

`ringback.receiver` checks both families. SqliteDedupe stores the tokens of processed callbacks in a
file, so that a repeat is recognised even after a restart.
"""

from serving import Effects, Receiver, Request, Settings, main

from ringback.receiver import ReceivedRequest, SqliteDedupe
from ringback.receiver import Receiver as Callbacks


class Right(Receiver):
    """Uses the toolkit for everything."""

    def __init__(self, settings: Settings) -> None:
        self.effects = Effects(settings.folder / "effects.txt")
        self.callbacks = Callbacks(
            settings.url,
            twilio_auth_tokens=[settings.auth_token],
            kore_secrets=[settings.kore_secret],
            seen=SqliteDedupe(settings.folder / "seen.db"),
        )

    def answer(self, request: Request) -> int:
        """Return the toolkit's answer; the toolkit does the work of a new callback."""
        headers = tuple(request.headers.items())
        received = ReceivedRequest(request.method, request.target, headers, request.body)
        return self.callbacks.handle(received, lambda _: self.work(request)).status


if __name__ == "__main__":
    main(Right)
