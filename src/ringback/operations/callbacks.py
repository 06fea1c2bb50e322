"""Looking at callbacks and their attempts."""

from ringback.core.callback import Attempt, Callback
from ringback.core.errors import NotFound
from ringback.ports import Transaction


def fetch_callback(tx: Transaction, account_sid: str, sid: str) -> Callback:
    """Return a callback by its SID.

    Raises NotFound where the account has none such.
    """
    callback = tx.callbacks.get(account_sid, sid)
    if callback is None:
        raise NotFound(f"there is no callback with the SID {sid!r}")
    return callback


def fetch_attempts(tx: Transaction, account_sid: str, sid: str) -> list[Attempt]:
    """Return all attempts of a callback, in the order in which they were made.

    Raises NotFound where the account has no such callback.
    """
    return tx.callbacks.attempts(fetch_callback(tx, account_sid, sid).sid)
