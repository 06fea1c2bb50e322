"""The invariants that hold despite all faults: `docs/guarantees.md` explains them."""

from typing import Final

INVARIANTS: Final = {
    "kept": "What was acknowledged is durable before the answer, and is never lost.",
    "whole": "A request without an answer is kept whole or not at all; a refused request is not"
    " kept.",
    "ended": "Once the faults are over, every callback ends within the waits that its"
    " schedule and its receiver ask for.",
    "delivered": "A callback is delivered only if its receiver has answered a request with 2xx.",
    "failed": "A callback fails only by 410, by the guard, or when its schedule is used up; and is"
    " discarded only by a person.",
    "logged": "No request leaves before its attempt's row is durable, and no two requests share a"
    " row.",
    "true": "A row with an answer has the answer that arrived; if a row says that no request"
    " left, none left.",
    "numbered": "The attempts of a callback are numbered from 1, without gaps.",
    "repeated": "An answered attempt is settled by that answer, unless the process ended"
    " in between: only then is it sent again.",
    "same": "Token, source, method and body are the same in all requests of a callback, and all go"
    " to its own destination.",
    "final": "Nothing is sent after an ending, unless somebody replays it.",
    "punctual": "Nothing is sent before it is due, by the engine's own clock.",
    "prompt": "No due callback waits while a slot is free and the store is available.",
    "waits": "A new round begins after the wait of its schedule, give or take a fifth, or after"
    " what the receiver asked for with Retry-After if that is longer.",
    "rounds": "A round has no more attempts than 1 + rc.",
    "timed": "A round's first attempt has the whole time tt, and no attempt has more.",
    "bounded": "At most per_destination requests are at a destination at once, and at most"
    " at_once are in flight.",
    "idle": "When all work is done, no slot is taken, nothing counts as unfinished, and no"
    " attempt is open.",
    "guarded": "No connection is ever opened to an address that the guard refuses.",
    "fair": "A callback to a healthy destination leaves in time, whatever other accounts do.",
    "apart": "Whatever one account does, and however large the data: 95 of 100 requests of"
    " another one are acknowledged, and sent, within twice the time that they take without it.",
    "ours": "A shortage of this machine, or trouble from others, does not count against a receiver:"
    " it uses up no attempt, and no callback fails because of it.",
    "stopped": "A stop begins no request, and leaves no attempt of its process open if it ends"
    " within its time; nor one of an earlier process, unless the database was away.",
    "sound": "No loop of the engine ends by itself, no task fails unnoticed, and no attempt ends by"
    " an error of ours.",
    "lively": "The engine never spins: it is idle when there is nothing to do.",
    "ordered": "Of the callbacks with the same order key in a lane, one is in flight at a time; and"
    " a request of one leaves only when all have ended that were added durably before it. A"
    " replayed one waits for the one whose turn it is, and comes before those not sent so far.",
}


OF_CLUSTERS: Final = {
    "leased": "A request begins only under a lease on its destination's shard, by the store's"
    " clock; except by a process that was frozen after it had checked that.",
    "once": "No callback is in flight twice, except because of a process that was frozen before"
    " the first byte of its request or while it waited for the answer.",
    "patient": "An attempt of another process is settled as unknown only once its request must"
    " have ended.",
    "settled": "The result of an attempt, once stored, never changes.",
    "counted": "The end of a callback is counted once, by the process that saved it.",
    "taken over": "Another worker has the shards of a dead one within 20 s.",
    "paced": "No second has more requests of a lane, or of all accounts to an origin, than rate and"
    " burst together, by the instants at which they leave.",
    "shut": "Nothing is sent to a destination that is paused or disabled, by a process that knows"
    " it; and in quiet times, every process knows it within four seconds.",
    "probed": "While a breaker is open, nothing is sent but its probes: one at a time, and only"
    " when the next one is due.",
    "spared": "No callback is given up because of a breaker before it has waited for as long as is"
    " set; time in a pause does not count.",
}
"""The invariants of several processes over one store, besides those above."""


class Violated(Exception):
    """An invariant does not hold."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{name}: {what}\n  {(INVARIANTS | OF_CLUSTERS)[name]}")
        self.name = name
        self.what = what
