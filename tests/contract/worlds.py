"""Accounts that have one of everything, under the SIDs that published samples use.

So a sample's request can be sent as it stands.
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
    """Return a SID as samples have them."""
    return prefix + letter * 32


ACCOUNT: Final = sample("AC")
SUBACCOUNT: Final = sample("AC", "b")


@dataclass(frozen=True)
class World:
    """What an account of one product has, and what stands there for the words of samples."""

    fill: Callable[[Transaction, str, str], None]
    """Gives the account what it needs to be asked this, by verb and path, as in this sample."""
    sids: Mapping[str, str]
    """By the paths that end with `{Sid}`."""
    parents: Mapping[str, str]
    """By what else stands in paths."""
    forms: Mapping[tuple[str, int], Mapping[str, str]]
    """What is sent to each path that takes a form, once for each status that it can have."""
    values: Mapping[str, str]
    """What each filter of a list can be; those without have the empty text."""
    replaced: Mapping[str, str] = field(default_factory=dict[str, str])
    """What stands for some texts of samples, wherever they are."""
    placeholders: Mapping[tuple[str, str], str | None] = field(
        default_factory=dict[tuple[str, str], str | None]
    )
    """What is sent for a parameter of this value that is no legal one; None for nothing."""

    async def caller_for(self, host: str, asked: str = "", name: str = "") -> Caller:
        """Return a caller signed in to such an account; nothing stands in this request's way."""
        store = MemoryStore()
        await store.transact(lambda tx: self._fill(tx, asked, name))
        return Caller(app_on(store), credentials=(ACCOUNT, AUTH_TOKEN), host=host)

    def _fill(self, tx: Transaction, asked: str, name: str) -> None:
        tx.accounts.add(an_account(sid=ACCOUNT), [])
        tx.accounts.add(replace(an_account(sid=SUBACCOUNT), parent_sid=ACCOUNT), [])
        self.fill(tx, asked, name)

    def ours(self, text: str) -> str:
        """Return a text of a sample with what stands for it here."""
        for theirs, our in self.replaced.items():
            text = text.replace(theirs, our)
        return text

    def target_of(self, path: str) -> str:
        """Fill a path in with the SIDs that samples use."""
        target = path
        for place, sid in self.parents.items():
            target = target.replace(f"{{{place}}}", sid)
        return target.replace("{Sid}", self.sids.get(path, ""))

    def pairs_of(self, fields: Mapping[str, object]) -> list[tuple[str, str]]:
        """Return a form as the clients write it: one pair for each of a list."""
        pairs = list[tuple[str, str]]()
        for name, value in fields.items():
            for one in value if isinstance(value, list) else [value]:
                text = str(one).lower() if isinstance(one, bool) else str(one)
                sent = self.placeholders.get((name, text), self.ours(text))
                if sent is not None:
                    pairs.append((name, sent))
        return pairs

    def query_of(self, query: str) -> str:
        """Return the query of a list with what stands here for the words of samples."""
        return urlencode(self.pairs_of(dict(parse_qsl(query))))
