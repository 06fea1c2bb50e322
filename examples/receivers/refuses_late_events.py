"""Refuses an event that is older than one that it has seen.

Wrong: callbacks may come in another order than they were made in. The late one is refused, is sent
again, is refused again, and ends as undelivered.
Why: commands have a life cycle, and a move that it does not have must be an error.
Instead: answer 200, and leave alone what is newer than the event.
"""

from serving import Receiver, Request, Settings, main

STATUSES = "queued", "sent", "delivered"


class RefusesLateEvents(Receiver):
    """Insists on the order."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.furthest = dict[str, int]()

    def take(self, request: Request) -> int | None:
        """Do the work of a command that has gone on."""
        command, status = request.told.get("CommandSid"), request.told.get("Status")
        if command and status in STATUSES:
            rank = STATUSES.index(status)
            if rank < self.furthest.get(command, 0):
                return 409
            self.furthest[command] = rank
        return super().take(request)


if __name__ == "__main__":
    main(RefusesLateEvents)
