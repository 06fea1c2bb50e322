"""What holds whatever goes wrong: the table that `docs/guarantees.md` puts into prose."""

from typing import Final

INVARIANTS: Final = {
    "kept": "What was acknowledged is durable before the answer, and is never lost.",
    "whole": "A request without an answer is kept whole or not at all; one that was refused is not"
    " kept.",
    "ended": "Once nothing goes wrong any more, every callback ends within the waits that its"
    " schedule and its receiver ask for.",
    "delivered": "A callback is delivered only where its receiver has answered a request with 2xx.",
    "failed": "A callback fails only by 410, by the guard, or when its schedule is used up; and is"
    " discarded only by a person.",
    "logged": "No request leaves before the row of its attempt is durable, and no row stands for"
    " two requests.",
    "true": "A row that names an answer names the very one that came; a row that says that nothing"
    " left is right.",
    "numbered": "The attempts of a callback are numbered from 1, without gaps.",
    "repeated": "An attempt that was answered is settled by that answer, unless the process ended"
    " in between: only then it is sent again.",
    "same": "Token, source, method and body are the same in all requests of a callback, and go to"
    " its own destination.",
    "final": "Nothing is sent after an ending, unless somebody replays it.",
    "punctual": "Nothing is sent before it is due, by the engine's own clock.",
    "prompt": "Nothing that is due waits while there is room for it and the store is there.",
    "waits": "A new round comes after the wait of its schedule, give or take a fifth, or after"
    " what the receiver asked for with Retry-After where that is longer.",
    "rounds": "A round has no more attempts than 1 + rc.",
    "timed": "A round's first attempt has all of tt, and no attempt has more.",
    "bounded": "No more than per_destination requests are at a destination at once, and no more"
    " than at_once are under way.",
    "idle": "When nothing is left to do, no slot is taken, nothing counts as unfinished, and no"
    " attempt is open.",
    "guarded": "No connection is ever opened to an address that the guard refuses.",
    "fair": "What goes to a healthy destination leaves in time, whatever others do.",
    "apart": "Whatever one account asks for, and however much there is: 95 of 100 requests of"
    " another one are acknowledged, and sent, within twice the time that they take without it.",
    "ours": "What this machine has nothing left of, and what others do, is no fault of a receiver:"
    " no attempt is counted for it, and no callback fails by it.",
    "stopped": "A stop begins no request, and leaves no attempt of its process open where it ends"
    " within its time; nor one of an earlier process, unless the database was away.",
    "sound": "No loop of the engine ends by itself, no task fails unseen, and no attempt ends by a"
    " fault of ours.",
    "lively": "The engine never spins: it is idle when there is nothing to do.",
}


class Violated(Exception):
    """An invariant does not hold."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{name}: {what}\n  {INVARIANTS[name]}")
        self.name = name
        self.what = what
