"""Accounts that have one of everything, with the SIDs of published samples.

So a sample's request can be sent unchanged.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import parse_qsl, urlencode

from ringback.ports import Transaction
from tests.fakes import AUTH_TOKEN, an_account
from tests.memory_store import MemoryStore
from tests.unit.api.caller import Caller
from tests.unit.api.world import app_on


def sample(prefix: str, letter: str = "a") -> str:
    """Return a SID like those in samples."""
    return prefix + letter * 32


ACCOUNT: Final = sample("AC")
SUBACCOUNT: Final = sample("AC", "b")


@dataclass(frozen=True)
class World:
    """An account of one product with its records, and the replacements for values in samples."""

    fill: Callable[[Transaction, str, str], None]
    """Adds what the account needs for a request to this path, as in this sample."""
    sids: Mapping[str, str]
    """SIDs by the paths that end with `{Sid}`."""
    parents: Mapping[str, str]
    """Values for other placeholders in paths."""
    forms: Mapping[tuple[str, int], Mapping[str, str]]
    """The forms to send to each path, one for each status that it can have."""
    values: Mapping[str, str]
    """The values of each filter of a list; other filters have the empty text."""
    replaced: Mapping[str, str] = field(default_factory=dict[str, str])
    """Replacements for some texts of samples, wherever they occur."""
    placeholders: Mapping[tuple[str, str], str | None] = field(
        default_factory=dict[tuple[str, str], str | None]
    )
    """Replacements for a parameter's invalid value in a sample; None to leave it out."""

    async def caller_for(self, host: str, asked: str = "", name: str = "") -> Caller:
        """Return a caller that is authenticated as such an account, ready for this request."""
        store = MemoryStore()
        await store.transact(lambda tx: self._fill(tx, asked, name))
        return Caller(app_on(store), credentials=(ACCOUNT, AUTH_TOKEN), host=host)

    def _fill(self, tx: Transaction, asked: str, name: str) -> None:
        tx.accounts.add(an_account(sid=ACCOUNT), [])
        tx.accounts.add(replace(an_account(sid=SUBACCOUNT), parent_sid=ACCOUNT), [])
        self.fill(tx, asked, name)

    def ours(self, text: str) -> str:
        """Return a text of a sample with its replacements."""
        for theirs, our in self.replaced.items():
            text = text.replace(theirs, our)
        return text

    def target_of(self, path: str) -> str:
        """Fill in a path with the SIDs that samples use."""
        target = path
        for place, sid in self.parents.items():
            target = target.replace(f"{{{place}}}", sid)
        return target.replace("{Sid}", self.sids.get(path, ""))

    def pairs_of(self, fields: Mapping[str, object]) -> list[tuple[str, str]]:
        """Return a form as clients write it: a list has one pair for each item."""
        pairs = list[tuple[str, str]]()
        for name, value in fields.items():
            for one in value if isinstance(value, list) else [value]:
                text = str(one).lower() if isinstance(one, bool) else str(one)
                sent = self.placeholders.get((name, text), self.ours(text))
                if sent is not None:
                    pairs.append((name, sent))
        return pairs

    def query_of(self, query: str) -> str:
        """Return the query of a list with the replacements for values in samples."""
        return urlencode(self.pairs_of(dict(parse_qsl(query))))
