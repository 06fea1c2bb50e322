"""Refuses an event that is older than one that it has seen.

Wrong: callbacks may come in another order than they were made in. The late one is refused, is sent
again, is refused again, and ends as undelivered.
Why: SIMs have a life cycle, and a move that it does not have must be an error.
Instead: answer 200, and leave alone what is newer than the event, by what the API says of the SIM.
"""

from threading import Lock

from serving import Receiver, Request, Settings, main


class RefusesLateEvents(Receiver):
    """Insists on the order."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.statuses = dict[str, str]()
        self.lock = Lock()

    def take(self, request: Request) -> int:
        """Do the work of an event that changes something."""
        told = dict(request.form)
        with self.lock:
            if self.statuses.get(told.get("SimSid", "")) == told.get("SimStatus"):
                return 409
            self.statuses[told["SimSid"]] = told["SimStatus"]
        return super().take(request)


if __name__ == "__main__":
    main(RefusesLateEvents)
